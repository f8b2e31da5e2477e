//! Tokens, good and bad: the cases of `tests/identity/tokens.yaml`.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use callgate::config::{Algorithm, Identity, Jwks, Jwt, TokenPlace};
use callgate::identity::{Identities, NotKnown};
use callgate::telemetry::Metrics;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Request;
use super::signer::{Signer, seconds};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "demo")]
    company: String,
    #[serde(default = "first")]
    sign: String,
    header: Option<String>,
    claims: Option<String>,
    headers: Option<Vec<(String, String)>>,
    expect: String,
}

fn demo() -> String {
    "demo".to_owned()
}

fn first() -> String {
    "e1".to_owned()
}

/// The claims of a good token of the company `demo`.
const CLAIMS: &str = r#"{"iss":"https://id.demo.example","aud":"crm","sub":"olga","exp":NOW+60}"#;

/// Private keys by their ids, and the set that tells of them.
struct Keys {
    signers: HashMap<&'static str, Signer>,
    set: Value,
}

impl Keys {
    fn new() -> Self {
        let [e1, der] = Signer::ec_twice();
        let signers = HashMap::from([
            ("e1", e1),
            ("der", der),
            ("zeros", Signer::Bytes(vec![0; 64])),
            ("zero", Signer::Bytes(vec![0])),
            ("r1", Signer::rsa()),
            ("d1", Signer::ed()),
            ("p1", Signer::pss()),
            ("enc", Signer::ec()),
            ("ops", Signer::ec()),
            ("twin", Signer::ec()),
            ("stranger", Signer::ec()),
            ("none", Signer::None),
        ]);
        let jwk = |id: &str, more: Value| signers[id].jwk(id, &more);
        let r1 = jwk("r1", json!({"use": "sig"}));
        let secret = r1["n"].as_str().unwrap().as_bytes().to_vec();
        let hmac = Signer::Hmac(secret);
        let set = json!({"keys": [
            jwk("e1", json!({"alg": "ES256", "use": "sig", "key_ops": ["verify"]})),
            r1,
            jwk("d1", json!({})),
            jwk("p1", json!({"alg": "PS256"})),
            jwk("enc", json!({"use": "enc"})),
            jwk("ops", json!({"key_ops": ["deriveKey"]})),
            jwk("twin", json!({})),
            Signer::ec().jwk("twin", &json!({})),
            hmac.jwk("o1", &json!({"alg": "HS256"})),
            {"kty": "AKP", "kid": "later", "alg": "ML-DSA-44", "pub": "AAAA"},
            {"kty": "EC", "crv": "P-521", "kid": "large", "x": "AAAA", "y": "AAAA"},
        ]});
        let mut signers = signers;
        signers.insert("hmac", hmac);
        Self { signers, set }
    }
}

pub(super) fn jwt(path: &Path, issuer: &str, audience: &[&str], claim: &[&str]) -> Jwt {
    Jwt {
        jwks: Jwks::File(path.to_owned()),
        jwks_ca: None,
        jwks_refresh: Duration::from_secs(300),
        issuer: issuer.to_owned(),
        audience: audience.iter().map(ToString::to_string).collect(),
        algorithms: vec![Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa],
        claim: claim.iter().map(ToString::to_string).collect(),
        from: vec![
            TokenPlace::Authorization,
            TokenPlace::Cookie("session".to_owned()),
        ],
        clock_skew: Duration::from_secs(30),
    }
}

/// The three companies of the cases.
fn identities(path: &Path, metrics: &Arc<Metrics>) -> Arc<Identities> {
    let demo = jwt(path, "https://id.demo.example", &["crm"], &["sub"]);
    let mut acme = jwt(
        path,
        "https://id.acme.example",
        &["crm-acme", "desk"],
        &["email"],
    );
    acme.algorithms = vec![Algorithm::Es256];
    let bank = jwt(path, "https://id.bank.example", &["crm"], &["user", "id"]);
    let own = [("acme", acme), ("bank", bank)];
    let own = own.map(|(company, jwt)| (company.to_owned(), Identity::Jwt(jwt)));
    let poll = Duration::from_millis(20);
    Identities::start(Some(Identity::Jwt(demo)), own.into(), metrics, poll).unwrap()
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(1, 1, []))
}

/// A key set in a file, and identities that take it.
struct House {
    folder: tempfile::TempDir,
    metrics: Arc<Metrics>,
    identities: Arc<Identities>,
}

