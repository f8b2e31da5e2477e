use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
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
    beside_clients(&address, |answered| {
        for _ in 0..3 {
            let new = start();
            old.signal("-TERM");
            assert_eq!(old.child.wait().unwrap().code(), Some(0));
            let before = answered();
            std::thread::sleep(Duration::from_millis(200));
            assert!(answered() > before, "the new one answers");
            assert!(new.metric(r#"callgate_requests_total{api="evaluation",code="200"}"#) > 0.0);
            old = new;
        }
    });
}

/// Whoever holds the sockets, and starts callgate again and again; at the end of the test both end.
struct Manager {
    child: Child,
    stop: PathBuf,
    /// The callgate that runs.
    process: String,
}

impl Manager {
    fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.process]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = std::fs::write(&self.stop, "");
            let _ = Command::new("kill").args(["-KILL", &self.process]).status();
            let _ = self.child.wait();
        }
    }
}

/// A process that ends with its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Clients that ask all the time, while something happens; returns how many were answered, and a
/// request that was not is a failure.
fn beside_clients(address: &str, happens: impl FnOnce(&dyn Fn() -> usize)) {
    let stop = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| ask_until(address, &stop, &answered)))
            .collect();
        happens(&|| answered.load(Relaxed));
        stop.store(true, Relaxed);
        for client in clients {
            client.join().unwrap();
        }
    });
}

#[test]
#[ignore = "needs systemd-socket-activate: tests/run"]
fn systemd_hands_its_sockets_over_and_restarts_lose_no_request() {
    let tree = tree();
    let folder = tempfile::tempdir().unwrap();
    let unix = folder.path().join("decide.sock");
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    // It holds the sockets, and starts this at the first connection; which, as a manager does,
    // starts callgate anew whenever it has ended.
    let manager = "while [ ! -e \"$0\" ]; do \
        bash -c 'export LISTEN_PID=$$; echo started $$; exec \"$@\"' bash \"$@\"; done";
    let stop = folder.path().join("stop");
    let mut child = Command::new("systemd-socket-activate")
        .args(["-l", &address, "-l", unix.to_str().unwrap()])
        .args(["--fdname=decide:decide", "bash", "-c", manager])
        .arg(&stop)
        .args([env!("CARGO_BIN_EXE_callgate"), "serve"])
        .arg(tree.path())
        .args(["--listen", "fd:decide", "--admin", "127.0.0.1:0"])
        .args(["--log-level", "off", "--drain-delay", "300ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = |beginning: &str| {
        let mut lines = said.by_ref().map(Result::unwrap);
        let found = lines.find_map(|line| line.strip_prefix(beginning).map(str::to_owned));
        found.unwrap_or_else(|| panic!("it never said `{beginning}`"))
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(&address).is_err() {
        assert!(Instant::now() < deadline, "nothing listens");
        std::thread::sleep(Duration::from_millis(20));
    }
    let process = line("started ");
    let mut manager = Manager {
        child,
        stop,
        process,
    };
    assert_eq!(line("listening on "), format!("http://{address}"));
    assert_eq!(line("listening on "), format!("unix:{}", unix.display()));
    line("ready: acme");
    let stream = UnixStream::connect(&unix).unwrap();
    assert_eq!(Client::over(stream).ask(check("acme", CHECK)).status, 200);
    beside_clients(&address, |answered| {
        for _ in 0..3 {
            manager.terminate();
            manager.process = line("started ");
            line("ready: acme");
            let (before, deadline) = (answered(), Instant::now() + Duration::from_secs(10));
            while answered() < before + 100 {
                assert!(Instant::now() < deadline, "the new one does not answer");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    });
    std::fs::write(&manager.stop, "").unwrap();
    manager.terminate();
    assert!(manager.child.wait().unwrap().success());
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
        Killed(command.spawn().unwrap())
    };
    let ask = || {
        let stream = UnixStream::connect(&path).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut client = Client::over(stream);
        client.ask(check("acme", CHECK)).status
    };
    let mut old = start();
    assert_eq!(ask(), 200, "it waits for the companies");
    let pid = old.0.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    assert_eq!(old.0.wait().unwrap().code(), Some(0));
    assert!(path.exists(), "the file is not ours to remove");
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(ask);
        std::thread::sleep(Duration::from_millis(200));
        let _new = start();
        waiting.join().unwrap()
    });
    assert_eq!(waiting, 200);
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
    let new = service.connect().ask(check("acme", CHECK));
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

#[test]
fn whoever_manages_it_is_told_when_it_is_ready_and_when_it_stops() {
    let tree = tree();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.sock");
    let told = UnixDatagram::bind(&path).unwrap();
    told.set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let message = || {
        let mut bytes = [0; 256];
        let read = told.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command
        .arg("serve")
        .arg(tree.path())
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .env_clear()
        .env("NOTIFY_SOCKET", &path);
    let process = Process::spawn(command);
    let ready = message();
    assert!(
        ready.contains("READY=1\n") && ready.contains("STATUS=ready: acme"),
        "{ready}"
    );
    process.signal("-TERM");
    assert!(message().contains("STOPPING=1"));
}

#[test]
#[ignore = "needs systemd-analyze: tests/run"]
fn systemd_takes_the_units_as_they_ship() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["callgate.socket", "callgate.service"] {
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/systemd");
        let text = std::fs::read_to_string(format!("{shipped}/{name}")).unwrap();
        // It looks whether the program is there.
        let text = text.replace("/usr/bin/callgate", env!("CARGO_BIN_EXE_callgate"));
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let told = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(folder.path().join("callgate.service"))
        .output()
        .unwrap();
    let text = String::from_utf8(told.stderr).unwrap();
    assert!(
        told.status.success() && !text.contains("callgate"),
        "{text}"
    );
}
