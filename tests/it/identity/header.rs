//! A header that the proxy sets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use callgate::config::Identity;
use callgate::identity::{Identities, NotKnown};
use callgate::telemetry::Metrics;

use super::Request;

fn start(every: Option<Identity>, own: BTreeMap<String, Identity>) -> Arc<Identities> {
    let metrics = Arc::new(Metrics::new(1, 1, []));
    Identities::start(every, own, &metrics, Duration::from_secs(1)).unwrap()
}

fn who(company: &str, headers: &[(&str, &[u8])]) -> Result<Option<String>, NotKnown> {
    let every = Identity::Header("x-auth-user".to_owned());
    let own = Identity::Header("x-acme-user".to_owned());
    let identities = start(Some(every), [("acme".to_owned(), own)].into());
    let who = identities.who(company, &Request::with(headers), SystemTime::now());
    who.map(|who| who.map(|who| who.as_str().to_owned()))
}

#[test]
fn the_header_names_the_user_and_a_company_may_have_its_own() {
    let both: &[(&str, &[u8])] = &[("x-auth-user", b"olga"), ("x-acme-user", b"anna")];
    assert_eq!(who("demo", both), Ok(Some("olga".to_owned())));
    assert_eq!(who("acme", both), Ok(Some("anna".to_owned())));
    assert_eq!(who("acme", &[("x-auth-user", b"olga")]), Ok(None));
}

#[test]
fn no_header_and_an_empty_one_name_nobody() {
    assert_eq!(who("demo", &[]), Ok(None));
    assert_eq!(who("demo", &[("x-auth-user", b"")]), Ok(None));
}

#[test]
fn two_headers_name_nobody_even_if_they_agree() {
    let twice: &[(&str, &[u8])] = &[("x-auth-user", b"olga"), ("x-auth-user", b"olga")];
    assert_eq!(who("demo", twice), Err(NotKnown::Several));
}

#[test]
fn what_can_be_no_users_id_is_refused() {
    let long = [b'a'; 257];
    let bad: [&[u8]; 8] = [
        b"olga anna",
        b" olga",
        b"olga\0",
        b"\xff\xfe",
        b"\x80olga",
        "olga\u{a0}anna".as_bytes(),
        b"*",
        &long,
    ];
    for value in bad {
        let found = who("demo", &[("x-auth-user", value)]);
        assert_eq!(found, Err(NotKnown::Malformed), "{}", value.escape_ascii());
    }
    let longest = [b'a'; 256];
    assert!(who("demo", &[("x-auth-user", &longest)]).is_ok());
}

#[test]
fn where_no_way_is_set_nobody_is_known() {
    let identities = start(None, [].into());
    let request = Request::with(&[("x-auth-user", b"olga")]);
    assert_eq!(
        identities.who("demo", &request, SystemTime::now()),
        Ok(None)
    );
}
