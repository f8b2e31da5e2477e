//! Snapshots that travel: envelopes, signatures, generations, ages, the shadow.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{Tree, users};
use crate::process::Process;
use crate::service::{Answer, Client, post};

pub(crate) const CHECK: &str = r#"{"subject":{"type":"user","id":"olga"},"action":{"name":"listen"},"resource":{"type":"call","id":"c1"}}"#;

pub(crate) fn callgate(arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    for argument in arguments {
        command.arg(argument);
    }
    command.output().unwrap()
}

#[track_caller]
pub(crate) fn done(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
pub(crate) fn fails(output: &Output, code: i32, says: &str) {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{complaint}");
    assert!(complaint.contains(says), "no `{says}` in: {complaint}");
}

/// A folder of snapshots of a tree, and keys.
pub(crate) struct Compiled {
    pub(crate) folder: TempDir,
}

impl Compiled {
    pub(crate) fn of(tree: &Tree) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("out")).unwrap();
        let compiled = Self { folder };
        compiled.again(tree);
        compiled
    }

    /// Compiles again, beside, so that what is signed comes at once.
    pub(crate) fn beside(&self, tree: &Tree) -> PathBuf {
        let beside = self.folder.path().join("beside");
        done(&callgate(&[&"compile", &tree.path(), &"-o", &beside]));
        beside.join("acme.callgate")
    }

    pub(crate) fn again(&self, tree: &Tree) {
        let beside = self.beside(tree);
        fs::rename(beside, self.file()).unwrap();
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.out().join("acme.callgate")
    }

    pub(crate) fn key(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = self.folder.path().join(name);
        if !key.exists() {
            done(&callgate(&[&"keygen", &"-o", &key]));
        }
        let public = self.folder.path().join(format!("{name}.pub"));
        (key, public)
    }

    /// Signs what the tree is now as this generation, and puts it in place.
    pub(crate) fn release(&self, tree: &Tree, key: &str, generation: u64) {
        let (beside, (key, _)) = (self.beside(tree), self.key(key));
        let generation = generation.to_string();
        let sign: [&dyn AsRef<std::ffi::OsStr>; 6] = [
            &"sign",
            &beside,
            &"--key",
            &key,
            &"--generation",
            &generation,
        ];
        done(&callgate(&sign));
        fs::rename(beside, self.file()).unwrap();
    }

    pub(crate) fn serve(&self, flags: &[&str]) -> Process {
        serve(&self.out(), flags)
    }
}

pub(crate) fn serve(source: &Path, flags: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.arg("serve").arg(source);
    command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command
        .args(["--log-level", "off", "--workers", "1"])
        .args(flags)
        .env_clear();
    Process::spawn(command)
}

pub(crate) fn ask(process: &Process, body: &str) -> Answer {
    Client::connect(process.address()).ask(post("acme", "/access/v1/evaluation", body))
}

pub(crate) fn listens(process: &Process) -> bool {
    ask(process, CHECK).body == r#"{"decision":true}"#
}

