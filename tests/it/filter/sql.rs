//! A filter's SQL, run in real databases, gives the rows that pass its tree.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use callgate::decide::filter::Rows;
use rusqlite::types::Value as SqlValue;

use super::*;

/// Fields and the columns that they stand in; `true`: a column of numbers.
const FIELDS: [(&str, &str, bool); 18] = [
    ("id", "id", false),
    ("owner", "r.agent_id", false),
    ("group", "group", false),
    ("department", "department", false),
    ("project", "project", false),
    ("owner.group", "owner.group", false),
    ("owner.department", "owner.department", false),
    ("queue", "queue", false),
    ("list", "list", false),
    ("call", "call", false),
    ("properties.status", "status", false),
    ("properties.amount", "properties.amount", true),
    ("properties.region", "properties.region", false),
    ("properties.ip", "properties.ip", false),
    ("properties.labels", "properties.labels", false),
    ("properties.queue", "properties.queue", false),
    ("properties.deep.inner", "inner", false),
    ("properties.deep", "properties.deep", false),
];

/// The columns that a request would name.
fn columns() -> Columns {
    let named = ["owner", "properties.status", "properties.deep.inner"];
    let fields = FIELDS.iter().filter(|(field, ..)| named.contains(field));
    let columns = fields.map(|(field, column, _)| ((*field).to_owned(), (*column).to_owned()));
    Columns::new(columns.collect()).unwrap()
}

fn column_name(column: &str) -> &str {
    column.strip_prefix("r.").unwrap_or(column)
}

/// One question's SQL, with the places of the rows that pass its tree.
struct Asked {
    condition: String,
    params: Vec<Value>,
    passing: Vec<usize>,
    document: Value,
}

/// A company's rows as a table, and questions about them.
struct Table {
    seed: u64,
    rows: Vec<Vec<Value>>,
    asked: Vec<Asked>,
}

/// Tables of some companies. Where columns are typed, values that do not fit are left out.
fn tables(companies: u64, dialect: Dialect, typed: bool) -> Vec<Table> {
    let mut tables = Vec::new();
    for seed in 0..companies {
        let rng = &mut Rng::with_seed(seed ^ 0x5c1);
        let shape = Shape::wild(rng);
        let mut company = Company::generate(&shape, seed);
        condition_everything(&mut company, rng);
        let (policy, snapshot) = compile(&company).unwrap();
        let rows: Vec<Value> = (0..40).map(|_| flat(row(&shape, rng), typed)).collect();
        let readers = || {
            rows.iter().map(|row| Reader {
                policy: &policy,
                row,
                several: Several::Null,
            })
        };
        let mut asked = Vec::new();
        for _ in 0..30 {
            let request = request(&shape, rng);
            let question = Question::new(&request);
            let query = question.query();
            let Ok(filter) = decide::filter::filter(&snapshot, &query) else {
                continue;
            };
            let document = filter::document(&filter, &columns(), dialect);
            let Some(sql) = document.get("sql").cloned() else {
                continue;
            };
            if matches!(filter.rows, Rows::When(_)) == (rng.u32(0..8) == 0)
                || typed && !fits(&document)
            {
                continue;
            }
            let passing = readers()
                .enumerate()
                .filter(|(_, reader)| reader.lists(&document));
            asked.push(Asked {
                condition: sql["where"].as_str().unwrap().to_owned(),
                params: sql["params"].as_array().unwrap().clone(),
                passing: passing.map(|(n, _)| n).collect(),
                document,
            });
        }
        let cells = readers().map(|reader| {
            FIELDS
                .iter()
                .map(|(field, ..)| reader.field(field))
                .collect()
        });
        tables.push(Table {
            seed,
            rows: cells.collect(),
            asked,
        });
    }
    let asked = || tables.iter().flat_map(|table| &table.asked);
    let mixed = asked().filter(|asked| (1..40).contains(&asked.passing.len()));
    let (all, mixed) = (asked().count(), mixed.count());
    assert!(
        all > 100 && mixed > 50,
        "{mixed} of {all} questions divide the rows"
    );
    tables
}

