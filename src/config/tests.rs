//! What settings come to, and what is said of wrong ones.

use super::*;

fn raw(flags: &[(&'static str, &str)], variables: &[(&str, &str)], file: &str) -> RawConfig {
    let mut raw = RawConfig::default();
    for (name, text) in flags {
        raw.flag(name, [(*text).to_owned()]);
    }
    let variables = variables.iter();
    raw.variables(variables.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    raw.file("callgate.toml", file);
    raw
}

fn read(
    flags: &[(&'static str, &str)],
    variables: &[(&str, &str)],
    file: &str,
) -> Result<Config, Vec<String>> {
    let config = Config::read(&raw(flags, variables, file));
    config.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

#[test]
fn nothing_said_means_the_defaults() {
    let config = read(&[], &[], "").unwrap();
    assert_eq!(config.source, PathBuf::from("policies"));
    assert_eq!(config.listen, ["127.0.0.1:7070".parse().unwrap()]);
    assert_eq!(config.admin, "127.0.0.1:7071".parse().unwrap());
    assert_eq!(config.limits.drain_timeout, Duration::from_secs(10));
    assert!(config.companies.is_empty());
}

#[test]
fn flags_outweigh_variables_and_these_the_file() {
    let file = "[serve]\nmax_loss = 0.3\nworkers = 3\ndrain_timeout = '3s'\n";
    let variables = [("CALLGATE_MAX_LOSS", "0.2"), ("CALLGATE_WORKERS", "2")];
    let config = read(&[("max-loss", "0.1")], &variables, file).unwrap();
    assert_eq!(config.max_loss, 0.1);
    assert_eq!(config.workers.get(), 2);
    assert_eq!(config.limits.drain_timeout, Duration::from_secs(3));
}

#[test]
fn a_list_is_outweighed_whole() {
    let file = "[serve]\nlisten = ['127.0.0.1:1', 'unix:/run/x']\ncompany = ['a', 'b']\n";
    let config = read(
        &[("listen", "[::1]:2")],
        &[("CALLGATE_COMPANY", "c, d")],
        file,
    )
    .unwrap();
    assert_eq!(config.listen, ["[::1]:2".parse().unwrap()]);
    assert_eq!(config.companies, ["c", "d"].map(str::to_owned).into());
    let config = read(&[], &[], file).unwrap();
    assert_eq!(config.listen.len(), 2);
}

#[test]
fn all_mistakes_of_all_three_are_told_with_their_places() {
    let file = "[serve]\nmax_los = 0.1\nworkers = 0\nlisten = [[1]]\n\n[proxi]\n";
    let variables = [
        ("CALLGATE_POLL_INTERVAL", "10"),
        ("CALLGATE_LISTENN", "127.0.0.1:1"),
    ];
    let flags = [("max-loss", "2"), ("workers", "2"), ("admin", "7071")];
    let mistakes = read(&flags, &variables, file).unwrap_err();
    for beginning in [
        "--max-loss: `2`",
        "--admin: `7071`",
        "CALLGATE_POLL_INTERVAL: `10`",
        "CALLGATE_LISTENN: unknown variable; did you mean CALLGATE_LISTEN?",
        "callgate.toml:2: unknown setting `max_los`; did you mean `max_loss`?",
        "callgate.toml:3: `0`",
        "callgate.toml:4: `listen` cannot be of type array",
        "callgate.toml:6: `proxi`",
    ] {
        let told = mistakes.iter().any(|told| told.starts_with(beginning));
        assert!(told, "no `{beginning}` in {mistakes:#?}");
    }
    assert_eq!(mistakes.len(), 8, "{mistakes:#?}");
}

#[test]
fn a_file_that_is_no_toml_is_told_with_its_lines() {
    let mistakes = read(&[], &[], "[serve]\nworkers = = 2\n").unwrap_err();
    assert!(mistakes[0].starts_with("callgate.toml:2: "), "{mistakes:?}");
}

#[test]
fn an_exposed_address_needs_tls_and_callers_on_both_listeners() {
    let tls = [("tls-cert", "c"), ("tls-key", "k")];
    let (ca, tokens) = (("tls-client-ca", "a"), ("token-file", "t"));
    for name in ["listen", "admin"] {
        let open = |more: &[(&'static str, &'static str)]| {
            let flags = [&[(name, "0.0.0.0:7070")], more].concat();
            read(&flags, &[], "").err().unwrap_or_default()
        };
        let mistakes = open(&[]);
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].starts_with(&format!("--{name}: `0.0.0.0:7070`")));
        for part in ["--insecure", "--tls-cert", "--token-file"] {
            assert!(mistakes[0].contains(part), "{mistakes:?}");
        }
        assert!(open(&tls)[0].contains("may ask everything: set --tls-client-ca or --token-file"));
        assert!(open(&[tokens])[0].contains("can read tokens"));
        for enough in [
            &[tls[0], tls[1], ca][..],
            &[tls[0], tls[1], tokens],
            &[("insecure", "true")],
        ] {
            assert_eq!(open(enough), Vec::<String>::new());
        }
    }
    let insecure = [("CALLGATE_INSECURE", "true")];
    assert!(read(&[("listen", "0.0.0.0:1")], &insecure, "").is_ok());
}

#[test]
fn a_source_over_an_open_way_needs_a_key() {
    let given =
        |flags: &[(&'static str, &'static str)]| read(flags, &[], "").err().unwrap_or_default();
    for name in ["source", "shadow"] {
        for open in [
            "http://pdp.example.com/fleet",
            "http://10.0.0.1:80",
            "http://127.0.0.1@example.com/",
            "http://localhost.example.com",
            "http://[2001:db8::1]/",
            "nats://nats:4222/fleet",
            "nats://127.0.0.1,nats:4222/fleet",
        ] {
            let mistakes = given(&[(name, open)]);
            assert_eq!(mistakes.len(), 1, "{open}");
            let origin = if name == "source" {
                "SOURCE"
            } else {
                "--shadow"
            };
            let begins = format!("{origin}: the way to `");
            assert!(mistakes[0].starts_with(&begins), "{mistakes:?}");
            for part in ["--trust-key", "--insecure", "loopback"] {
                assert!(mistakes[0].contains(part), "{mistakes:?}");
            }
            let instead = if open.starts_with("http") {
                "https://"
            } else {
                "tls://"
            };
            assert!(mistakes[0].contains(instead), "{mistakes:?}");
            assert!(given(&[(name, open), ("trust-key", "k")]).is_empty());
            assert!(given(&[(name, open), ("insecure", "true")]).is_empty());
        }
        for closed in [
            "https://pdp.example.com/fleet",
            "tls://nats:4222/fleet",
            "s3://snapshots/fleet",
            "http://127.0.0.1:8080/fleet",
            "http://localhost/fleet",
            "http://[::1]:80/",
            "nats://127.0.0.1:4222",
            "policies",
        ] {
            assert_eq!(given(&[(name, closed)]), Vec::<String>::new());
        }
    }
    let secret = given(&[("source", "nats://me:secret@nats:4222/fleet")]);
    assert!(!secret[0].contains("secret"), "{secret:?}");
}

#[test]
fn the_cache_has_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let [place, other] = ["place", "other"].map(|name| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path.display().to_string()
    });
    let link = folder.path().join("link").display().to_string();
    std::os::unix::fs::symlink(&place, &link).unwrap();
    for (source, cache) in [
        (&place, &place),
        (&place, &format!("{place}/")),
        (&place, &format!("{other}/../place")),
        (&link, &place),
    ] {
        for name in ["source", "shadow"] {
            let mistakes = read(&[(name, source), ("cache", cache)], &[], "").unwrap_err();
            assert_eq!(mistakes.len(), 1, "{name} {source}: {cache}");
            assert!(mistakes[0].starts_with("--cache: "), "{mistakes:?}");
        }
    }
    let apart = format!("{place}/cache");
    for cache in [&other, &apart] {
        assert!(read(&[("source", &place), ("cache", cache)], &[], "").is_ok());
    }
}

#[test]
fn what_belongs_together_is_set_together() {
    for (flag, lacks) in [
        ("tls-cert", "--tls-key"),
        ("tls-key", "--tls-cert"),
        ("tls-client-ca", "--tls-cert and --tls-key"),
    ] {
        let mistakes = read(&[(flag, "x")], &[], "").unwrap_err();
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].contains(lacks), "{mistakes:?}");
    }
}

