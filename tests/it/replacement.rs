use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::fixture::{Tree, users};
use crate::process::Process;
use crate::service::{CHECK, Client, Start, check};

/// `callgate serve` on a socket that listens already, handed over as systemd does.
fn over(tree: &Tree, socket: OwnedFd, flags: &[&str]) -> Command {
    let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=decide; \
        exec \"$0\" \"$@\"";
    let mut command = Command::new("bash");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_callgate"), "serve"])
        .arg(tree.path())
        .args(["--listen", "fd:decide", "--admin", "127.0.0.1:0"])
        .args(["--workers", "2", "--log-level", "off"])
        .args(flags)
        .env_clear()
        .stdin(Stdio::from(socket));
    command
}

fn tree() -> Tree {
    let tree = Tree::new();
    tree.write("companies/acme/users.csv", &users("listener"));
    tree
}

/// Clients of HTTP/1.1 that keep their connections as long as they may, and ask all the time.
/// Returns how many requests were answered; any that was not is a failure.
fn ask_until(address: &str, stop: &AtomicBool, answered: &AtomicUsize) {
    let mut client = None;
    while !stop.load(Relaxed) {
        let connected = client.take().unwrap_or_else(|| Client::connect(address));
        let mut connected = connected;
        connected.send(check("acme", CHECK));
        let answer = connected.try_answer().expect("an answer to every request");
        assert_eq!(answer.body, r#"{"decision":true}"#, "{answer:?}");
        answered.fetch_add(1, Relaxed);
        if answer.header("connection") != "close" {
            client = Some(connected);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_process_takes_over_the_socket_without_a_request_lost() {
    let tree = tree();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = || {
        let socket = OwnedFd::from(listener.try_clone().unwrap());
        let mut process = Process::spawn(over(&tree, socket, &["--drain-delay", "300ms"]));
        assert_eq!(process.line(), "ready: acme");
        process
    };
    let mut old = start();
    let address = old.address.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (address, stop, answered) =
                (address.clone(), Arc::clone(&stop), Arc::clone(&answered));
            std::thread::spawn(move || ask_until(&address, &stop, &answered))
        })
        .collect();
    for _ in 0..3 {
        let new = start();
        old.signal("-TERM");
        assert_eq!(old.child.wait().unwrap().code(), Some(0));
        let before = answered.load(Relaxed);
        std::thread::sleep(Duration::from_millis(200));
        assert!(answered.load(Relaxed) > before, "the new one answers");
        assert!(new.metric(r#"callgate_requests_total{api="evaluation",code="200"}"#) > 0.0);
        old = new;
    }
    stop.store(true, Relaxed);
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn a_restart_loses_no_connection_that_waits_in_the_socket() {
    let tree = tree();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decide.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let start = || {
        let socket = OwnedFd::from(listener.try_clone().unwrap());
        let mut command = over(&tree, socket, &[]);
        command.stdout(Stdio::null());
        command.spawn().unwrap()
    };
    let ask = || {
        let stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut client = Client::over(stream);
        // 503 until its companies were tried.
        client.ask(check("acme", CHECK)).status
    };
    let mut old = start();
    assert!(matches!(ask(), 200 | 503));
    let pid = old.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    assert_eq!(old.wait().unwrap().code(), Some(0));
    assert!(path.exists(), "the file is not ours to remove");
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(ask);
        std::thread::sleep(Duration::from_millis(200));
        let mut new = start();
        let status = waiting.join().unwrap();
        new.kill().unwrap();
        new.wait().unwrap();
        status
    });
    assert!(matches!(waiting, 200 | 503));
}

#[test]
fn sockets_that_were_not_handed_over_or_are_open_end_the_start() {
    let tree = tree();
    let told = |mut command: Command| {
        let output = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(4));
        String::from_utf8(output.stderr).unwrap()
    };
    let mut none = Command::new(env!("CARGO_BIN_EXE_callgate"));
    none.args(["serve", "--listen", "fd:decide", "--admin", "127.0.0.1:0"])
        .env_clear();
    assert!(told(none).contains("no socket was handed over"));
    let open = || OwnedFd::from(TcpListener::bind("0.0.0.0:0").unwrap());
    let open_told = told(over(&tree, open(), &[]));
    assert!(
        open_told.contains("can be reached from other machines"),
        "{open_told}"
    );
    let other = told(over(&tree, open(), &["--listen", "fd:other"]));
    assert!(
        other.contains("there are `decide`") || other.contains("other machines"),
        "{other}"
    );
}

#[test]
fn connections_end_after_their_next_answer_while_it_drains() {
    let delay = Duration::from_millis(800);
    let mut service = Start::limits(|limits| limits.drain_delay = delay).serve();
    let mut client = service.connect();
    assert_eq!(client.ask(check("acme", CHECK)).header("connection"), "");
    let began = Instant::now();
    service.begin_to_stop();
    let ready = || service.admin("GET", "/readyz", "").status;
    while ready() == 200 {}
    std::thread::sleep(Duration::from_millis(100));
    let answer = client.ask(check("acme", CHECK));
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    assert!(client.is_closed());
    let new = service.ask(check("acme", CHECK));
    assert_eq!(
        (new.status, new.header("connection")),
        (200, "close"),
        "it is still answered"
    );
    assert!(began.elapsed() < delay, "this test is too slow");
    service.join();
    assert!(began.elapsed() >= delay);
}

#[test]
fn a_request_on_its_way_in_a_new_connection_is_answered_at_the_end() {
    let mut service = Start::new().serve();
    let mut fresh: Vec<_> = (0..8).map(|_| service.connect()).collect();
    while service.metric("callgate_connections_open") < 8 {}
    service.begin_to_stop();
    std::thread::sleep(Duration::from_millis(300));
    for client in &mut fresh {
        let answer = client.ask(check("acme", CHECK));
        assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    }
    service.join();
}
