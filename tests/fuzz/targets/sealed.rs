//! Tables that lie, under digests that are right: what a mistake in the compiler, or whoever has
//! the key, could bring about. They are read like any others, asked, and compared with a company
//! that ships: no panic, no hang.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;
use std::time::SystemTime;

use callgate::decide::search::{self, Window};
use callgate::decide::{self, filter};
use callgate::model::{Action, Entity, HttpRequest, Properties, Query};
use callgate::policy::{self, Files};
use callgate::snapshot::Snapshot;
use libfuzzer_sys::fuzz_target;

/// Of the header and of each line of the table of sections, as docs/snapshot-file.md tells.
const HEADER: usize = 80;
const LINE: usize = 56;
/// The last section that decides: the content's digest covers the lines up to it.
const DECIDING: u32 = 37;

/// What runs when the tables that lie come.
static RUNS: LazyLock<Snapshot> = LazyLock::new(|| {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let mut files = Vec::new();
    for folder in ["packs/oki-toki", "companies/shop"] {
        for file in policies.join(folder).read_dir().unwrap() {
            let file = file.unwrap();
            let path = format!("{folder}/{}", file.file_name().display());
            files.push((path, std::fs::read(file.path()).unwrap()));
        }
    }
    let reading = policy::read_company(&Files::new(files), "shop");
    Snapshot::compile(&reading.unwrap().policy).unwrap()
});

fuzz_target!(|bytes: &[u8]| {
    let Some(bytes) = sealed(bytes) else {
        return;
    };
    let Ok(snapshot) = Snapshot::from_bytes(&bytes) else {
        return;
    };
    assert_eq!(snapshot.to_bytes(), bytes);
    let now = SystemTime::now().into();
    let _ = decide::replay(&snapshot, now);
    let none = &Properties::EMPTY;
    let window = Window {
        after: None,
        limit: 10,
    };
    for user in ["olga", "marek", "nobody"] {
        for (kind, action) in [
            ("call", "listen"),
            ("call", "view"),
            ("recording", "download"),
        ] {
            let entity = |kind, id| Entity {
                kind,
                id,
                properties: none,
            };
            let query = Query {
                subject: entity("user", user),
                action: Action {
                    name: action,
                    properties: none,
                },
                resource: entity(kind, "c1"),
                context: none,
                section: false,
                test_role: None,
                now,
            };
            let reason = decide::check(&snapshot, &query);
            let explained = decide::explain(&snapshot, &query);
            drop((reason.to_string(), explained));
            let _ = search::subjects(&snapshot, &query, window);
            let _ = search::resources(&snapshot, &query, window);
            let _ = search::actions(&snapshot, &query, window);
            let _ = filter::filter(&snapshot, &query);
        }
    }
    for path in ["/", "/a/a/a/a", "/chats/c1", "/static/a/b"] {
        for host in [None, Some("demo.example")] {
            let method = "GET";
            let routed = decide::route(&snapshot, &HttpRequest { method, host, path });
            let _ = routed.place(&snapshot);
        }
    }
    for (old, new) in [(&*RUNS, &snapshot), (&snapshot, &*RUNS)] {
        let diff = old.diff(new);
        assert_eq!(old.impact(new).changes, diff.changes.len());
        let _ = old.lost_in(new);
    }
});

/// The file with the lengths, offsets and digests that its sections have.
fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut file = bytes.to_vec();
    let count = u32::from_le_bytes(*file.get(12..)?.first_chunk()?) as usize;
    let table_end = HEADER + count.checked_mul(LINE)?;
    file.get(..table_end)?;
    let mut offset = table_end;
    let mut deciding = HEADER;
    for line in (HEADER..table_end).step_by(LINE) {
        let number = u32::from_le_bytes(*file[line..].first_chunk()?);
        let row = u32::from_le_bytes(*file[line + 4..].first_chunk()?).max(1) as usize;
        let told = u64::from_le_bytes(*file[line + 16..].first_chunk()?);
        let there = file.len() - offset;
        // The last one has what is left.
        let is_last = line + LINE == table_end;
        let told = usize::try_from(told).unwrap_or(there);
        let rows = if is_last { there } else { told.min(there) } / row;
        let end = offset + rows * row;
        let digest = blake3::hash(&file[offset..end]);
        file[line + 8..line + 16].copy_from_slice(&(offset as u64).to_le_bytes());
        file[line + 16..line + 24].copy_from_slice(&((rows * row) as u64).to_le_bytes());
        file[line + 24..line + LINE].copy_from_slice(digest.as_bytes());
        offset = end;
        if number <= DECIDING {
            deciding = line + LINE;
        }
    }
    file.truncate(offset);
    let content = blake3::hash(&file[HEADER..deciding]);
    let whole = blake3::hash(&file[HEADER..table_end]);
    file[16..48].copy_from_slice(content.as_bytes());
    file[48..80].copy_from_slice(whole.as_bytes());
    Some(file)
}
