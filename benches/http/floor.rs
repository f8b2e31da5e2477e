//! The floor: a server that reads a body and answers a constant.

use std::convert::Infallible;
use std::future::Future;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::runtime::LocalOptions;
use tokio::task::spawn_local;

/// The bench itself is the server, when it is started with this.
pub(crate) const COMMAND: &str = "floor";

#[derive(Clone, Copy)]
struct Local;

impl<F: Future<Output: 'static> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(Bytes::from_static(br#"{"decision":true}"#)));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

fn serve(io: impl hyper::rt::Read + hyper::rt::Write + Unpin + 'static) {
    spawn_local(async move {
        let mut http = Builder::new(Local);
        http.http1().writev(false);
        let _ = http.serve_connection(io, service_fn(answer)).await;
    });
}

/// Serves on a port of its own and on a unix socket, on one thread, until it is killed.
pub(crate) fn run(unix: &str) {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("listening on http://{}", tcp.local_addr().unwrap());
    let unix = UnixListener::bind(unix).unwrap();
    println!("ready:");
    tcp.set_nonblocking(true).unwrap();
    unix.set_nonblocking(true).unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build_local(LocalOptions::default());
    runtime.unwrap().block_on(async {
        let tcp = tokio::net::TcpListener::from_std(tcp).unwrap();
        let unix = tokio::net::UnixListener::from_std(unix).unwrap();
        loop {
            tokio::select! {
                Ok((stream, _)) = tcp.accept() => {
                    stream.set_nodelay(true).unwrap();
                    serve(TokioIo::new(stream));
                }
                Ok((stream, _)) = unix.accept() => serve(TokioIo::new(stream)),
            }
        }
    });
}