#[test]
fn a_unix_sockets_rights_are_read() {
    let flags = [
        ("socket-mode", "0660"),
        ("socket-owner", "root"),
        ("socket-group", "7"),
    ];
    let rights = read(&flags, &[], "").unwrap().socket;
    assert_eq!(
        (rights.mode, rights.owner, rights.group),
        (0o660, Some(0), Some(7))
    );
    for (flag, text) in [
        ("socket-mode", "rw"),
        ("socket-mode", "1777"),
        ("socket-mode", "0444"),
        ("socket-owner", "no such user"),
    ] {
        assert!(read(&[(flag, text)], &[], "").is_err(), "{flag} {text}");
    }
}

#[test]
fn variables_of_others_are_passed_over() {
    let variables = [
        ("CALLGATE_PORT", "tcp://10.0.0.1:7070"),
        ("CALLGATE_SERVICE_HOST", "10.0.0.1"),
        ("CALLGATE_CONFIG", "x.toml"),
        ("CALLGATE_ADMIN", ""),
        ("PATH", "/bin"),
    ];
    assert!(read(&[], &variables, "").is_ok());
}

#[test]
fn the_default_company_is_one_that_is_served() {
    let flags = [("company", "acme"), ("default-company", "other")];
    let mistakes = read(&flags, &[], "").unwrap_err();
    assert_eq!(
        mistakes,
        ["--default-company: `other` is none of the companies that are served"]
    );
}

