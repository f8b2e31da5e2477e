//! The snapshot file: damage anywhere, lengths that lie, and writers that die.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use callgate::snapshot::{FormatError, Snapshot};

use crate::fixture::Tree;
use crate::generate::{Company, Shape};

const HEADER: usize = 80;
const ENTRY: usize = 56;
/// Sections that decide, and all.
const DECIDING: usize = 37;
const SECTIONS: usize = 50;

fn compile(tree: &Tree, into: &std::path::Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.arg("compile").arg(tree.path()).arg("-o").arg(into);
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
}

fn small() -> Vec<u8> {
    let (tree, out) = (Tree::new(), tempfile::tempdir().unwrap());
    compile(&tree, out.path());
    fs::read(out.path().join("acme.callgate")).unwrap()
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let whole = small();
    assert!(Snapshot::from_bytes(&whole).is_ok());
    let started = Instant::now();
    let mut bytes = whole.clone();
    for at in 0..whole.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            assert!(Snapshot::from_bytes(&bytes).is_err(), "bit {bit} of {at}");
            bytes[at] = whole[at];
        }
        assert!(Snapshot::from_bytes(&whole[..at]).is_err(), "cut at {at}");
    }
    for more in [1, 4, 64] {
        bytes.extend(vec![0; more]);
        assert!(Snapshot::from_bytes(&bytes).is_err());
    }
    let took = started.elapsed();
    println!("{} bytes in {took:?}", whole.len());
    assert!(took < Duration::from_secs(60), "{took:?}");
}

/// A large file's sections are checked on a thread of their own.
#[test]
fn damage_in_any_section_of_a_large_file_is_told() {
    let shape = Shape {
        users: 4_000,
        ..Shape::S
    };
    let files = Company::generate(&shape, 1).csv_files();
    let policy = callgate::policy::read_company(&files, "demo");
    let policy = policy.unwrap_or_else(|errors| panic!("{errors}")).policy;
    let snapshot = Snapshot::compile(&policy).unwrap();
    let mut bytes = Vec::new();
    snapshot.write_to(&mut bytes).unwrap();
    assert!(bytes.len() > 1 << 20, "{} bytes", bytes.len());
    let read = Snapshot::from_bytes(&bytes).unwrap();
    assert_eq!(read.digest(), snapshot.digest());
    let mut at = HEADER + SECTIONS * ENTRY;
    for section in snapshot.sections() {
        if section.bytes == 0 {
            continue;
        }
        bytes[at] ^= 1;
        let error = Snapshot::from_bytes(&bytes).err();
        assert_eq!(error, Some(FormatError::Damaged(section.number)));
        bytes[at] ^= 1;
        at += section.bytes;
    }
    assert_eq!(at, bytes.len());
}

/// Writes the digests anew, as a forger would.
fn forge(bytes: &mut [u8], change: impl FnOnce(&mut [u8])) {
    change(bytes);
    let count = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let end = (HEADER + count.min(4_000) * ENTRY).min(bytes.len());
    let content = blake3::hash(&bytes[HEADER..end.min(HEADER + DECIDING * ENTRY)]);
    let whole = blake3::hash(&bytes[HEADER..end]);
    bytes[16..48].copy_from_slice(content.as_bytes());
    bytes[48..80].copy_from_slice(whole.as_bytes());
}

#[test]
fn lengths_that_lie_are_refused_though_every_digest_of_the_table_fits() {
    let whole = small();
    let sections = (whole.len() - HEADER) / ENTRY;
    let lies: [u64; 6] = [1, 7, 1 << 32, 1 << 62, u64::MAX, u64::MAX - HEADER as u64];
    for section in 0..SECTIONS.min(sections) {
        for field in [8, 16] {
            for lie in lies {
                let at = HEADER + section * ENTRY + field;
                let mut bytes = whole.clone();
                let told = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
                forge(&mut bytes, |bytes| {
                    let lie = told.wrapping_add(lie);
                    bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
                });
                assert!(
                    Snapshot::from_bytes(&bytes).is_err(),
                    "{section} {field} {lie}"
                );
            }
        }
    }
    for count in [0, 1, 49, 51, 1 << 16, u32::MAX] {
        let mut bytes = whole.clone();
        forge(&mut bytes, |bytes| {
            bytes[12..16].copy_from_slice(&u32::to_le_bytes(count));
        });
        assert!(Snapshot::from_bytes(&bytes).is_err(), "{count} sections");
    }
}

/// Writes another row of the stored values, and all digests as they then are.
fn forge_value(bytes: &mut [u8], row: usize, value: [u32; 3]) {
    forge_words(bytes, 20, row * 3, &value);
}