impl House {
    fn new(set: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        std::fs::write(&path, set.to_string()).unwrap();
        let metrics = metrics();
        let identities = identities(&path, &metrics);
        Self {
            folder,
            metrics,
            identities,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keys.json")
    }

    fn who_at(&self, company: &str, token: &str, now: SystemTime) -> String {
        let value = format!("Bearer {token}");
        let request = Request::with(&[("authorization", value.as_bytes())]);
        told(&self.identities, company, &request, now)
    }

    fn who(&self, token: &str) -> String {
        self.who_at("demo", token, SystemTime::now())
    }

    fn until(&self, token: &str, expected: &str) {
        for _ in 0..500 {
            if self.who(token) == expected {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("never `{expected}`: {}", self.who(token));
    }

    /// How many signatures were checked and found good.
    fn checks(&self) -> u64 {
        count(
            &self.metrics,
            r#"callgate_token_checks_total{result="good"}"#,
        )
    }
}

pub(super) fn count(metrics: &Metrics, name: &str) -> u64 {
    let text = metrics.text(Vec::new()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().parse().unwrap()
}

pub(super) fn told(
    identities: &Identities,
    company: &str,
    request: &Request,
    now: SystemTime,
) -> String {
    match identities.who(company, request, now) {
        Ok(Some(who)) => who.as_str().to_owned(),
        Ok(None) => "nobody".to_owned(),
        Err(why) => why.code().to_owned(),
    }
}

/// Puts times where `NOW+60` stands.
fn timed(text: &str, now: SystemTime) -> String {
    let mut pieces = text.split("NOW");
    let mut timed = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let is_offset = |c: char| c.is_ascii_digit() || "+-".contains(c);
        let end = piece.find(|c: char| !is_offset(c));
        let (offset, rest) = piece.split_at(end.unwrap_or(piece.len()));
        let offset: i64 = offset.parse().unwrap();
        let time = seconds(now).checked_add_signed(offset).unwrap();
        timed.push_str(&time.to_string());
        timed.push_str(rest);
    }
    timed
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/identity/tokens.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn each_token_is_whose_it_is_or_nobodys() {
    let keys = Keys::new();
    let house = House::new(&keys.set);
    let now = SystemTime::now();
    let mut failures = Vec::new();
    for case in cases() {
        let signer = &keys.signers[case.sign.as_str()];
        let deep = |text: &str| text.replace("DEEP", &"[".repeat(5_000));
        let claims = deep(&timed(case.claims.as_deref().unwrap_or(CLAIMS), now));
        let stranger = keys.signers["stranger"].jwk("", &json!({}));
        let token = match case.header.as_deref().map(deep) {
            Some(header) => {
                let header = header.replace("JWK_X", stranger["x"].as_str().unwrap());
                signer.sign(
                    &header.replace("JWK_Y", stranger["y"].as_str().unwrap()),
                    &claims,
                )
            }
            None => {
                let alg = match case.sign.as_str() {
                    "r1" => "RS256",
                    "d1" => "EdDSA",
                    _ => "ES256",
                };
                let header = json!({"alg": alg, "kid": case.sign, "typ": "JWT"});
                signer.sign(&header.to_string(), &claims)
            }
        };
        let headers = case.headers.clone().unwrap_or_else(|| {
            let bearer = ("authorization".to_owned(), "Bearer TOKEN".to_owned());
            vec![bearer]
        });
        let headers: Vec<_> = headers
            .into_iter()
            .map(|(name, value)| (name, value.replace("TOKEN", &token)))
            .collect();
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        // The second time, what was good is remembered, and says the same.
        for time in ["first", "second"] {
            let found = told(
                &house.identities,
                &case.company,
                &Request::with(&headers),
                now,
            );
            if found != case.expect {
                let Case { name, expect, .. } = &case;
                failures.push(format!("{name}: `{found}` the {time} time, not `{expect}`"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn cases_reach_every_reason_of_tokens() {
    let reached: BTreeSet<String> = cases().into_iter().map(|case| case.expect).collect();
    for why in NotKnown::ALL {
        let elsewhere = [
            NotKnown::TooLong,
            NotKnown::BadCertificate,
            NotKnown::NoKeys,
        ];
        let is_reached = elsewhere.contains(&why) || reached.contains(why.code());
        assert!(is_reached, "no case for `{}`", why.code());
    }
}

#[test]
fn a_token_of_which_one_letter_is_changed_is_nobodys() {
    let keys = Keys::new();
    let house = House::new(&keys.set);
    let claims = timed(CLAIMS, SystemTime::now());
    let header = r#"{"alg":"ES256","kid":"e1"}"#;
    let token = keys.signers["e1"].sign(header, &claims);
    assert_eq!(house.who(&token), "olga");
    for (at, letter) in token.char_indices() {
        for other in ['A', 'B', '_', '.'] {
            let mut changed = token.clone();
            changed.replace_range(at..=at, &other.to_string());
            let found = house.who(&changed);
            let is_known = found == "olga" || found == "nobody";
            assert!(other == letter || !is_known, "{at}: {letter} → {other}");
        }
    }
    for end in 0..token.len() {
        assert_ne!(house.who(token.split_at(end).0), "olga", "{end}");
    }
}

#[test]
fn a_token_that_is_too_long_is_not_looked_at() {
    let keys = Keys::new();
    let house = House::new(&keys.set);
    let mut claims: Value = serde_json::from_str(&timed(CLAIMS, SystemTime::now())).unwrap();
    claims["more"] = "x".repeat(11_000).into();
    assert_eq!(house.who(&keys.signers["e1"].token("e1", &claims)), "olga");
    claims["more"] = "x".repeat(13_000).into();
    let token = keys.signers["e1"].token("e1", &claims);
    assert_eq!(house.who(&token), "token_too_long");
}

#[test]
fn a_token_seen_before_costs_no_signature_check_until_it_ends() {
    let keys = Keys::new();
    let house = House::new(&keys.set);
    let now = SystemTime::now();
    let token = keys.signers["e1"].sign(r#"{"alg":"ES256","kid":"e1"}"#, &timed(CLAIMS, now));
    for _ in 0..100 {
        assert_eq!(house.who_at("demo", &token, now), "olga");
    }
    assert_eq!(house.checks(), 1);
    // Another company has to look for itself, whatever this one has found.
    assert_eq!(house.who_at("acme", &token, now), "token_issuer");
    // It ends for whoever remembers it, too: at `exp` and what the clocks may differ.
    let at = |seconds| house.who_at("demo", &token, now + Duration::from_secs(seconds));
    assert_eq!(at(88), "olga");
    assert_eq!(at(91), "token_expired");
    assert_eq!(house.checks(), 1);
}

#[test]
fn other_settings_or_keys_know_nothing_of_tokens_seen_before() {
    let keys = Keys::new();
    let house = House::new(&keys.set);
    let now = SystemTime::now();
    let token = keys.signers["e1"].sign(r#"{"alg":"ES256","kid":"e1"}"#, &timed(CLAIMS, now));
    assert_eq!(house.who_at("demo", &token, now), "olga");
    // On this thread the token is remembered; settings made anew do not ask for that.
    let metrics = metrics();
    let mut other = jwt(&house.path(), "https://id.demo.example", &["crm"], &["sub"]);
    other.audience = vec!["elsewhere".to_owned()];
    let poll = Duration::from_secs(1);
    let other = Identities::start(Some(Identity::Jwt(other)), [].into(), &metrics, poll).unwrap();
    let value = format!("Bearer {token}");
    let request = Request::with(&[("authorization", value.as_bytes())]);
    assert_eq!(told(&other, "demo", &request, now), "token_audience");
    // The key is taken back: so are the tokens that were signed with it.
    let mut set = keys.set.clone();
    set["keys"].as_array_mut().unwrap().remove(0);
    std::fs::write(house.path(), set.to_string()).unwrap();
    house.until(&token, "token_key");
    // It comes again: it is checked again.
    std::fs::write(house.path(), keys.set.to_string()).unwrap();
    house.until(&token, "olga");
    assert_eq!(house.checks(), 2);
}

#[test]
fn a_broken_key_set_changes_nothing_and_is_counted() {
    let keys = Keys::new();
    let house = House::new(&keys.set);
    let now = SystemTime::now();
    let token = keys.signers["e1"].sign(r#"{"alg":"ES256","kid":"e1"}"#, &timed(CLAIMS, now));
    let failed = || {
        count(
            &house.metrics,
            r#"callgate_key_set_loads_total{result="failed"}"#,
        )
    };
    let broken = [
        "",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#,
    ];
    for (before, text) in broken.into_iter().enumerate() {
        std::fs::write(house.path(), text).unwrap();
        for _ in 0..500 {
            if failed() > before as u64 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(failed(), before as u64 + 1, "{text}");
        assert_eq!(house.who(&token), "olga", "{text}");
    }
    std::fs::remove_file(house.path()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(house.who(&token), "olga");
}

#[test]
fn a_file_that_cannot_be_used_is_said_at_the_start() {
    let path = Path::new("/nowhere/keys.json");
    let jwt = jwt(path, "https://id.acme.example", &["crm"], &["sub"]);
    let own = [("acme".to_owned(), Identity::Jwt(jwt))];
    let poll = Duration::from_secs(1);
    let error = Identities::start(None, own.into(), &metrics(), poll)
        .err()
        .unwrap();
    let text = error.to_string();
    let says = "identity of company `acme`: /nowhere/keys.json: it cannot be opened";
    assert!(text.starts_with(says), "{text}");
}
