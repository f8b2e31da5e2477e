use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use callgate::access::Access;
use callgate::config::{AccessFiles, SocketRights};
use callgate::telemetry::Metrics;

use crate::service::{Answer, CHECK, Client, Service, Start, request, wait_until};

const JSON: &str = "Content-Type: application/json";
const CRM: &str = "crm-0123456789abcdef";
const OPS: &str = "ops-0123456789abcdef";
const STRAY: &str = "stray-0123456789abcdef";

const TOKENS: &str = "\
# who  what
crm    crm-0123456789abcdef
ops    ops-0123456789abcdef  # of the operators

stray  stray-0123456789abcdef
";

const CALLERS: &str = r#"
[callers.crm]
companies = ["acme"]
interfaces = ["decide", "batch"]

[callers.ops]
companies = ["*"]
interfaces = ["*"]
"#;

/// A folder with tokens and bounds, and a service that asks for them.
struct House {
    folder: tempfile::TempDir,
    service: Service,
}

impl House {
    fn start(callers: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("tokens"), TOKENS).unwrap();
        if let Some(callers) = callers {
            fs::write(path("callers.toml"), callers).unwrap();
        }
        let access = AccessFiles {
            tokens: Some(path("tokens")),
            callers: callers.map(|_| path("callers.toml")),
            ..AccessFiles::default()
        };
        let start = Start {
            access,
            ..Start::new()
        };
        let service = start.serve();
        service.publish("other", true);
        Self { folder, service }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn ask(&self, token: &str, path: &str, body: &str) -> Answer {
        let token = format!("Authorization: Bearer {token}");
        let headers = [JSON, &token];
        self.service.ask(request("POST", path, &headers, body))
    }

    fn admin(&self, token: &str, path: &str) -> Answer {
        let token = format!("Authorization: Bearer {token}");
        let mut client = Client::connect(&self.service.admin);
        client.ask(request("GET", path, &[&token], ""))
    }
}

