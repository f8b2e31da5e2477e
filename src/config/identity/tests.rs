//! What `identity = …` comes to, and what is said of a wrong one.

use toml::de::DeTable;

use super::*;

const JWT: &str = r#"{ jwt = { jwks = "keys.json", issuer = "https://id.acme.example",
audience = ["crm", "desk"], algorithms = ["RS256", "EdDSA"], claim = ["user", "id"],
from = ["authorization", "cookie:session"] } }"#;

/// Reads what stands after `identity =`; the mistakes begin with their lines.
fn read(text: &str) -> Result<Identity, Vec<String>> {
    let text = format!("identity = {text}");
    let table = DeTable::parse(&text).unwrap();
    let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let places = |at: usize| Origin::File("callgate.toml".to_owned(), line(at));
    let mut mistakes = Vec::new();
    let value = table.get_ref().get("identity").unwrap();
    let identity = Identity::read(value, &places, &mut mistakes);
    let mistakes: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    identity.filter(|_| mistakes.is_empty()).ok_or(mistakes)
}

#[test]
fn each_kind_is_read() {
    let header = read(r#"{ header = "X-Auth-User" }"#);
    assert_eq!(header, Ok(Identity::Header("x-auth-user".to_owned())));
    let certificate = read(r#"{ certificate = { field = "san-email" } }"#);
    let field = CertificateField::SanEmail;
    assert_eq!(certificate, Ok(Identity::Certificate(field)));
    let Ok(Identity::Jwt(jwt)) = read(JWT) else {
        panic!("{:?}", read(JWT));
    };
    assert_eq!(jwt.jwks, Jwks::File("keys.json".into()));
    assert_eq!(jwt.audience, ["crm", "desk"]);
    assert_eq!(jwt.algorithms, [Algorithm::Rs256, Algorithm::EdDsa]);
    assert_eq!(jwt.claim, ["user", "id"]);
    let cookie = TokenPlace::Cookie("session".to_owned());
    assert_eq!(jwt.from, [TokenPlace::Authorization, cookie]);
    assert_eq!(jwt.clock_skew, DEFAULT_CLOCK_SKEW);
}

#[test]
fn all_mistakes_are_told_with_their_lines() {
    let mistakes = read(
        r#"{ jwt = { jwks = "http://id.acme.example/keys",
jwks_refresh = "1ms", issuer = "", algorithms = ["HS256",
"none", "RS256"], clam = "sub", from = ["header:x",
"cookie:"], clock_skew = "1h", audience = [] } }"#,
    );
    let mistakes = mistakes.unwrap_err();
    for beginning in [
        "callgate.toml:1: `http://id.acme.example/keys` is neither a file nor an https URL",
        "callgate.toml:2: `1ms` is less than the 1s",
        "callgate.toml:2: `issuer` must not be empty",
        "callgate.toml:2: `HS256` is no algorithm that tokens may be signed by: who can check",
        "callgate.toml:3: `none` is no algorithm that tokens may be signed by: who leaves",
        "callgate.toml:3: `clam` is unknown in `jwt`; did you mean `claim`?",
        "callgate.toml:1: `claim` is missing",
        "callgate.toml:3: `header:x` is neither `authorization` nor `cookie:NAME`",
        "callgate.toml:4: `cookie:` is neither",
        "callgate.toml:4: `1h` is more than the 5m",
        "callgate.toml:4: `audience` is empty",
    ] {
        let told = mistakes.iter().any(|told| told.starts_with(beginning));
        assert!(told, "no `{beginning}` in {mistakes:#?}");
    }
    assert_eq!(mistakes.len(), 11, "{mistakes:#?}");
}

#[test]
fn exactly_one_kind_is_taken() {
    for text in [
        "{}",
        r#"{ header = "x-user", certificate = { field = "san-dns" } }"#,
    ] {
        let mistakes = read(text).unwrap_err();
        let told = "callgate.toml:1: `identity` takes one of";
        assert!(
            mistakes.iter().any(|is| is.starts_with(told)),
            "{mistakes:?}"
        );
    }
}

#[test]
fn what_is_the_clients_own_is_no_identity() {
    for name in ["Authorization", "cookie", "Host", "no name", ""] {
        let text = format!(r#"{{ header = "{name}" }}"#);
        assert!(read(&text).is_err(), "{name}");
    }
    for text in ["7", r#"{ header = 7 }"#, r#"{ certificate = "san-email" }"#] {
        let mistakes = read(text).unwrap_err();
        assert!(mistakes[0].contains("must be"), "{mistakes:?}");
    }
}

#[test]
fn keys_come_from_a_file_or_an_https_url_and_from_nowhere_else() {
    let with = |jwks: &str| read(&JWT.replace("keys.json", jwks));
    assert!(with("https://id.acme.example/keys").is_ok());
    for url in [
        "http://id.acme.example/keys",
        "https://",
        "https:///keys",
        "https://user:word@id.acme.example/keys",
        "ftp://id.acme.example/keys",
        "",
    ] {
        assert!(with(url).is_err(), "{url}");
    }
}

#[test]
fn what_is_for_urls_is_not_for_files() {
    for more in [r#"jwks_ca = "ca.pem""#, r#"jwks_refresh = "10s""#] {
        let text = JWT.replace("claim =", &format!("{more}, claim ="));
        let mistakes = read(&text).unwrap_err();
        assert!(
            mistakes[0].contains("is for a key set behind a URL"),
            "{mistakes:?}"
        );
    }
}
