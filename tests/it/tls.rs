use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use callgate::config::{AccessFiles, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::service::{CHECK, Client, Service, Start, check, wait_until};

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A folder with authorities, certificates and keys.
pub(crate) struct Safe {
    folder: tempfile::TempDir,
}

/// An authority.
pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Safe {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes `NAME.pem` and `NAME.key`, for these host names and this common name.
    pub(crate) fn issue(&self, name: &str, hosts: &[&str], common: &str, authority: &Authority) {
        let mut params =
            CertificateParams::new(hosts.iter().map(ToString::to_string).collect::<Vec<_>>())
                .unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        if hosts.contains(&"mail") {
            params.subject_alt_names =
                vec![SanType::Rfc822Name("crm@acme.example".try_into().unwrap())];
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, authority).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
    }

    pub(crate) fn trust(&self, name: &str, authority: &Authority) {
        fs::write(self.path(name), authority.pem()).unwrap();
    }

    fn files(&self) -> AccessFiles {
        AccessFiles {
            tls: Some(TlsFiles {
                certificate: self.path("server.pem"),
                key: self.path("server.key"),
            }),
            ..AccessFiles::default()
        }
    }

    /// Of a client with this certificate, if any, that trusts what stands in `roots.pem`.
    fn config(&self, own: Option<&str>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let pem = fs::read(self.path("roots.pem")).unwrap();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match own {
            Some(own) => {
                let certificate = fs::read(self.path(&format!("{own}.pem"))).unwrap();
                let key = fs::read(self.path(&format!("{own}.key"))).unwrap();
                let chain = CertificateDer::pem_slice_iter(&certificate).map(Result::unwrap);
                let key = PrivateKeyDer::from_pem_slice(&key).unwrap();
                config.with_client_auth_cert(chain.collect(), key).unwrap()
            }
            None => config.with_no_client_auth(),
        }
    }

    /// A connection of such a client.
    fn connect(&self, address: &str, own: Option<&str>) -> Client<Tls> {
        let config = self.config(own);
        let stream = TcpStream::connect(address).unwrap();
        Self::over(config, stream)
    }

    /// A connection without a certificate, from this address.
    fn connect_from(&self, own: &str, address: &str) -> Client<Tls> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let own: SocketAddr = format!("{own}:0").parse().unwrap();
        socket.bind(&own.into()).unwrap();
        let address: SocketAddr = address.parse().unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(self.config(None), socket.into())
    }

    fn over(config: ClientConfig, stream: TcpStream) -> Client<Tls> {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        Client::over(StreamOwned::new(connection, stream))
    }
}

/// A service with a certificate for localhost, from an authority that is trusted.
fn serve(safe: &Safe, access: AccessFiles) -> (Service, Authority) {
    let root = authority("root");
    safe.trust("roots.pem", &root);
    safe.issue("server", &["localhost"], "server", &root);
    (
        Start {
            access,
            ..Start::new()
        }
        .serve(),
        root,
    )
}

fn curl(service: &str, arguments: &[&str]) -> String {
    let (_, port) = service.rsplit_once(':').unwrap();
    let url = format!("https://localhost:{port}/acme/access/v1/evaluation");
    let told = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "-H",
            "Content-Type: application/json",
        ])
        .args(["-d", CHECK, "-w", " %{http_version} %{http_code}"])
        .args(arguments)
        .arg(url)
        .output()
        .unwrap();
    String::from_utf8([told.stdout, told.stderr].concat()).unwrap()
}

