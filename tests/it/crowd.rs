use std::net::TcpStream;
use std::process::Command;
use std::sync::MutexGuard;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::fixture::{Tree, users};
use crate::limits::{p99, undisturbed};
use crate::process::Process;
use crate::service::{Client, wait_until};

/// How many say nothing.
const CROWD: usize = 10_000;

/// Connections to a process of its own: each takes a file of both processes.
struct Crowd {
    process: Process,
    idle: Vec<TcpStream>,
    _tree: Tree,
    _undisturbed: MutexGuard<'static, ()>,
}

impl Crowd {
    fn new(flags: &[&str]) -> Self {
        let undisturbed = undisturbed();
        let limit = getrlimit(Resource::Nofile);
        let (current, maximum) = (limit.maximum, limit.maximum);
        setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
        let enough = maximum.is_none_or(|most| most > CROWD as u64 + 1_000);
        assert!(enough, "this test takes `ulimit -Hn` of 11,000 at least");
        let tree = Tree::new();
        tree.write("companies/acme/users.csv", &users("listener"));
        let mut process = Process::start_with(&tree, &[&["--workers", "2"], flags].concat());
        assert_eq!(process.line(), "ready: acme");
        Self {
            process,
            idle: Vec::new(),
            _tree: tree,
            _undisturbed: undisturbed,
        }
    }

    fn gather(&mut self) {
        let connect = |_| TcpStream::connect(&self.process.address).unwrap();
        self.idle = (0..CROWD).map(connect).collect();
    }

    fn open(&self) -> usize {
        self.process.metric("callgate_connections_open") as usize
    }

    fn gave_way(&self) -> usize {
        let name = r#"callgate_limit_reached_total{limit="connections"}"#;
        self.process.metric(name) as usize
    }
}

#[test]
fn a_healthy_client_is_as_quick_beside_ten_thousand_that_say_nothing() {
    // None of them gives way, and none is late before the end.
    let mut crowd = Crowd::new(&["--max-connections", "12000", "--header-timeout", "10m"]);
    let mut client = Client::connect(&crowd.process.address);
    p99(&mut client, 500);
    // So many that the workers look at all of their connections several times meanwhile.
    let alone = (0..3).map(|_| p99(&mut client, 4_000)).min().unwrap();
    crowd.gather();
    wait_until("all of them", || crowd.open() == CROWD + 1);
    let beside = (0..8).map(|_| p99(&mut client, 4_000));
    let mut fastest = Duration::MAX;
    for time in beside {
        fastest = fastest.min(time);
        if fastest <= alone * 2 {
            break;
        }
    }
    assert!(
        fastest <= alone * 2,
        "alone {alone:?}, beside them {fastest:?}"
    );
    assert_eq!(crowd.open(), CROWD + 1);
}

#[test]
fn of_ten_thousand_that_say_nothing_as_many_give_way_as_must() {
    let mut crowd = Crowd::new(&["--header-timeout", "10m"]);
    crowd.gather();
    let room = CROWD - CROWD / 20;
    // Some may not be accepted before others have given way.
    wait_until("room", || {
        crowd.open() <= room && crowd.gave_way() >= CROWD - room
    });
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(crowd.open(), room);
    assert_eq!(crowd.gave_way(), CROWD - room);
    assert_eq!(
        crowd.process.metric("callgate_connections_refused_total"),
        0.0
    );
    let mut clients: Vec<_> = (0..100)
        .map(|_| Client::connect(&crowd.process.address))
        .collect();
    assert!(
        clients
            .iter_mut()
            .all(|client| p99(client, 1) > Duration::ZERO)
    );
}

#[test]
fn it_opens_as_many_files_as_it_may() {
    let tree = Tree::new();
    tree.write("companies/acme/users.csv", &users("listener"));
    let mut command = Command::new("bash");
    let script = "ulimit -Sn 64; exec \"$0\" \"$@\"";
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_callgate"), "serve"])
        .arg(tree.path())
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .env_clear();
    let mut process = Process::spawn(command);
    assert_eq!(process.line(), "ready: acme");
    let mut clients: Vec<_> = (0..200)
        .map(|_| Client::connect(&process.address))
        .collect();
    assert!(
        clients
            .iter_mut()
            .all(|client| p99(client, 1) > Duration::ZERO)
    );
}
