//! Reading policy files: what is right is read as it is meant.

use callgate::policy::{Diagnostics, Files, Policy, Reading, read_company, read_pack};

use crate::generate::{Company, Shape};
use crate::policy_examples::{Tree, good};

fn files(tree: &Tree) -> Files {
    Files::new(
        tree.iter()
            .map(|(path, text)| (path.clone(), text.as_bytes().to_vec())),
    )
}

fn read(tree: &Tree) -> Reading {
    let shown = |found: Diagnostics| panic!("{found}");
    read_company(&files(tree), "demo").unwrap_or_else(shown)
}

fn demo(tree: &Tree) -> Policy {
    read(tree).policy
}

#[test]
fn the_model_s_examples_are_read() {
    let policy = demo(&good());
    println!("{policy:#?}");
    assert_eq!(policy.company, "demo");
}

#[test]
fn the_model_s_pack_is_read() {
    let pack = read_pack(&files(&good()), "oki-toki");
    let pack = pack.unwrap_or_else(|found| panic!("{found}")).policy;
    assert_eq!(pack.users.len(), 2);
    assert_eq!(pack.tests.len(), 1);
}

/// The policy without places, which differ where lines do; in one text, to be compared.
fn placeless(policy: &Policy) -> String {
    let mut policy = policy.clone();
    policy.files.clear();
    let text = format!("{policy:#?}");
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "place: Place {" {
            lines.by_ref().take(4).for_each(drop);
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[test]
fn csv_means_what_yaml_means() {
    let users = r#"title,user,aliases,shift,group,departments,roles,active,properties.region,properties.level,properties.trusted
Olga Nowak,olga,olga@demo.example;sip:101,,night,billing,operator;supervisor[bank-x]@/2026-02-01T00:00:00Z,true,north,3,false
,piotr,,day,,,collector@2026-01-01/2026-07-01,,,,
"Ewa",ewa,,,,,admin,,,,
,anna,,,,"care;billing",,false,,,
"#;
    let objects = "type,id,title,owner,departments,group,parent,operator_users,operator_groups,properties.status,properties.amount\r\n\
        deal,d-7,,sip:101,,,,,,open,900\r\n\
        queue,sales-in,,olga,billing,night,,olga,night,,\r\n\
        number_list,vip,,,,,queue:sales-in,,,,\r\n\
        crm_form,loan,Loan,,,,,,,\"\"\"\",\r\n";
    let mut yaml = good();
    let plan = "    shift: { shift: night, next: day, next_from: 2026-01-12 }\n";
    for (path, text) in &mut yaml {
        match path.as_str() {
            "companies/demo/users.yaml" => *text = text.replace(plan, ""),
            "companies/demo/objects.yaml" => {
                *text = text.replace(
                    "title: Loan }",
                    "title: Loan, properties: { status: '\"' } }",
                );
            }
            _ => {}
        }
    }
    let mut csv = yaml.clone();
    csv.retain(|(path, _)| !path.ends_with("users.yaml") && !path.ends_with("objects.yaml"));
    csv.push(("companies/demo/users.csv".into(), users.into()));
    csv.push(("companies/demo/objects.csv".into(), objects.into()));
    assert_eq!(placeless(&demo(&yaml)), placeless(&demo(&csv)));
}

#[test]
fn properties_in_csv_keep_their_kind() {
    let mut tree = good();
    tree.retain(|(path, _)| !path.ends_with("demo/users.yaml") && !path.contains("demo/objects"));
    tree.retain(|(path, _)| !path.contains("demo/projects") && !path.contains("demo/company"));
    tree.push((
        "companies/demo/company.yaml".into(),
        "company: demo\npack: oki-toki\n".into(),
    ));
    let users = "user,roles,properties.a,properties.b,properties.c,properties.d,properties.e\n\
        ewa,admin,true,\"\"\"7\"\"\",7.50,007,\n";
    tree.push(("companies/demo/users.csv".into(), users.into()));
    let policy = demo(&tree);
    let ewa = policy.users.iter().find(|user| user.id == "ewa").unwrap();
    let shown: Vec<String> = ewa
        .properties
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    assert_eq!(
        shown,
        [
            "a=Bool(true)",
            "b=String(\"7\")",
            "c=Number(7.5)",
            "d=String(\"007\")"
        ]
    );
}

#[test]
fn json_is_read_as_yaml() {
    let mut tree = good();
    for (path, text) in &mut tree {
        if path == "companies/demo/users.yaml" {
            *text = "{\n\t\"users\": [\n\t\t{\"user\":\"olga\",\"title\":\"\\ud83d\\ude00 \\u00e9\\/\",\"aliases\":[\"sip:101\"],\"roles\":[\"operator\"],\"properties\":{\"a\":{\"b\":[1,true,\"no\"]}}},\n\
                \t\t{\"user\":\"ewa\",\"roles\":[\"admin\"]}, {\"user\":\"piotr\"}, {\"user\":\"anna\"}\n\t]\n}\n".into();
        }
    }
    let policy = demo(&tree);
    let olga = policy.users.iter().find(|user| user.id == "olga").unwrap();
    assert_eq!(olga.title.as_deref(), Some("\u{1f600} é/"));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let windows = good()
        .into_iter()
        .map(|(path, text)| (path, format!("\u{feff}{}", text.replace('\n', "\r\n"))));
    assert_eq!(
        placeless(&demo(&good())),
        placeless(&demo(&windows.collect()))
    );
}

#[test]
fn the_order_of_lines_changes_nothing() {
    let straight = placeless(&demo(&good()));
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20 {
        let shuffled = good().into_iter().map(|(path, text)| {
            let ordered = path.ends_with("routes.yaml") || path.ends_with("tests.yaml");
            let text = if ordered {
                text
            } else {
                shuffled(&text, &mut random)
            };
            (path, text)
        });
        assert_eq!(straight, placeless(&demo(&shuffled.collect())));
    }
}

/// The text with the entries of its first level of indentation in another order, and so on below.
fn shuffled(text: &str, random: &mut fastrand::Rng) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let Some(least) = text.lines().map(indent).min() else {
        return String::new();
    };
    let mut blocks: Vec<String> = Vec::new();
    for line in text.lines() {
        match blocks.last_mut() {
            Some(block) if indent(line) > least => {
                block.push_str(line);
                block.push('\n');
            }
            _ => blocks.push(format!("{line}\n")),
        }
    }
    let list = blocks
        .iter()
        .all(|block| block.trim_start().starts_with("- "));
    if !list {
        blocks = blocks
            .iter()
            .map(|block| match block.split_once('\n') {
                Some((first, rest)) if !rest.is_empty() => {
                    format!("{first}\n{}", shuffled(rest, random))
                }
                _ => block.clone(),
            })
            .collect();
    }
    random.shuffle(&mut blocks);
    blocks.concat()
}

/// Bytes that mean something to readers of YAML and CSV.
const TELLING: &[u8] = b"{}[]:,-\"'\n\t &*!|>%@#?.\0\r\xff;/~07xan";

#[test]
fn no_mutation_of_good_files_makes_the_reader_panic() {
    let rounds: usize =
        std::env::var("CALLGATE_MUTATIONS").map_or(300, |text| text.parse().unwrap());
    let mut trees = vec![good()];
    let mut csv = good();
    csv.retain(|(path, _)| !path.ends_with("demo/users.yaml"));
    let users = "user,aliases,roles,properties.x\newa,e1;e2,admin,1\nolga,\"sip:101\",operator[bank-x]@2026-01-01/,\"\"\"a\"\"\"\npiotr,,,\nanna,,,\n";
    csv.push(("companies/demo/users.csv".into(), users.into()));
    trees.push(csv);
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..rounds {
        let tree = &trees[round % trees.len()];
        let chosen = random.usize(..tree.len());
        let mutated = tree.iter().enumerate().map(|(at, (path, text))| {
            let mut bytes = text.clone().into_bytes();
            if at == chosen {
                for _ in 0..random.usize(1..6) {
                    let place = random.usize(..bytes.len());
                    match random.u8(..4) {
                        0 => bytes[place] = TELLING[random.usize(..TELLING.len())],
                        1 => bytes.insert(place, TELLING[random.usize(..TELLING.len())]),
                        2 => drop(bytes.remove(place)),
                        _ => {
                            let end = (place + random.usize(..40)).min(bytes.len());
                            let piece = bytes[place..end].to_vec();
                            let there = random.usize(..bytes.len());
                            bytes.splice(there..there, piece).for_each(drop);
                        }
                    }
                }
            }
            (path.clone(), bytes)
        });
        let files = Files::new(mutated.collect::<Vec<_>>());
        for read in [read_company(&files, "demo"), read_pack(&files, "oki-toki")] {
            let found = read.map_or_else(|found| found, |read| read.warnings);
            let text = found.render(true);
            assert!(found.is_empty() == text.is_empty());
            serde_json::to_string(&found).unwrap();
        }
    }
}

/// Large companies are read on two threads: what is right means the same then, and what is wrong is
/// told in the same words.
#[test]
fn large_files_are_read_like_small_ones() {
    let good = Company::generate(&Shape::S, 7).texts(true);
    let good = |path: &str| {
        let (_, text) = good.iter().find(|(other, _)| other.ends_with(path))?;
        String::from_utf8(text.clone()).ok()
    };
    let part = |path: &str| good(path).unwrap_or_else(|| panic!("no {path}"));
    let mut broken = 0;
    for wrong in [
        &[][..],
        &["users"],
        &["objects"],
        &["users", "projects"],
        &["quotes"],
    ] {
        let users = part("users.csv");
        let users = match wrong {
            [] | ["objects"] => users,
            ["quotes"] => format!("{users}x,\"\"y,,,,,,\n"),
            _ => format!("{users}x,,,nowhere,d0;d0,r0x,,\"1\"\n"),
        };
        let mut objects = part("objects.csv");
        let mut projects = part("projects.yaml");
        if wrong.contains(&"objects") {
            objects += "queue,o0,nobody,,,queue:none,,,,,,\nqueue,too,short\n";
        }
        if wrong.contains(&"projects") {
            projects = projects.replacen("\"g", "\"h", 3);
        }
        let read = |padding: usize| {
            let company = format!("{}\n#{}\n", part("company.yaml"), "-".repeat(padding));
            let files = Files::new(
                [
                    ("packs/generated/catalogue.yaml", part("catalogue.yaml")),
                    ("packs/generated/roles.yaml", part("generated/roles.yaml")),
                    ("companies/demo/company.yaml", company),
                    ("companies/demo/roles.yaml", part("demo/roles.yaml")),
                    ("companies/demo/users.csv", users.clone()),
                    ("companies/demo/objects.csv", objects.clone()),
                    ("companies/demo/projects.yaml", projects.clone()),
                ]
                .map(|(path, text)| (path, text.into_bytes())),
            );
            match read_company(&files, "demo") {
                Ok(reading) => format!("{:#?}", reading.policy),
                Err(found) => found.to_string(),
            }
        };
        let small = read(0);
        broken += usize::from(small.contains("error"));
        assert_eq!(small, read(1 << 20));
    }
    assert_eq!(broken, 4);
}