#[test]
fn every_setting_has_its_variable_and_key() {
    let setting = SETTINGS.iter().find(|known| known.name == "max-loss");
    let setting = setting.unwrap();
    assert_eq!(setting.variable(), "CALLGATE_MAX_LOSS");
    assert_eq!(setting.key(), "max_loss");
}

#[test]
fn the_decision_log_is_off_until_it_is_told_where_to_go() {
    assert!(read(&[], &[], "").unwrap().decision_log.is_none());
    let told = |sink: &str| {
        let flags = [("decision-log", sink), ("decision-log-queue", "2MiB")];
        read(&flags, &[], "").unwrap().decision_log
    };
    let log = told("file:/var/log/decisions.log").unwrap();
    assert_eq!(log.sink, LogSink::File("/var/log/decisions.log".into()));
    assert_eq!((log.queue_bytes, log.allows), (2 << 20, 1.0));
    assert_eq!(log.when_full, WhenFull::Drop);
    assert_eq!(told("stdout").unwrap().sink, LogSink::Stdout);
    assert!(told("off").is_none());
    for scheme in ["http", "https"] {
        let url = format!("{scheme}://127.0.0.1:8080/logs");
        let collector = told(&url);
        let LogSink::Collector(url) = collector.unwrap().sink else {
            panic!("no collector");
        };
        assert_eq!((url.scheme_str(), url.path()), (Some(scheme), "/logs"));
    }
}

#[test]
fn authorities_of_a_collector_are_for_one_that_proves_who_it_is() {
    let ca = ("decision-log-ca", "ca.pem");
    let log = read(&[("decision-log", "https://logs.example/x"), ca], &[], "").unwrap();
    let authorities = log.decision_log.unwrap().authorities;
    assert_eq!(authorities, Some("ca.pem".into()));
    for sink in ["stdout", "http://logs.example/x"] {
        let mistakes = read(&[("decision-log", sink), ca], &[], "").unwrap_err();
        assert!(
            mistakes[0].starts_with("--decision-log-ca: "),
            "{mistakes:?}"
        );
    }
}

#[test]
fn mistakes_about_the_decision_log_are_told_though_it_is_off() {
    let flags = [
        ("decision-log-include", "subject.id"),
        ("decision-log-mask", "subjects"),
        ("decision-log-allows", "2"),
        ("decision-log-when-full", "wait"),
        ("decision-log-queue", "1KiB"),
        ("decision-log-rotate-size", "10MB"),
        ("decision-log-rotate-keep", "-1"),
        ("decision-log-flush", "0s"),
    ];
    let mistakes = read(&flags, &[], "").unwrap_err();
    assert_eq!(mistakes.len(), flags.len(), "{mistakes:#?}");
    for sink in ["https:///x", "file:", "syslog", "ftp://x/y"] {
        let mistakes = read(&[("decision-log", sink)], &[], "").unwrap_err();
        assert!(mistakes[0].starts_with("--decision-log: "), "{mistakes:?}");
    }
}

#[test]
fn paths_into_a_line_are_as_they_stand_in_it() {
    let file = "[serve]\ndecision_log = 'stdout'\n\
        decision_log_include = ['context', 'resource.properties.queue']\n\
        decision_log_mask = ['caller', 'context.device.serial']\n";
    let log = read(&[], &[], file).unwrap().decision_log.unwrap();
    assert_eq!(log.include[1].names, ["queue"]);
    assert_eq!(log.mask[1].place, LogPlace::Context);
    assert_eq!(log.mask[1].names, ["device", "serial"]);
    for path in ["contexts", "context..a", "caller.x", "resource.kind", ""] {
        assert!(
            read(&[("decision-log-mask", path)], &[], "").is_err(),
            "{path}"
        );
    }
    let deep = [("decision-log-include", "context.device.serial")];
    assert!(read(&deep, &[], "").is_err());
}

#[test]
fn spans_are_sent_where_told_by_builds_that_can() {
    assert!(read(&[], &[], "").unwrap().spans.is_none());
    let told = read(
        &[("otlp-endpoint", "http://127.0.0.1:4318/v1/traces")],
        &[],
        "",
    );
    if cfg!(feature = "otlp") {
        assert_eq!(told.unwrap().spans.unwrap().url.path(), "/v1/traces");
    } else {
        assert!(told.unwrap_err()[0].contains("without the feature `otlp`"));
    }
    assert!(read(&[("otlp-endpoint", "127.0.0.1:4318")], &[], "").is_err());
}