/// The row with what a column cannot hold left out: lists, objects and booleans.
fn flat(mut row: Value, typed: bool) -> Value {
    let fits = |name: &str, value: &Value| match value {
        Value::Number(_) => !typed || name == "amount",
        Value::String(_) => !typed || name != "amount",
        _ => false,
    };
    if let Some(properties) = row["properties"].as_object_mut() {
        properties.retain(|name, value| {
            if let Some(members) = value.as_object_mut() {
                members.retain(|name, value| fits(name, value));
                return !members.is_empty();
            }
            fits(name, value)
        });
    }
    row
}

/// Whether each field is compared with what its column holds.
fn fits(document: &Value) -> bool {
    let mut fits = true;
    leaves(&document["condition"], &mut |leaf| {
        let numbers = FIELDS
            .iter()
            .find(|(field, ..)| leaf["field"] == *field)
            .is_some_and(|of| of.2);
        let values = match &leaf["value"] {
            Value::Array(values) => values.clone(),
            value => vec![value.clone()],
        };
        fits &= leaf["test"] == "present"
            || values
                .iter()
                .all(|value| value.is_number() && numbers || value.is_string() && !numbers);
    });
    fits
}

#[test]
fn sqlite_gives_the_same_rows() {
    for table in tables(60, Dialect::Sqlite, false) {
        let database = rusqlite::Connection::open_in_memory().unwrap();
        let names = FIELDS
            .map(|(_, column, _)| format!("`{}`", column_name(column)))
            .join(", ");
        database
            .execute(&format!("CREATE TABLE rows (n, {names})"), ())
            .unwrap();
        let marks = vec!["?"; FIELDS.len() + 1].join(", ");
        for (n, row) in table.rows.iter().enumerate() {
            let cells = std::iter::once(json!(n))
                .chain(row.iter().cloned())
                .map(|cell| bound(&cell));
            let insert = format!("INSERT INTO rows VALUES ({marks})");
            database
                .execute(&insert, rusqlite::params_from_iter(cells))
                .unwrap();
        }
        for asked in &table.asked {
            let select = |condition: &str| -> Vec<usize> {
                let query = format!("SELECT n FROM rows AS r WHERE {condition} ORDER BY n");
                let mut query = database.prepare(&query).unwrap();
                let params = rusqlite::params_from_iter(asked.params.iter().map(bound));
                let found = query.query_map(params, |row| row.get::<_, u32>(0)).unwrap();
                found.map(|n| n.unwrap() as usize).collect()
            };
            let why = || {
                format!(
                    "seed {}: {}\n{:#}",
                    table.seed, asked.condition, asked.document
                )
            };
            assert_eq!(select(&asked.condition), asked.passing, "{}", why());
            // Two-valued: what does not pass passes the contrary.
            let others: Vec<usize> = (0..table.rows.len())
                .filter(|n| !asked.passing.contains(n))
                .collect();
            assert_eq!(
                select(&format!("NOT {}", enclosed(&asked.condition))),
                others,
                "{}",
                why()
            );
        }
    }
}

fn enclosed(condition: &str) -> String {
    format!("({condition})")
}

fn bound(value: &Value) -> SqlValue {
    match value {
        Value::String(text) => SqlValue::Text(text.clone()),
        Value::Bool(value) => SqlValue::Integer(i64::from(*value)),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => SqlValue::Integer(whole),
            None => SqlValue::Real(number.as_f64().unwrap()),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => SqlValue::Null,
    }
}

