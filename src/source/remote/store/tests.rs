//! Web servers that send more than they should, and what is said of those that send nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use super::{Store, StoreError};

/// A server that answers one request so, and then sends zeros for as long as somebody takes them;
/// how many it was rid of, in the end.
fn endless(answer: &'static str) -> (String, thread::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let _ = client.read(&mut [0; 4096]).unwrap();
        client.write_all(answer.as_bytes()).unwrap();
        let block = [0; 64 << 10];
        let rid = (0..16_384).take_while(|_| client.write_all(&block).is_ok());
        rid.count() * block.len()
    });
    (url, server)
}

#[test]
fn no_more_is_taken_than_was_asked_for() {
    for answer in [
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/100\r\nContent-Length: 1073741824\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
    ] {
        let (url, server) = endless(answer);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let got = runtime.block_on(async {
            let store = Store::connect(Path::new(&url), None).await.unwrap();
            match answer.contains("206") {
                true => store.get_range("body", 0..10).await,
                false => store.get_all("body", 10).await,
            }
        });
        let key = "body".to_owned();
        assert_eq!(got, Err(StoreError::TooLarge(key, 10)), "{answer}");
        // Connections go with it.
        drop(runtime);
        let rid = server.join().unwrap();
        assert!(rid < 64 << 20, "{rid} bytes");
    }
}

/// It is said once, as long as it is the same; and it is read by many.
#[test]
fn what_fails_is_told_in_the_same_words_each_time_without_passwords_or_pages() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let get = |url: &str| {
        let got = runtime.block_on(async {
            let store = Store::connect(Path::new(url), None).await.unwrap();
            store.get("index.json", 10, None).await
        });
        got.err().unwrap().to_string()
    };
    let gone = "http://me:hushhush@127.0.0.1:9/fleet";
    let told = get(gone);
    assert_eq!(told, get(gone));
    assert!(
        told.contains("Connection refused") && !told.contains("hush"),
        "{told}"
    );

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://me:hushhush@{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for (number, code) in [
            "<Code>AccessDenied</Code>",
            "<Code>AccessDenied</Code>",
            "<p>",
        ]
        .iter()
        .enumerate()
        {
            let (mut client, _) = listener.accept().unwrap();
            let _ = client.read(&mut [0; 4096]).unwrap();
            let page = format!("<html>{code}<RequestId>{number}</RequestId></html>");
            let head = "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n";
            let answer = format!("{head}Content-Length: {}\r\n\r\n{page}", page.len());
            client.write_all(answer.as_bytes()).unwrap();
        }
    });
    for is in [
        "403 Forbidden (AccessDenied)",
        "403 Forbidden (AccessDenied)",
        "403 Forbidden",
    ] {
        assert_eq!(get(&url), format!("`index.json`: the server answers {is}"));
    }
}