fn with_generation(least: u64) -> String {
    let context = format!(r#"{{"context":{{"callgate":{{"min_generation":{least}}}}},"#);
    CHECK.replacen('{', &context, 1)
}

#[test]
fn inspect_tells_what_a_file_holds_with_and_without_an_envelope() {
    let (tree, json) = (Tree::new(), "--format=json");
    let compiled = Compiled::of(&tree);
    let read = |file: &Path| -> Value {
        serde_json::from_str(&done(&callgate(&[&"inspect", &file, &json]))).unwrap()
    };
    let bare = read(&compiled.file());
    assert_eq!(bare["company"], "acme");
    assert_eq!((&bare["users"], &bare["objects"]), (&json!(10), &json!(0)));
    assert_eq!(
        (&bare["envelope"], &bare["signature"]),
        (&json!(null), &json!("none"))
    );
    let sections = bare["sections"].as_array().unwrap();
    assert_eq!(
        (sections.len(), &sections[0]["name"]),
        (50, &json!("texts"))
    );
    let body = fs::read(compiled.file()).unwrap();
    compiled.release(&tree, "key", 7);
    let sealed = read(&compiled.file());
    assert_eq!(
        (&sealed["digest"], &sealed["sections"]),
        (&bare["digest"], &bare["sections"])
    );
    assert_eq!(sealed["envelope"]["generation"], 7);
    assert_eq!(
        sealed["envelope"]["body_digest"],
        blake3::hash(&body).to_hex().as_str()
    );
    assert_eq!(sealed["signature"], "right");
    assert!(
        fs::read(compiled.file()).unwrap().ends_with(&body),
        "the body lies in it as it was"
    );
    let text = done(&callgate(&[&"inspect", &compiled.file()]));
    for line in ["generation   7", "users        10", "signature    right"] {
        assert!(text.contains(line), "no `{line}` in:\n{text}");
    }
}

#[test]
fn every_flipped_bit_of_an_envelope_is_refused() {
    use callgate::snapshot::{PublicKey, Snapshot, Trust};
    let tree = Tree::new();
    let compiled = Compiled::of(&tree);
    compiled.release(&tree, "key", 7);
    let public = fs::read_to_string(compiled.key("key").1).unwrap();
    let trust = Trust::new(vec![PublicKey::from_pem(&public).unwrap()]);
    let whole = fs::read(compiled.file()).unwrap();
    let open = |bytes: &[u8]| Snapshot::open(&mut &*bytes, bytes.len() as u64, &trust);
    let (_, envelope) = open(&whole).unwrap();
    let end = envelope.unwrap().to_bytes().len();
    let mut bytes = whole.clone();
    for at in 0..end + 100 {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            assert!(open(&bytes).is_err(), "bit {bit} of {at}");
            bytes[at] = whole[at];
        }
        assert!(open(&whole[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn verify_takes_what_a_trusted_key_signed_and_nothing_else() {
    let tree = Tree::new();
    let compiled = Compiled::of(&tree);
    let ((key, public), (_, other)) = (compiled.key("key"), compiled.key("other"));
    let file = compiled.file();
    let verify = |keys: &[&PathBuf]| {
        let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"verify", &file];
        for key in keys {
            arguments.extend([&"--trust-key" as &dyn AsRef<std::ffi::OsStr>, key]);
        }
        callgate(&arguments)
    };
    fails(&verify(&[&public]), 3, "not signed");
    fails(
        &callgate(&[&"sign", &file, &"--key", &key]),
        2,
        "--generation",
    );
    compiled.release(&tree, "key", 1);
    done(&verify(&[&public]));
    done(&verify(&[&other, &public]));
    fails(&verify(&[&other]), 3, "no trusted key");
    // A second signature, for those who trust the new key already.
    done(&callgate(&[
        &"sign",
        &file,
        &"--key",
        &compiled.key("other").0,
    ]));
    done(&verify(&[&other]));
    done(&verify(&[&public]));
    fails(&callgate(&[&"keygen", &"-o", &key]), 4, "cannot write");
    fails(
        &callgate(&[&"sign", &file, &"--key", &public]),
        2,
        "private key",
    );
}

#[test]
fn openssl_reads_and_makes_the_same_keys() {
    let folder = tempfile::tempdir().unwrap();
    let (theirs, ours) = (folder.path().join("theirs"), folder.path().join("ours"));
    let openssl = |arguments: &[&str]| {
        let made = Command::new("openssl").args(arguments).output().unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        String::from_utf8(made.stdout).unwrap()
    };
    openssl(&[
        "genpkey",
        "-algorithm",
        "ed25519",
        "-out",
        theirs.to_str().unwrap(),
    ]);
    let tree = Tree::new();
    let compiled = Compiled::of(&tree);
    done(&callgate(&[
        &"sign",
        &compiled.file(),
        &"--key",
        &theirs,
        &"--generation",
        &"1",
    ]));
    done(&callgate(&[&"keygen", &"-o", &ours]));
    let public = openssl(&["pkey", "-in", ours.to_str().unwrap(), "-pubout"]);
    let written = fs::read_to_string(folder.path().join("ours.pub")).unwrap();
    assert_eq!(public, written);
}

#[test]
fn a_service_takes_what_it_trusts_and_nothing_older() {
    let tree = Tree::new();
    let compiled = Compiled::of(&tree);
    let ((_, public), _) = (compiled.key("key"), compiled.key("other"));
    compiled.release(&tree, "key", 7);
    let mut process = compiled.serve(&["--trust-key", public.to_str().unwrap()]);
    process.line();
    assert_eq!(process.snapshot("acme")["generation"], 7);
    let revision = process.snapshot("acme")["revision"].clone();
    tree.write("companies/acme/users.csv", &users("listener"));
    let refused = |code: &str| {
        let counted = format!(r#"callgate_snapshot_loads_total{{result="{code}"}}"#);
        process.until(code, |process| {
            process.snapshot("acme")["failure"]["code"] == code
        });
        assert_eq!(
            process.snapshot("acme")["revision"],
            revision,
            "what ran goes on"
        );
        assert!(!listens(&process) && process.metric(&counted) >= 1.0);
    };
    compiled.again(&tree);
    refused("unsigned");
    compiled.release(&tree, "other", 8);
    refused("untrusted_key");
    compiled.release(&tree, "key", 8);
    let mut bytes = fs::read(compiled.file()).unwrap();
    let at = bytes
        .windows(13)
        .position(|is| is == br#""generation":"#)
        .unwrap()
        + 13;
    bytes[at] = b'9';
    let beside = compiled.folder.path().join("forged");
    fs::write(&beside, &bytes).unwrap();
    fs::rename(&beside, compiled.file()).unwrap();
    refused("wrong_signature");
    compiled.release(&tree, "key", 6);
    refused("rollback");
    compiled.release(&tree, "key", 7);
    refused("rollback");
    let told = process.admin("POST", "/v1/reload", r#"{"accept_rollback":true}"#);
    assert_eq!(told.status, 200);
    assert!(listens(&process));
    compiled.release(&tree, "key", 9);
    process.until("9", |process| process.snapshot("acme")["generation"] == 9);
    let metric = process.metric(r#"callgate_snapshot_generation{company="acme"}"#);
    assert_eq!(metric, 9.0);
}

#[test]
fn a_snapshot_of_another_company_is_refused() {
    let tree = Tree::new();
    tree.company("bolt");
    let compiled = Compiled::of(&tree);
    let beside = compiled.folder.path().join("beside/bolt.callgate");
    fs::rename(beside, compiled.file()).unwrap();
    let mut process = compiled.serve(&[]);
    process.line();
    assert_eq!(process.snapshot("acme")["failure"]["code"], "other_company");
}

#[test]
fn policies_are_not_signed_and_a_service_that_trusts_a_key_takes_none() {
    let tree = Tree::new();
    let compiled = Compiled::of(&tree);
    let public = compiled.key("key").1;
    let mut process = serve(tree.path(), &["--trust-key", public.to_str().unwrap()]);
    process.line();
    assert_eq!(process.snapshot("acme")["failure"]["code"], "unsigned");
}

#[test]
fn a_reload_gives_a_number_and_requests_wait_for_it() {
    let tree = Tree::new();
    let mut process = serve(tree.path(), &["--generation-timeout", "1s"]);
    process.line();
    assert_eq!(process.snapshot("acme")["generation"], Value::Null);
    let told = process.admin("POST", "/v1/reload", "").body;
    let told: Value = serde_json::from_str(&told).unwrap();
    let number = told["companies"][0]["generation"].as_u64().unwrap();
    assert_eq!(ask(&process, &with_generation(number)).status, 200);
    // Nobody reloads: the wait is bounded.
    let began = Instant::now();
    let late = ask(&process, &with_generation(number + 1));
    assert_eq!((late.status, late.header("retry-after")), (503, "1"));
    assert!(
        late.body.contains("generation_not_reached"),
        "{}",
        late.body
    );
    assert!(
        began.elapsed() >= Duration::from_millis(900),
        "{:?}",
        began.elapsed()
    );
    // Whoever changed a right, and asks with the number of a reload to come, reads its own write.
    tree.write("companies/acme/users.csv", &users("listener"));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(&process, &with_generation(number + 1)).body);
        let batch = scope.spawn(|| {
            let item = with_generation(number + 1).replace("min_", r"\u006Din\u005f");
            let body = format!(r#"{{"evaluations":[{item}]}}"#);
            let asked = post("acme", "/access/v1/evaluations", &body);
            Client::connect(process.address()).ask(asked).body
        });
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(process.admin("POST", "/v1/reload", "").status, 200);
        assert_eq!(waiting.join().unwrap(), r#"{"decision":true}"#);
        let batch = batch.join().unwrap();
        assert_eq!(batch, r#"{"evaluations":[{"decision":true}]}"#);
    });
    // What cannot be activated gets no number.
    tree.write("companies/acme/users.csv", "user,roles\nolga,nobody\n");
    process.admin("POST", "/v1/reload", "");
    assert_eq!(process.snapshot("acme")["generation"], number + 1);
}

#[test]
fn what_is_too_old_decides_denies_or_is_not_ready() {
    for (when, denies, ready) in [
        ("serve", false, 200),
        ("deny", true, 200),
        ("unready", false, 503),
    ] {
        let tree = Tree::new();
        tree.write("companies/acme/users.csv", &users("listener"));
        let flags = ["--max-staleness", "1500ms", "--when-stale", when];
        let mut process = serve(tree.path(), &flags);
        process.line();
        assert!(listens(&process), "{when}");
        assert_eq!(process.admin("GET", "/readyz", "").status, 200);
        // A broken change lets the age grow.
        let users_csv = users("listener");
        tree.write("companies/acme/users.csv", "user,roles\nolga,nobody\n");
        std::thread::sleep(Duration::from_millis(2_300));
        assert_eq!(listens(&process), !denies, "{when}");
        assert_eq!(process.admin("GET", "/readyz", "").status, ready, "{when}");
        let page = process.admin("GET", "/readyz?company=acme", "").status;
        assert_eq!(page, ready, "{when}");
        if denies {
            let search =
                r#"{"subject":{"type":"user","id":"olga"},"resource":{"type":"call","id":"c1"}}"#;
            let search = post("acme", "/access/v1/search/action", search);
            let answer = Client::connect(process.address()).ask(search);
            assert!(answer.body.contains("policy_too_old") && answer.status == 503);
            let denied = r#"callgate_decisions_total{api="evaluation",decision="deny",reason="policy_too_old"}"#;
            assert_eq!(process.metric(denied), 1.0);
        }
        tree.write("companies/acme/users.csv", &users_csv);
        process.until("fresh again", |process| {
            listens(process) && process.admin("GET", "/readyz", "").status == 200
        });
    }
}

#[test]
fn a_shadow_is_compared_and_answers_nothing() {
    let (tree, candidate) = (Tree::new(), Tree::new());
    candidate.write("companies/acme/users.csv", &users("listener"));
    let mut process = serve(
        tree.path(),
        &["--shadow", candidate.path().to_str().unwrap()],
    );
    process.line();
    let count = |result: &str| {
        process.metric(&format!(
            r#"callgate_shadow_decisions_total{{result="{result}"}}"#
        ))
    };
    process.until("the shadow", |process| {
        assert!(!listens(process), "nothing it says is answered");
        count("gain") > 0.0
    });
    let view = CHECK.replace("listen", "view");
    let same = count("same");
    assert_eq!(ask(&process, &view).body, r#"{"decision":true}"#);
    assert_eq!(count("same"), same + 1.0);
    assert_eq!(count("loss"), 0.0);
    tree.write("companies/acme/users.csv", &users("listener"));
    candidate.write("companies/acme/users.csv", &users("operator"));
    process.until("the loss", |process| {
        listens(process);
        count("loss") > 0.0
    });
}