#[test]
#[ignore = "needs the programs of PostgreSQL's server"]
fn postgresql_gives_the_same_rows() {
    let server = Postgresql::start();
    let mut script = String::new();
    let tables = tables(40, Dialect::Postgresql, true);
    for table in &tables {
        let columns = FIELDS.map(|(_, column, numbers)| {
            let kind = if numbers { "double precision" } else { "text" };
            format!("\"{}\" {kind}", column_name(column))
        });
        writeln!(script, "CREATE TABLE rows (n int, {});", columns.join(", ")).unwrap();
        for (n, row) in table.rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().map(written).collect();
            writeln!(
                script,
                "INSERT INTO rows VALUES ({n}, {});",
                cells.join(", ")
            )
            .unwrap();
        }
        for asked in &table.asked {
            let params: Vec<String> = asked.params.iter().map(written).collect();
            let params = if params.is_empty() {
                String::new()
            } else {
                enclosed(&params.join(", "))
            };
            for condition in [
                asked.condition.clone(),
                format!("NOT {}", enclosed(&asked.condition)),
            ] {
                let select = "SELECT coalesce(string_agg(n::text, ',' ORDER BY n), '')";
                writeln!(
                    script,
                    "PREPARE asked AS {select} FROM rows AS r WHERE {condition};"
                )
                .unwrap();
                writeln!(script, "EXECUTE asked{params}; DEALLOCATE asked;").unwrap();
            }
        }
        script.push_str("DROP TABLE rows;\n");
    }
    let answers = server.run(&script);
    let mut answers = answers.lines();
    for table in &tables {
        for asked in &table.asked {
            let others = (0..table.rows.len())
                .filter(|n| !asked.passing.contains(n))
                .collect();
            for expected in [&asked.passing, &others] {
                let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
                let why = || {
                    format!(
                        "seed {}: {}\n{:#}",
                        table.seed, asked.condition, asked.document
                    )
                };
                assert_eq!(answers.next(), Some(&*expected.join(",")), "{}", why());
            }
        }
    }
    assert_eq!(answers.next(), None);
}

/// A value as PostgreSQL writes it.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => "NULL".to_owned(),
    }
}

/// A server of our own, on a socket in a folder of its own.
struct Postgresql {
    programs: PathBuf,
    folder: tempfile::TempDir,
    server: Child,
}

/// The user of files that nobody owns: PostgreSQL does not run as root.
const NOBODY: u32 = 65534;

impl Postgresql {
    fn start() -> Self {
        let programs = Self::programs();
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let cluster = folder.path().join("cluster");
        let mut initdb = as_nobody(Command::new(programs.join("initdb")), folder.path());
        let done = initdb.args([
            "--no-sync",
            "-A",
            "trust",
            "-U",
            "callgate",
            "-E",
            "UTF8",
            "--locale=C",
            "-D",
        ]);
        let done = done.arg(&cluster).output().unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let mut server = as_nobody(Command::new(programs.join("postgres")), folder.path());
        let server = server
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
            .arg(folder.path());
        let server = server
            .arg("-D")
            .arg(&cluster)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let server = Self {
            programs,
            server: server.spawn().unwrap(),
            folder,
        };
        let began = Instant::now();
        while !server.psql("SELECT 1;\n").status.success() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "PostgreSQL does not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// `CALLGATE_POSTGRESQL` names the folder; else Debian's.
    fn programs() -> PathBuf {
        if let Some(folder) = env::var_os("CALLGATE_POSTGRESQL") {
            return folder.into();
        }
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let folders = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
        let found = folders
            .filter(|folder| folder.join("postgres").exists())
            .max();
        found.expect("no server of PostgreSQL: install `postgresql`, or name its programs in CALLGATE_POSTGRESQL")
    }

    fn psql(&self, script: &str) -> std::process::Output {
        let file = self.folder.path().join("script.sql");
        fs::write(&file, script).unwrap();
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "callgate",
            "-d",
            "postgres",
            "-h",
        ]);
        psql.arg(self.folder.path()).arg("-f").arg(file);
        psql.output().unwrap()
    }

    fn run(&self, script: &str) -> String {
        let done = self.psql(script);
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout).unwrap()
    }
}

impl Drop for Postgresql {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The command as somebody who is not root.
fn as_nobody(mut command: Command, folder: &Path) -> Command {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir(folder);
    command
}
