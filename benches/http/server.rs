//! The servers that are measured, each a process of its own on the first core.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use callgate::policy::Policy;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// A running server; it is killed when this is gone.
pub(crate) struct Server {
    process: Child,
    /// Host and port.
    pub(crate) address: String,
    pub(crate) unix: PathBuf,
    /// Host and port of the listener for operators, where there is one.
    pub(crate) admin: Option<String>,
    /// Host and port for gRPC, where they are others.
    pub(crate) grpc: Option<String>,
}

/// The core that serves, and the one that asks.
const SERVES: &str = "0";
const ASKS: &str = "1";

/// Installed by `benches/http/install`.
const CERBOS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/target/tools/cerbos/node_modules/@cerbos/cerbos-linux-x64/cerbos-linux-x64"
);

// === impl Server ===

impl Server {
    /// `callgate serve` over this tree, with one worker.
    pub(crate) fn callgate(tree: &Path, unix: &Path) -> Self {
        Self::callgate_with(tree, unix, &[])
    }

    /// The same, with these settings.
    pub(crate) fn callgate_with(tree: &Path, unix: &Path, settings: &[&str]) -> Self {
        let mut command = pinned(env!("CARGO_BIN_EXE_callgate"));
        command.arg("serve").arg(tree);
        command.args([
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--workers",
            "1",
        ]);
        command.args(settings);
        command.args(["--log-level", "off", "--listen"]);
        command.arg(format!("unix:{}", unix.display()));
        Self::start(command, unix)
    }

    pub(crate) fn floor(scratch: &Path) -> Self {
        let unix = scratch.join("floor.sock");
        let _ = std::fs::remove_file(&unix);
        let mut command = pinned(std::env::current_exe().unwrap());
        command.arg(super::floor::COMMAND).arg(&unix);
        Self::start(command, &unix)
    }

    /// Cerbos over the same policy, translated.
    pub(crate) fn cerbos(policy: &Policy, scratch: &Path) -> Self {
        // Ports that were free a moment ago.
        let free = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let [address, grpc] = free.map(|port| port.local_addr().unwrap().to_string());
        let addresses = [&*address, &*grpc];
        Self {
            process: super::cerbos::start(policy, scratch, pinned(CERBOS), addresses),
            address,
            unix: PathBuf::new(),
            admin: None,
            grpc: Some(grpc),
        }
    }

    fn start(mut command: Command, unix: &Path) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (mut address, mut admin) = (None, None);
        for line in lines.map(Result::unwrap) {
            if let Some(at) = line.strip_prefix("listening on http://") {
                address = Some(at.to_owned());
            } else if let Some(at) = line.strip_prefix("admin on http://") {
                admin = Some(at.to_owned());
            } else if line.starts_with("ready:") {
                break;
            }
        }
        Self {
            process,
            address: address.expect("the server is not ready"),
            admin,
            grpc: None,
            unix: unix.to_owned(),
        }
    }

    /// The time that the process has had of a core so far, its threads' summed.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let nanos = tasks.map(|task| {
            let text = std::fs::read_to_string(task.unwrap().path().join("schedstat"));
            let text = text.unwrap_or_default();
            text.split(' ').next().unwrap().parse().unwrap_or(0)
        });
        Duration::from_nanos(nanos.sum())
    }

    /// How long the thread of this name has waited for a core so far.
    pub(crate) fn waited(&self, name: &str) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let read = |task: &Path, file| std::fs::read_to_string(task.join(file)).unwrap_or_default();
        let mut tasks = tasks.map(|task| task.unwrap().path());
        let task = tasks
            .find(|task| read(task, "comm").trim() == name)
            .unwrap();
        let schedule = read(&task, "schedstat");
        Duration::from_nanos(schedule.split(' ').nth(1).unwrap().parse().unwrap())
    }

    /// The most memory that the process has had, and what it has now, in bytes.
    pub(crate) fn memory(&self) -> [u64; 2] {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.unwrap();
        ["VmHWM:", "VmRSS:"].map(|name| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Moves this process to the core that asks, and with it the load that it starts.
pub(crate) fn move_to_the_asking_core() {
    let own = std::process::id().to_string();
    let moved = Command::new("taskset").args(["-cp", ASKS, &own]).output();
    assert!(moved.expect("taskset must be installed").status.success());
}

/// Has the calling thread run only while nobody else wants its core.
pub(crate) fn give_way() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle).unwrap();
}

fn pinned(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", SERVES]).arg(program);
    command
}
