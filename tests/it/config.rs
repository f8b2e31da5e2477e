use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::service::{Client, request};

/// `callgate serve` as a process, with an environment of its own.
fn serve(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.arg("serve").args(arguments).env_clear();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A process that serves, and what it says.
struct Process {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts it on free ports over an empty folder.
    fn start(folder: &tempfile::TempDir) -> Self {
        let arguments = [
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--log-level",
            "off",
        ];
        let mut child = serve(&arguments)
            .arg(folder.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    /// The next line that begins so, without its beginning.
    fn line(&mut self, beginning: &str) -> String {
        let mut lines = self.said.by_ref().map(Result::unwrap);
        let line = lines.find_map(|line| line.strip_prefix(beginning).map(str::to_owned));
        line.unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_their_places_and_end_in_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("callgate.toml");
    std::fs::write(&path, "[serve]\nlisten = \"0.0.0.0:7070\"\nworkerz = 2\n").unwrap();
    let output = serve(&["--max-loss", "20%", "--config", path.to_str().unwrap()])
        .env("CALLGATE_WORKERS", "none")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    for mistake in [
        "--max-loss: `20%` is no share",
        "CALLGATE_WORKERS: `none` is no number",
        "callgate.toml:2: `0.0.0.0:7070` can be reached from other machines",
        "callgate.toml:3: unknown setting `workerz`; did you mean `workers`?",
    ] {
        assert!(told.contains(mistake), "no `{mistake}` in:\n{told}");
    }
}

#[test]
fn an_exposed_address_is_refused_on_either_listener() {
    for flag in ["--listen", "--admin"] {
        let output = serve(&[flag, "0.0.0.0:0"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty(), "nothing is bound");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("--insecure"), "{told}");
    }
}

#[test]
fn an_object_store_over_an_open_way_needs_a_key() {
    let told = |name: &str, endpoint: &str, flags: &[&str]| {
        // What is wrong besides ends it before anything begins.
        let output = serve(&["s3://bucket/fleet", "--workers", "none"])
            .args(flags)
            .envs([("AWS_ALLOW_HTTP", "true"), (name, endpoint)])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    for name in ["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"] {
        for open in [
            "http://minio:9000",
            "HTTP://minio",
            "http://127.0.0.1@minio",
        ] {
            let told = |flags: &[&str]| told(name, open, flags);
            let refused = told(&[]);
            for part in [
                "SOURCE: the way to `s3://bucket/fleet` is not",
                "AWS_ENDPOINT of https",
            ] {
                assert!(refused.contains(part), "{name}={open}: {refused}");
            }
            for enough in [&["--insecure"][..], &["--trust-key", "key.pub"]] {
                assert!(
                    !told(enough).contains("the way to"),
                    "{name}={open}, {enough:?}"
                );
            }
        }
        for closed in [
            "https://minio:9000",
            "http://127.0.0.1:9000",
            "http://[::1]",
        ] {
            assert!(
                !told(name, closed, &[]).contains("the way to"),
                "{name}={closed}"
            );
        }
    }
    // What `http://` means is not asked of whoever may not speak it.
    let output = serve(&["s3://bucket", "--workers", "none"])
        .env("AWS_ENDPOINT", "http://minio")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!told.contains("the way to"), "{told}");
}

#[test]
fn an_address_in_use_ends_in_4() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = serve(&["--listen", &address, "--admin", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8(output.stderr).unwrap().contains(&address));
}

#[test]
fn addresses_are_told_with_port_0_resolved_and_sigterm_ends_in_0() {
    let folder = tempfile::tempdir().unwrap();
    for signal in ["-TERM", "-INT"] {
        let mut process = Process::start(&folder);
        let decision = process.line("listening on http://");
        let admin = process.line("admin on http://");
        assert!(!decision.ends_with(":0") && !admin.ends_with(":0"));
        let live = Client::connect(&admin).ask(request("GET", "/livez", &[], ""));
        assert_eq!(live.status, 200);
        let ready = Client::connect(&admin).ask(request("GET", "/readyz", &[], ""));
        assert_eq!(ready.status, 503, "an empty source is a failure");
        process.signal(signal);
        assert_eq!(process.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(&folder);
    let decision = process.line("listening on http://");
    let admin = process.line("admin on http://");
    let mut running = Client::connect(&decision);
    running
        .send("POST /acme/access/v1/evaluation HTTP/1.1\r\nHost: pdp\r\nContent-Length: 9\r\n\r\n");
    let in_flight = || {
        let metrics = Client::connect(&admin).ask(request("GET", "/metrics", &[], ""));
        metrics.body.contains("callgate_requests_in_flight 1")
    };
    while !in_flight() {}
    process.signal("-TERM");
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(
        process.child.try_wait().unwrap(),
        None,
        "it waits for what runs"
    );
    process.signal("-TERM");
    assert_eq!(process.child.wait().unwrap().code(), Some(143));
}

#[test]
fn help_tells_every_flag_with_its_default() {
    let output = serve(&["--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for setting in callgate::config::SETTINGS {
        let shown = match setting.name {
            "source" => "[SOURCE]".to_owned(),
            name => format!("--{name}"),
        };
        assert!(help.contains(&shown), "no {shown} in:\n{help}");
    }
    // Where a line ends is the terminal's matter.
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("[default: 127.0.0.1:7070]"), "{help}");
}
