//! Certificates that Envoy passes on.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use callgate::config::{CertificateField, Identity};
use callgate::identity::Identities;
use callgate::telemetry::Metrics;
use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};

use super::Request;
use super::tokens::told;

const XFCC: &str = "x-forwarded-client-cert";

fn who(field: CertificateField, request: &Request) -> String {
    let metrics = Arc::new(Metrics::new(1, 1, []));
    let every = Identity::Certificate(field);
    let identities =
        Identities::start(Some(every), [].into(), &metrics, Duration::from_secs(1)).unwrap();
    told(&identities, "demo", request, SystemTime::now())
}

fn with_header(value: &str) -> Request {
    Request::with(&[(XFCC, value.as_bytes())])
}

/// A certificate with these names, as PEM in percent-encoding, as Envoy writes it.
fn certificate(names: Vec<SanType>, common: &[&str], change: fn(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    params.distinguished_name = rcgen::DistinguishedName::new();
    // The library would replace the first name by a second one of its kind.
    let kinds = [DnType::CommonName, DnType::CustomDnType(vec![2, 5, 4, 3])];
    for (kind, name) in kinds.into_iter().zip(common) {
        params.distinguished_name.push(kind, *name);
    }
    change(&mut params);
    let pem = params
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap()
        .pem();
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    pem.bytes().map(escape).collect()
}

fn mail(name: &str) -> SanType {
    SanType::Rfc822Name(name.try_into().unwrap())
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

fn host(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

#[test]
fn each_field_names_the_user_in_the_header_and_beside_it() {
    let names = vec![
        mail("olga@demo.example"),
        uri("spiffe://demo.example/olga"),
        host("olga.demo.example"),
    ];
    let pem = certificate(names, &["olga"], |_| {});
    for (field, user) in [
        (CertificateField::SanEmail, "olga@demo.example"),
        (CertificateField::SanUri, "spiffe://demo.example/olga"),
        (CertificateField::SanDns, "olga.demo.example"),
        (CertificateField::SubjectCn, "olga"),
    ] {
        let header =
            format!("By=spiffe://proxy;Hash=0a;Cert=\"{pem}\";Subject=\"CN=anna,O=\\\"x\\\"\"");
        assert_eq!(who(field, &with_header(&header)), user);
        let beside = Request {
            certificate: Some(pem.clone()),
            ..Request::default()
        };
        assert_eq!(who(field, &beside), user);
    }
}

#[test]
fn nobody_has_shown_a_certificate() {
    let field = CertificateField::SanEmail;
    assert_eq!(who(field, &Request::default()), "nobody");
    assert_eq!(who(field, &with_header("")), "nobody");
    let beside = Request {
        certificate: Some(String::new()),
        ..Request::default()
    };
    assert_eq!(who(field, &beside), "nobody");
}

#[test]
fn what_is_there_twice_or_has_been_appended_names_nobody() {
    let two = vec![mail("olga@demo.example"), mail("anna@demo.example")];
    let pem = certificate(two, &[], |_| {});
    let found = who(
        CertificateField::SanEmail,
        &with_header(&format!("Cert=\"{pem}\"")),
    );
    assert_eq!(found, "bad_certificate");
    let one = certificate(vec![mail("olga@demo.example")], &["olga", "anna"], |_| {});
    for (field, header, expected) in [
        (
            CertificateField::SubjectCn,
            format!("Cert=\"{one}\""),
            "bad_certificate",
        ),
        // The first of these is what the client has sent to a proxy that appends.
        (
            CertificateField::SanEmail,
            format!("Cert=\"{one}\",Cert=\"{one}\""),
            "several_identities",
        ),
        (
            CertificateField::SanEmail,
            format!("Cert=\"{one}\";Cert=\"{one}\""),
            "several_identities",
        ),
        (
            CertificateField::SanUri,
            "URI=spiffe://a;URI=spiffe://b".to_owned(),
            "bad_certificate",
        ),
        (
            CertificateField::SanEmail,
            format!("Cert=\"{one}{one}\""),
            "bad_certificate",
        ),
    ] {
        assert_eq!(who(field, &with_header(&header)), expected, "{header}");
    }
    let value = format!("Cert=\"{one}\"");
    let twice = Request::with(&[(XFCC, value.as_bytes()), (XFCC, value.as_bytes())]);
    assert_eq!(
        who(CertificateField::SanEmail, &twice),
        "several_identities"
    );
}

#[test]
fn members_of_the_header_will_do_where_nothing_is_lost_in_them() {
    let header =
        "By=spiffe://proxy;Hash=0a;Subject=\"\";URI=spiffe://demo.example/olga;DNS=olga.example";
    let found = |field| who(field, &with_header(header));
    assert_eq!(
        found(CertificateField::SanUri),
        "spiffe://demo.example/olga"
    );
    assert_eq!(found(CertificateField::SanDns), "olga.example");
    assert_eq!(found(CertificateField::SanEmail), "bad_certificate");
    assert_eq!(found(CertificateField::SubjectCn), "bad_certificate");
}

#[test]
fn a_certificate_that_has_ended_or_is_none_names_nobody() {
    let field = CertificateField::SanEmail;
    let name = || vec![mail("olga@demo.example")];
    let ended = certificate(name(), &[], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let not_yet = certificate(name(), &[], |params| {
        params.not_before = date_time_ymd(2090, 1, 1);
    });
    let good = certificate(name(), &[], |_| {});
    let cut: String = good.chars().take(good.len() / 2).collect();
    for pem in [ended, not_yet, cut, "x".to_owned(), "%zz".to_owned()] {
        let found = who(field, &with_header(&format!("Cert=\"{pem}\"")));
        assert_eq!(found, "bad_certificate", "{pem}");
    }
    for header in [
        "Cert",
        "=",
        ";",
        "Cert=\"",
        "Cert=\"a\\",
        "Cert=\"a\"b",
        "\u{7f}",
    ] {
        let found = who(field, &with_header(header));
        let refused = ["bad_certificate", "several_identities"].contains(&found.as_str());
        assert!(refused, "{header}: {found}");
    }
    let long = format!("Cert=\"{}\"", "A".repeat(40_000));
    assert_eq!(who(field, &with_header(&long)), "token_too_long");
    assert_eq!(
        who(field, &with_header(&format!("Cert=\"{good}\""))),
        "olga@demo.example"
    );
}