/// Writes other numbers into a section, and all digests as they then are.
fn forge_words(bytes: &mut [u8], section: usize, first: usize, words: &[u32]) {
    let line = HEADER + (section - 1) * ENTRY;
    let number = |bytes: &[u8], at: usize| {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
    };
    let (offset, length) = (number(bytes, line + 8), number(bytes, line + 16));
    forge(bytes, |bytes| {
        for (number, word) in (first..).zip(words) {
            let at = offset + number * 4;
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        let digest = blake3::hash(&bytes[offset..offset + length]);
        bytes[line + 24..line + ENTRY].copy_from_slice(digest.as_bytes());
    });
}

/// The numbers of a section.
fn words(bytes: &[u8], section: usize) -> Vec<u32> {
    let line = HEADER + (section - 1) * ENTRY;
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let words = bytes[number(line + 8)..][..number(line + 16)].chunks_exact(4);
    let words = words.map(|word| u32::from_le_bytes(word.try_into().unwrap()));
    words.collect()
}

#[test]
fn columns_that_are_not_there_are_refused() {
    let whole = small();
    let columns = 3;
    let told = {
        let line = HEADER + ENTRY;
        let offset = u64::from_le_bytes(whole[line + 8..line + 16].try_into().unwrap()) as usize;
        u32::from_le_bytes(whole[offset + columns * 4..][..4].try_into().unwrap())
    };
    for lie in [0, told - 1, told + 1, 1 << 31, u32::MAX] {
        let mut bytes = whole.clone();
        forge_words(&mut bytes, 2, columns, &[lie]);
        let error = Snapshot::from_bytes(&bytes).err();
        assert_eq!(error, Some(FormatError::Incomplete), "{lie} of {told}");
    }
}

#[test]
fn what_strange_companies_hold_reads_back() {
    let mut read = 0;
    for seed in 0..80 {
        let shape = Shape::wild(&mut fastrand::Rng::with_seed(seed));
        let files = Company::generate(&shape, seed).files();
        let Ok(reading) = callgate::policy::read_company(&files, "demo") else {
            continue;
        };
        let bytes = Snapshot::compile(&reading.policy).unwrap().to_bytes();
        let again = Snapshot::from_bytes(&bytes);
        assert_eq!(again.unwrap().to_bytes(), bytes, "{seed}");
        read += 1;
    }
    assert!(read > 60, "{read}");
}

#[test]
fn values_that_hold_themselves_or_each_other_are_refused() {
    let (tree, out) = (Tree::new(), tempfile::tempdir().unwrap());
    tree.write(
        "companies/acme/tests.yaml",
        "tests:\n  - name: t\n    user: olga\n    action: view\n    resource: { type: call, id: c1, properties: { a: [1, 2, [3]], b: 4 } }\n    expect: allow\n",
    );
    compile(&tree, out.path());
    let whole = fs::read(out.path().join("acme.callgate")).unwrap();
    assert!(Snapshot::from_bytes(&whole).is_ok());
    // 0: 3; 1 to 3: 1, 2, [3]; 4: a; 5: b; 6: both.
    let (list, object) = (4, 5);
    let mut right = whole.clone();
    forge_value(&mut right, 3, [list, 0, 1]);
    assert!(right == whole, "as it was");
    for (row, value) in [
        (3, [list, 3, 1]),
        (3, [list, 4, 1]),
        (3, [list, 0, 4]),
        (4, [list, 0, 4]),
        (4, [list, 1, u32::MAX]),
        (5, [object, 0, 2]),
        (5, [object, 0, 1]),
        (5, [object, 0, u32::MAX]),
        (6, [list, 4, 3]),
    ] {
        let mut bytes = whole.clone();
        forge_value(&mut bytes, row, value);
        let error = Snapshot::from_bytes(&bytes).err();
        assert_eq!(error, Some(FormatError::Endless), "{row} {value:?}");
    }
}

/// Names of types that mean what is not there.
#[test]
fn names_that_mean_nothing_end_no_comparison() {
    let (whole, slot) = (small(), 8);
    let (kind, value) = (5, 7);
    let right = Snapshot::from_bytes(&whole).unwrap();
    let slots = words(&whole, 3);
    let types = (0..slots.len() / slot).filter(|at| slots[at * slot + kind] == 1);
    let mut bytes = whole.clone();
    for at in types {
        forge_words(&mut bytes, 3, at * slot + value, &[u32::MAX - 7]);
    }
    assert!(bytes != whole);
    let strange = Snapshot::from_bytes(&bytes).unwrap();
    assert!(!right.diff(&strange).is_empty());
    for (old, new) in [(&right, &strange), (&strange, &right)] {
        assert_eq!(old.impact(new).changes, old.diff(new).changes.len());
        assert_eq!(old.lost_in(new).users, 0);
    }
}

#[test]
fn a_day_that_no_calendar_has_is_told_as_its_number() {
    let (tree, out) = (Tree::new(), tempfile::tempdir().unwrap());
    let company = "company: acme\npack: desk\nshifts: [{ shift: day, weekly: [{ days: [mon], from: \"08:00\", to: \"16:00\" }], off: [2026-12-24] }]\n";
    tree.write("companies/acme/company.yaml", company);
    tree.write(
        "companies/acme/roles.yaml",
        "roles: [{ role: taker, only_on_shift: true, grants: { call: any } }]\n",
    );
    tree.write(
        "companies/acme/users.yaml",
        "users: [{ user: olga, shift: day, roles: [taker] }]\n",
    );
    fs::remove_file(tree.path().join("companies/acme/users.csv")).unwrap();
    compile(&tree, out.path());
    let whole = fs::read(out.path().join("acme.callgate")).unwrap();
    let right = Snapshot::from_bytes(&whole).unwrap();
    for day in [i32::MIN, i32::MAX] {
        let mut bytes = whole.clone();
        forge_words(&mut bytes, 30, 0, &[day.cast_unsigned()]);
        let strange = Snapshot::from_bytes(&bytes).unwrap();
        let told = serde_json::to_string(&right.diff(&strange)).unwrap();
        assert!(told.contains(&format!("off {day}")), "{told}");
    }
}

/// Two ways on from each of sixty nodes, to the same next one: a request would take all of 2⁶⁰.
#[test]
fn routes_that_lead_to_a_node_by_two_ways_are_refused() {
    let (tree, out) = (Tree::new(), tempfile::tempdir().unwrap());
    let route = |path: &str| format!("  - {{ path: \"{path}\", allow: public }}\n");
    let routes = route("/a/a/a") + &route("/{x}") + &route("/b/{*y}");
    tree.write("companies/acme/routes.yaml", &format!("routes:\n{routes}"));
    compile(&tree, out.path());
    let whole = fs::read(out.path().join("acme.callgate")).unwrap();
    assert!(Snapshot::from_bytes(&whole).is_ok());
    let (hosts, nodes, edges) = (words(&whole, 33), words(&whole, 34), words(&whole, 35));
    let (capture, rest) = (2, 3);
    let root = hosts[1] as usize;
    let a = edges[nodes[root * 6] as usize * 2 + 1];
    let lies = [
        (34, root * 6 + capture, a, "a capture is a literal"),
        (34, root * 6 + capture, hosts[1], "a capture leads back"),
        (
            34,
            a as usize * 6 + rest,
            nodes[root * 6 + capture],
            "a rest is a capture",
        ),
        (
            34,
            root * 6 + rest,
            u32::MAX - 1,
            "a rest that is not there",
        ),
        (34, a as usize * 6, nodes[root * 6], "edges of two nodes"),
        (33, 1, a, "a host is a literal"),
        (35, 1, hosts[1], "a literal leads back"),
    ];
    for (section, word, lie, what) in lies {
        let mut bytes = whole.clone();
        forge_words(&mut bytes, section, word, &[lie]);
        let error = Snapshot::from_bytes(&bytes).err();
        assert_eq!(error, Some(FormatError::Endless), "{what}");
    }
}

#[test]
fn other_versions_and_other_files_are_refused_by_name() {
    let mut bytes = small();
    bytes[8] = 1;
    assert_eq!(
        Snapshot::from_bytes(&bytes).err(),
        Some(FormatError::Version(1))
    );
    let error = Snapshot::from_bytes(b"companies:\n").err();
    assert_eq!(error, Some(FormatError::NotASnapshot));
    assert_eq!(
        Snapshot::from_bytes(b"").err(),
        Some(FormatError::NotASnapshot)
    );
}

#[test]
fn what_compile_writes_is_the_same_byte_for_byte_wherever_the_tree_lies() {
    assert_eq!(small(), small());
}

#[test]
fn a_writer_killed_at_any_moment_leaves_the_old_file_or_the_new() {
    let (tree, out) = (Tree::new(), tempfile::tempdir().unwrap());
    let path = out.path().join("acme.callgate");
    let users = |count: usize| {
        let rows = (0..count).map(|n| format!("user{n},operator\n"));
        format!("user,roles\n{}", rows.collect::<String>())
    };
    compile(&tree, out.path());
    let old = fs::read(&path).unwrap();
    tree.write("companies/acme/users.csv", &users(20_000));
    let other = tempfile::tempdir().unwrap();
    let started = Instant::now();
    compile(&tree, other.path());
    let takes = started.elapsed();
    let new = fs::read(other.path().join("acme.callgate")).unwrap();
    let mut left = [0, 0];
    for kill in 0..40_u32 {
        fs::write(&path, &old).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command
            .arg("compile")
            .arg(tree.path())
            .arg("-o")
            .arg(out.path());
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        // A machine that is busy now may be idle then: some kills come before the end in any case.
        std::thread::sleep(takes * (5 + kill * 3) / 100);
        child.kill().unwrap();
        child.wait().unwrap();
        let found = fs::read(&path).unwrap();
        assert!(found == old || found == new, "{} bytes", found.len());
        left[usize::from(found == new)] += 1;
    }
    println!("old and new: {left:?}, of {takes:?}");
    assert!(left[0] > 0, "no kill came before the end");
}