#[test]
fn both_listeners_speak_tls_and_both_versions_of_http() {
    let safe = Safe::new();
    let (service, _) = {
        let files = safe.files();
        serve(&safe, files)
    };
    let roots = safe.text("roots.pem");
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let told = curl(&service.address, &["--cacert", &roots, flag]);
        assert_eq!(told, format!(r#"{{"decision":true}} {version} 200"#));
    }
    let mut admin = safe.connect(&service.admin, None);
    let live = "GET /livez HTTP/1.1\r\nHost: pdp\r\n\r\n";
    assert_eq!(admin.ask(live).status, 200);
    let plain = service.connect().try_ask_plainly();
    assert!(plain, "a plain request gets no answer");
    wait_until("the failed handshake", || {
        service.metric(r#"callgate_tls_handshakes_total{result="failed"}"#) == 1
    });
    assert!(service.metric(r#"callgate_tls_handshakes_total{result="done"}"#) >= 3);
    let expiry = "callgate_tls_certificate_expiry_timestamp_seconds";
    assert!(service.metric(expiry) > 1_700_000_000);
}

#[test]
fn a_connection_that_stays_is_answered_whether_it_reads_at_once_or_not() {
    let safe = Safe::new();
    let (service, _) = serve(&safe, safe.files());
    let mut client = safe.connect(&service.address, None);
    let long = format!("X-Request-Id: {}", "-".repeat(6_000));
    let asked = check("acme", CHECK).replace("Host:", &format!("{long}\r\nHost:"));
    for _ in 0..3 {
        assert_eq!(client.ask(&asked).status, 200);
    }
    for _ in 0..100 {
        client.send(&asked);
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..100 {
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn a_new_certificate_is_used_without_a_restart_and_a_broken_one_is_not() {
    let safe = Safe::new();
    let (service, root) = {
        let files = safe.files();
        serve(&safe, files)
    };
    let mut before = safe.connect(&service.address, None);
    assert_eq!(before.ask(check("acme", CHECK)).status, 200);

    let failing = || service.metric(r#"callgate_credential_failing{file="tls"}"#) == 1;
    let good = fs::read(safe.path("server.key")).unwrap();
    fs::write(
        safe.path("server.key"),
        KeyPair::generate().unwrap().serialize_pem(),
    )
    .unwrap();
    wait_until("the failure", failing);
    let mut still = safe.connect(&service.address, None);
    assert_eq!(
        still.ask(check("acme", CHECK)).status,
        200,
        "a key that does not fit"
    );
    fs::write(safe.path("server.key"), good).unwrap();
    wait_until("the key that fits", || !failing());

    let other = authority("other root");
    safe.issue("server", &["localhost"], "server", &other);
    safe.trust("roots.pem", &other);
    wait_until("the new certificate", || {
        safe.connect(&service.address, None).ask_once()
    });
    assert_eq!(
        before.ask(check("acme", CHECK)).status,
        200,
        "connections go on"
    );
    drop(root);
}

#[test]
fn certificates_prove_callers_who_are_bound_by_their_names() {
    let safe = Safe::new();
    let clients = authority("clients");
    safe.trust("clients.pem", &clients);
    safe.issue("crm", &["crm.acme.example"], "x", &clients);
    safe.issue("mail", &["mail"], "x", &clients);
    safe.issue("common", &[], "Common", &clients);
    safe.issue("nobody", &["nobody.example"], "crm.acme.example", &clients);
    safe.issue("foreign", &["crm.acme.example"], "x", &authority("foreign"));
    fs::write(
        safe.path("callers.toml"),
        "[callers.crm]\ncompanies = ['acme']\ninterfaces = ['decide']\n\
         certificates = ['CRM.acme.example', 'crm@acme.example', 'common']\n",
    )
    .unwrap();
    let files = AccessFiles {
        client_ca: Some(safe.path("clients.pem")),
        callers: Some(safe.path("callers.toml")),
        ..safe.files()
    };
    let (service, _) = serve(&safe, files);
    service.publish("other", true);
    for name in ["crm", "mail", "common"] {
        let mut client = safe.connect(&service.address, Some(name));
        assert_eq!(client.ask(check("acme", CHECK)).status, 200, "{name}");
        assert_eq!(client.ask(check("other", CHECK)).status, 403, "{name}");
    }
    let mut nobody = safe.connect(&service.address, Some("nobody"));
    let refused = nobody.ask(check("acme", CHECK));
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (401, "bad_credentials")
    );
    assert!(
        refused
            .header("www-authenticate")
            .starts_with("ClientCertificate")
    );
    for without in [None, Some("foreign")] {
        let mut client = safe.connect(&service.address, without);
        client.send(check("acme", CHECK));
        assert!(client.try_answer().is_err(), "{without:?}: no handshake");
    }
    // Probes bring none.
    let mut probe = safe.connect(&service.admin, None);
    assert_eq!(
        probe.ask("GET /livez HTTP/1.1\r\nHost: pdp\r\n\r\n").status,
        200
    );
    assert_eq!(
        probe
            .ask("GET /metrics HTTP/1.1\r\nHost: pdp\r\n\r\n")
            .status,
        401
    );
}

#[test]
fn who_is_no_longer_trusted_is_turned_away_on_a_connection_that_stays() {
    let safe = Safe::new();
    let (old, new) = (authority("old"), authority("new"));
    safe.trust("clients.pem", &old);
    safe.issue("old", &["old.example"], "x", &old);
    safe.issue("new", &["new.example"], "x", &new);
    let files = AccessFiles {
        client_ca: Some(safe.path("clients.pem")),
        ..safe.files()
    };
    let (service, _) = serve(&safe, files);
    let mut client = safe.connect(&service.address, Some("old"));
    assert_eq!(client.ask(check("acme", CHECK)).status, 200);
    fs::write(safe.path("clients.pem"), old.pem() + &new.pem()).unwrap();
    wait_until("both authorities", || {
        safe.connect(&service.address, Some("new")).ask_once()
    });
    assert_eq!(
        client.ask(check("acme", CHECK)).status,
        200,
        "checked again, and good"
    );
    safe.trust("clients.pem", &new);
    wait_until("the new authority alone", || {
        client_status(&safe, &service, "old").is_none()
    });
    let refused = client.ask(check("acme", CHECK));
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (401, "bad_credentials")
    );
}

#[test]
fn a_token_will_do_where_both_are_taken_and_weighs_more() {
    let safe = Safe::new();
    let clients = authority("clients");
    safe.trust("clients.pem", &clients);
    safe.issue("crm", &["crm.example"], "x", &clients);
    fs::write(safe.path("tokens"), "crm crm-0123456789abcdef\n").unwrap();
    let files = AccessFiles {
        client_ca: Some(safe.path("clients.pem")),
        tokens: Some(safe.path("tokens")),
        ..safe.files()
    };
    let (service, _) = serve(&safe, files);
    let with = |token: &str| {
        check("acme", CHECK).replacen("Host", &format!("Authorization: Bearer {token}\r\nHost"), 1)
    };
    for own in [None, Some("crm")] {
        let mut client = safe.connect(&service.address, own);
        assert_eq!(client.ask(with("crm-0123456789abcdef")).status, 200);
        assert_eq!(client.ask(with("crm-0123456789abcdeX")).status, 401);
        let bare = client.ask(check("acme", CHECK)).status;
        assert_eq!(bare, if own.is_some() { 200 } else { 401 });
    }
}

#[test]
fn a_handshake_that_does_not_come_is_not_waited_for() {
    let safe = Safe::new();
    let root = authority("root");
    safe.issue("server", &["localhost"], "server", &root);
    let mut start = Start::limits(|limits| limits.header_timeout = Duration::from_millis(300));
    start.access = safe.files();
    let service = start.serve();
    let mut silent = TcpStream::connect(&service.address).unwrap();
    silent
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let began = Instant::now();
    assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0);
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(
        service.metric(r#"callgate_tls_handshakes_total{result="too_slow"}"#),
        1
    );
}

#[test]
fn handshakes_come_one_after_the_other_and_too_many_are_turned_away() {
    let safe = Safe::new();
    let root = authority("root");
    safe.trust("roots.pem", &root);
    safe.issue("server", &["localhost"], "server", &root);
    let mut start = Start::limits(|limits| limits.handshakes_max = 4);
    (start.access, start.workers) = (safe.files(), 1);
    let service = start.serve();
    let _silent: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(&service.address).unwrap())
        .collect();
    let mut kept = safe.connect(&service.address, None);
    assert!(kept.ask_once(), "who says nothing takes no turn");
    let began = Instant::now();
    let answered: usize = std::thread::scope(|scope| {
        let ask = || usize::from(safe.connect(&service.address, None).ask_once());
        let clients: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        let other = scope.spawn(|| safe.connect_from("127.0.0.2", &service.address).ask_once());
        assert!(kept.ask_once());
        let open = began.elapsed();
        assert!(
            open < Duration::from_millis(500),
            "open ones do not wait: {open:?}"
        );
        assert!(other.join().unwrap(), "another address has its turn");
        let clients = clients.into_iter();
        clients.map(|client| client.join().unwrap()).sum()
    });
    // Four a second, and two wait for theirs: half of those that could, being of one address.
    assert!((2..=5).contains(&answered), "{answered}");
    let turned_away = 20 - answered as u64;
    let many = r#"callgate_tls_handshakes_total{result="too_many"}"#;
    let limit = r#"callgate_limit_reached_total{limit="handshakes"}"#;
    assert_eq!(
        [many, limit].map(|name| service.metric(name)),
        [turned_away; 2]
    );
    wait_until("a turn", || safe.connect(&service.address, None).ask_once());
}

/// The status of a check, if there is a connection at all.
fn client_status(safe: &Safe, service: &Service, own: &str) -> Option<u16> {
    let mut client = safe.connect(&service.address, Some(own));
    client.send(check("acme", CHECK));
    client.try_answer().ok().map(|answer| answer.status)
}

impl Client<Tls> {
    /// Whether a check is answered.
    fn ask_once(&mut self) -> bool {
        self.send(check("acme", CHECK));
        self.try_answer().is_ok_and(|answer| answer.status == 200)
    }
}

impl Client {
    /// Whether a request without TLS gets nothing of HTTP.
    fn try_ask_plainly(&mut self) -> bool {
        self.send(check("acme", CHECK));
        self.try_answer().is_err()
    }
}