fn verdict(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn without_a_token_that_is_known_nothing_is_answered() {
    let house = House::start(None);
    let path = "/acme/access/v1/evaluation";
    let none = house.service.ask(request("POST", path, &[JSON], CHECK));
    assert_eq!(verdict(&none), is(401, "no_credentials"));
    assert_eq!(
        none.header("www-authenticate"),
        r#"Bearer realm="callgate""#
    );
    let wrong = house.ask("crm-0123456789abcdeF", path, CHECK);
    assert_eq!(verdict(&wrong), is(401, "bad_credentials"));
    assert!(wrong.header("www-authenticate").contains("invalid_token"));
    for token in [CRM, OPS] {
        assert_eq!(house.ask(token, path, CHECK).status, 200);
    }
    let known = format!("Authorization: bearer {CRM}");
    let lower = house
        .service
        .ask(request("POST", path, &[JSON, &known], CHECK));
    assert_eq!(lower.status, 200, "a scheme has no case");
    let twice = [JSON, &known, &known];
    let twice = house.service.ask(request("POST", path, &twice, CHECK));
    assert_eq!(verdict(&twice), is(401, "bad_credentials"));
    let basic = [JSON, "Authorization: Basic Y3JtOng="];
    let basic = house.service.ask(request("POST", path, &basic, CHECK));
    assert_eq!(verdict(&basic), is(401, "no_credentials"));
    let nowhere = request("GET", "/nowhere", &[], "");
    let refused = || {
        let count = r#"callgate_callers_refused_total{reason="no_credentials"}"#;
        house.service.metric(count)
    };
    let before = refused();
    let nowhere = house.service.connect().ask(nowhere);
    assert_eq!(refused(), before + 1);
    assert_eq!(nowhere.status, 401, "not even what is there is told");
    let metadata = "/.well-known/authzen-configuration/acme";
    assert_eq!(
        house.service.ask(request("GET", metadata, &[], "")).status,
        401
    );
}

#[test]
fn a_refused_request_leaves_its_connection_in_no_doubt() {
    let house = House::start(None);
    let path = "/acme/access/v1/evaluation";
    let mut client = house.service.connect();
    let known = format!("Authorization: Bearer {CRM}");
    client.send(request("POST", path, &[JSON], CHECK));
    client.send(request("POST", path, &[JSON, &known], CHECK));
    assert_eq!([client.answer().status, client.answer().status], [401, 200]);
}

#[test]
fn probes_prove_nothing_and_all_else_of_the_operators_is_theirs_by_name() {
    for callers in [None, Some(CALLERS)] {
        let house = House::start(callers);
        let bare = |path: &str| house.service.admin("GET", path, "").status;
        assert_eq!([bare("/livez"), bare("/readyz")], [200, 200]);
        let rest = ["/readyz?verbose", "/metrics", "/v1/snapshots", "/nowhere"];
        assert_eq!(rest.map(bare), [401; 4]);
        assert_eq!(house.service.admin("POST", "/v1/reload", "").status, 401);
        let named = callers.is_some();
        for path in ["/readyz?verbose", "/metrics", "/v1/snapshots"] {
            assert_eq!(house.admin(CRM, path).status, 403, "{path}");
            let ops = house.admin(OPS, path).status;
            assert_eq!(ops, if named { 200 } else { 403 }, "{path}");
        }
    }
}

#[test]
fn a_caller_reaches_its_companies_and_interfaces_alone() {
    let house = House::start(Some(CALLERS));
    let ask = |path: &str| verdict(&house.ask(CRM, path, CHECK));
    assert_eq!(ask("/acme/access/v1/evaluation").0, 200);
    assert_eq!(ask("/acme/access/v1/evaluations").0, 200);
    for interface in [
        "/acme/v1/filter",
        "/acme/v1/explain",
        "/acme/access/v1/search/subject",
        "/other/access/v1/evaluation",
        "/other/v1/filter",
        "/nobody/access/v1/evaluation",
    ] {
        assert_eq!(ask(interface), is(403, "not_allowed"), "{interface}");
    }
    // Which company is meant, two being there, nobody knows.
    assert_eq!(ask("/access/v1/evaluation"), is(403, "not_allowed"));
    assert_eq!(house.ask(OPS, "/access/v1/evaluation", CHECK).status, 404);
    house.service.companies.remove("other");
    assert_eq!(ask("/access/v1/evaluation").0, 200);
    house.service.publish("other", true);
    house.service.companies.remove("acme");
    assert_eq!(ask("/access/v1/evaluation"), is(403, "not_allowed"));
    assert_eq!(
        house.ask(OPS, "/other/access/v1/evaluation", CHECK).status,
        200
    );
    assert_eq!(
        verdict(&house.ask(STRAY, "/acme/access/v1/evaluation", CHECK)),
        is(403, "not_allowed"),
        "who is not named in the file may do nothing"
    );
    let counted = |reason: &str| {
        let metric = format!(r#"callgate_callers_refused_total{{reason="{reason}"}}"#);
        house.service.metric(&metric)
    };
    assert_eq!((counted("interface"), counted("company")), (5, 4));
}

#[test]
fn metadata_is_told_of_a_callers_companies_alone() {
    let house = House::start(Some(CALLERS));
    let ask = |token: &str, path: &str| {
        let token = format!("Authorization: Bearer {token}");
        let path = format!("/.well-known/authzen-configuration{path}");
        house
            .service
            .ask(request("GET", &path, &[&token], ""))
            .status
    };
    // 404: the service does not know its own URL.
    assert_eq!(
        [ask(CRM, "/acme"), ask(CRM, "/other"), ask(CRM, "")],
        [404, 403, 404]
    );
    assert_eq!(ask(OPS, "/other"), 404);
}

#[test]
fn an_explanation_inside_a_check_takes_the_right_to_explain() {
    let house = House::start(Some(CALLERS));
    let explain = CHECK.replacen('{', r#"{"context":{"callgate":{"explain":true}},"#, 1);
    let one = "/acme/access/v1/evaluation";
    assert_eq!(
        verdict(&house.ask(CRM, one, &explain)),
        is(403, "not_allowed")
    );
    assert_eq!(house.ask(OPS, one, &explain).status, 200);
    let several = "/acme/access/v1/evaluations";
    for items in [1, 100] {
        let items = vec![explain.as_str(); items].join(",");
        let batch = format!(r#"{{"evaluations":[{items}]}}"#);
        assert_eq!(
            verdict(&house.ask(CRM, several, &batch)),
            is(403, "not_allowed")
        );
        assert_eq!(house.ask(OPS, several, &batch).status, 200);
        let plain = format!(r#"{{"evaluations":[{}]}}"#, vec![CHECK; 100].join(","));
        assert_eq!(house.ask(CRM, several, &plain).status, 200);
    }
}

#[test]
fn new_tokens_and_bounds_count_without_a_restart_and_broken_ones_change_nothing() {
    let house = House::start(Some(CALLERS));
    let path = "/acme/access/v1/evaluation";
    let status = |token: &str| house.ask(token, path, CHECK).status;
    let new = "crm-fedcba9876543210";
    house.write("tokens", &TOKENS.replace(CRM, new));
    wait_until("the new token", || status(new) == 200);
    assert_eq!(status(CRM), 401);
    assert_eq!(status(OPS), 200);

    let failing = |file: &str| {
        let metric = format!(r#"callgate_credential_failing{{file="{file}"}}"#);
        house.service.metric(&metric) == 1
    };
    for broken in ["", "crm", "crm short", "crm a-token-of-this-length twice"] {
        house.write("tokens", TOKENS);
        wait_until("what is right", || status(CRM) == 200 && !failing("tokens"));
        house.write("tokens", broken);
        wait_until("the failure", || failing("tokens"));
        assert_eq!(status(CRM), 200, "`{broken}` changes nothing");
    }
    fs::remove_file(house.folder.path().join("tokens")).unwrap();
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(status(CRM), 200, "neither does a file that is gone");

    house.write("callers.toml", "[callers.crm]\ncompanies = [");
    wait_until("the failure", || failing("callers"));
    assert_eq!(status(CRM), 200);
    house.write("callers.toml", &CALLERS.replace("acme", "other"));
    wait_until("the new bounds", || status(CRM) == 403);
    assert!(!failing("callers"));
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_place_and_without_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (tokens, callers) = (folder.path().join("tokens"), folder.path().join("callers"));
    let load = |tokens: Option<&PathBuf>, callers: Option<&PathBuf>| {
        let files = AccessFiles {
            tokens: tokens.cloned(),
            callers: callers.cloned(),
            ..AccessFiles::default()
        };
        let metrics = Metrics::new(1, 1, []);
        let Err(error) = Access::load(files, metrics.into()) else {
            panic!("it is accepted");
        };
        error.to_string()
    };
    for (text, told) in [
        ("crm\n", ":1: a line is `NAME TOKEN`"),
        ("\ncrm too-short-secret\ncrm 0123\n", ":3: a token is 16 to"),
        ("cr/m 0123456789abcdef\n", ":1: a caller's name"),
        (
            "a 0123456789abcdef\nb 0123456789abcdef\n",
            ":2: this token stands in line 1",
        ),
        ("# nobody\n", "no token in it"),
    ] {
        fs::write(&tokens, text).unwrap();
        let error = load(Some(&tokens), None);
        assert!(error.contains(told), "`{told}` is not in `{error}`");
        assert!(
            !error.contains("0123") && !error.contains("secret"),
            "{error}"
        );
    }
    for (text, told) in [
        ("[callers.a]\ninterfaces = ['decide']", "companies"),
        (
            "[callers.a]\ncompanies = ['*']\ninterfaces = []",
            "name one at least",
        ),
        (
            "[callers.a]\ncompanies = ['A']\ninterfaces = ['*']",
            "`A` is no company's name",
        ),
        (
            "[callers.a]\ncompanies = ['a']\ninterfaces = ['decied']",
            "there are decide, batch",
        ),
        (
            "[callers.a]\ncompanies = ['a']\ninterfaces = ['*']\ncompany = 'b'",
            "company",
        ),
    ] {
        fs::write(&callers, text).unwrap();
        let error = load(None, Some(&callers));
        assert!(error.contains(told), "`{told}` is not in `{error}`");
    }
    fs::remove_file(&tokens).unwrap();
    assert!(load(Some(&tokens), None).contains("cannot be opened"));
}

#[test]
fn a_unix_socket_has_the_rights_that_are_set_and_a_caller_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decide.sock");
    let callers = folder.path().join("callers.toml");
    fs::write(
        &callers,
        CALLERS.replace("[callers.crm]", "[callers.crm]\nunix = true"),
    )
    .unwrap();
    let own = fs::metadata(folder.path()).unwrap();
    let start = Start {
        unix: Some(path.clone()),
        socket: SocketRights {
            mode: 0o620,
            owner: Some(own.uid()),
            group: Some(own.gid()),
        },
        access: AccessFiles {
            callers: Some(callers),
            ..AccessFiles::default()
        },
        ..Start::new()
    };
    let service = start.serve();
    let file = fs::metadata(&path).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o620);
    assert_eq!((file.uid(), file.gid()), (own.uid(), own.gid()));
    let mut client = Client::over(UnixStream::connect(&path).unwrap());
    let mut ask = |path: &str| client.ask(request("POST", path, &[JSON], CHECK)).status;
    assert_eq!(ask("/acme/access/v1/evaluation"), 200);
    assert_eq!(ask("/acme/v1/filter"), 403);
    assert_eq!(service.check(CHECK).status, 401, "not so by TCP");
}

#[test]
fn a_unix_socket_is_its_owners_alone_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decide.sock");
    let start = Start {
        unix: Some(path.clone()),
        ..Start::new()
    };
    let _service = start.serve();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
