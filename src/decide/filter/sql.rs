//! A filter as SQL: a condition for `WHERE`, and the values to bind to its parameters.
//!
//! The text holds names of columns and parameters, and never a value. It is two-valued: where the
//! tree is unknown it is false and not null, so that it may stand under `NOT`. A column holds one
//! single value or null, and values of one kind; a database that types its columns refuses the whole
//! where a column is of another kind than the policy means.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::Rows;
use super::tree::{Condition, Constant, Field, Leaf, Operand, Term, Test};
use crate::snapshot::{Kind as NameKind, Snapshot};

/// Whose SQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Parameters are `?`.
    #[default]
    Sqlite,
    /// Parameters are `$1`, `$2`…
    Postgresql,
}

/// Which column a field stands in, where it is not the one of its name.
#[derive(Clone, Debug, Default)]
pub struct Columns(BTreeMap<String, String>);

/// The name of a column is no plain identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{column}` is no plain name of a column: letters, digits and `_`, and dots between a table's \
     name and the column's"
)]
pub struct ColumnError {
    column: String,
}

/// A condition for `WHERE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sql<'f> {
    /// The text.
    pub condition: String,
    /// The values of its parameters, in order.
    pub params: Vec<&'f Constant<'f>>,
}

/// Why there is no SQL for a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsaid {
    /// SQL has no such test.
    Test {
        /// The field that is tested.
        field: String,
        /// The test.
        test: Test,
    },
    /// The field is compared with values of several kinds, and a column holds one.
    Kinds {
        /// The field.
        field: String,
    },
    /// The field's name is none that a column is likely to have.
    Column {
        /// The field.
        field: String,
    },
}

/// A condition in the making.
struct Writer<'w, 'f> {
    columns: &'w Columns,
    dialect: Dialect,
    sql: Sql<'f>,
}

/// Kinds of single values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Number,
    Text,
}

// === impl Dialect ===

impl Dialect {
    /// The name in requests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgresql => "postgresql",
        }
    }

    /// The dialect of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sqlite, Self::Postgresql]
            .into_iter()
            .find(|dialect| dialect.name() == name)
    }

    /// What encloses a name. SQLite takes what stands in `"` for text if there is no such column.
    const fn quote(self) -> char {
        match self {
            Self::Sqlite => '`',
            Self::Postgresql => '"',
        }
    }
}

// === impl Columns ===

impl Columns {
    /// The columns of some fields, by the fields' names; of a field that is named twice the last.
    ///
    /// # Errors
    /// A column whose name is no plain identifier.
    pub fn new(columns: BTreeMap<String, String>) -> Result<Self, ColumnError> {
        match columns.values().find(|column| !is_plain(column)) {
            Some(column) => Err(ColumnError {
                column: column.chars().take(NAME_CHARS_MAX).collect(),
            }),
            None => Ok(Self(columns)),
        }
    }

    /// The first name among them that no row of any type has a field of: it is misspelt, and the
    /// field that is meant would stand in the column of its own name.
    #[must_use]
    pub fn stranger(&self, snapshot: &Snapshot) -> Option<&str> {
        const OWN: [Field<'_>; 7] = [
            Field::Id,
            Field::Owner,
            Field::Group,
            Field::Department,
            Field::Project,
            Field::OwnerGroup,
            Field::OwnerDepartment,
        ];
        let own = OWN.map(|field| field.to_string());
        let is_known = |name: &&str| {
            own.iter().any(|own| own == name)
                || name.starts_with("properties.")
                || snapshot.find(NameKind::TYPE, name).is_some()
        };
        let mut names = self.0.keys().map(String::as_str);
        names.find(|name| !is_known(name))
    }
}

/// Characters of a name that a message repeats.
const NAME_CHARS_MAX: usize = 64;

/// The most parts that a column's name has: schema, table, column.
const PARTS_MAX: usize = 3;

/// The longest name that databases take.
const PART_BYTES_MAX: usize = 63;

fn is_plain(column: &str) -> bool {
    let is_word = |part: &str| {
        part.len() <= PART_BYTES_MAX
            && part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    column.split('.').count() <= PARTS_MAX && column.split('.').all(is_word)
}

// === impl Rows ===

impl<'f> Rows<'f> {
    /// The rows that may be listed, as SQL.
    ///
    /// # Errors
    /// What SQL cannot say.
    pub fn sql(&'f self, columns: &Columns, dialect: Dialect) -> Result<Sql<'f>, Unsaid> {
        let mut writer = Writer {
            columns,
            dialect,
            sql: Sql {
                condition: String::new(),
                params: Vec::new(),
            },
        };
        match self {
            Self::Always => writer.sql.condition.push_str("1 = 1"),
            Self::Never => writer.sql.condition.push_str("1 = 0"),
            Self::When(condition) => {
                kinds_agree(condition)?;
                writer.condition(condition)?;
            }
        }
        Ok(writer.sql)
    }
}

/// Refuses a field that is compared with values of several kinds.
fn kinds_agree(condition: &Condition<'_>) -> Result<(), Unsaid> {
    let mut kinds = BTreeMap::<&Field<'_>, Kind>::new();
    let mut wrong = None;
    condition.for_each_leaf(&mut |leaf| {
        let terms = match &leaf.value {
            _ if leaf.test == Test::Present => &[],
            Operand::One(term) => std::slice::from_ref(term),
            Operand::Many(terms) => terms,
            Operand::Whole(_) => &[],
        };
        for term in terms {
            if let Term::Constant(value) = term
                && *kinds.entry(&leaf.field).or_insert(Kind::of(value)) != Kind::of(value)
            {
                wrong.get_or_insert(&leaf.field);
            }
        }
    });
    match wrong {
        Some(field) => Err(Unsaid::Kinds {
            field: field.to_string(),
        }),
        None => Ok(()),
    }
}

// === impl Writer ===

impl<'f> Writer<'_, 'f> {
    fn condition(&mut self, condition: &'f Condition<'f>) -> Result<(), Unsaid> {
        match condition {
            Condition::Leaf(leaf) => self.leaf(leaf),
            // Only what looks into a list is ever negated, and SQL says neither.
            Condition::Not(inner) => self.condition(inner),
            Condition::All(parts) => self.join(parts, " AND "),
            Condition::Any(parts) => self.join(parts, " OR "),
        }
    }

    fn join(&mut self, parts: &'f [Condition<'f>], word: &str) -> Result<(), Unsaid> {
        for (n, part) in parts.iter().enumerate() {
            self.push(if n == 0 { "(" } else { word });
            self.condition(part)?;
        }
        self.push(")");
        Ok(())
    }

    fn leaf(&mut self, leaf: &'f Leaf<'f>) -> Result<(), Unsaid> {
        let column = self.column(&leaf.field)?;
        let terms: Vec<&Term<'f>> = match &leaf.value {
            Operand::One(term) => vec![term],
            Operand::Many(terms) => terms.iter().collect(),
            Operand::Whole(_) => return Err(Unsaid::test(leaf)),
        };
        let operator = match (leaf.test, &*terms) {
            (Test::Is, _) => "=",
            (Test::Not, _) => "<>",
            (Test::In, _) => "IN",
            (Test::NotIn, _) => "NOT IN",
            (Test::AtLeast, [Term::Constant(_)]) => ">=",
            (Test::AtMost, [Term::Constant(_)]) => "<=",
            (Test::Present, [Term::Constant(Constant::Bool(present))]) => {
                let test = if *present { "IS NOT NULL" } else { "IS NULL" };
                self.push(&format!("{column} {test}"));
                return Ok(());
            }
            _ => return Err(Unsaid::test(leaf)),
        };
        self.push("(");
        match (leaf.test, self.dialect) {
            // Where columns have no types every text is larger than every number.
            (Test::AtLeast | Test::AtMost, Dialect::Sqlite) => {
                self.push(&format!("typeof({column}) IN ('integer', 'real')"));
            }
            _ => self.push(&format!("{column} IS NOT NULL")),
        }
        for term in &terms {
            if let Term::Field(field) = term {
                let other = self.column(field)?;
                self.push(&format!(" AND {other} IS NOT NULL"));
            }
        }
        if !terms.is_empty() {
            self.push(&format!(" AND {column} {operator} "));
            let list = matches!(leaf.value, Operand::Many(_));
            self.push(if list { "(" } else { "" });
            for (n, term) in terms.into_iter().enumerate() {
                self.push(if n == 0 { "" } else { ", " });
                self.term(term)?;
            }
            self.push(if list { ")" } else { "" });
        }
        self.push(")");
        Ok(())
    }

    fn term(&mut self, term: &'f Term<'f>) -> Result<(), Unsaid> {
        let value = match term {
            Term::Field(field) => {
                let column = self.column(field)?;
                self.push(&column);
                return Ok(());
            }
            Term::Constant(value) => value,
        };
        self.sql.params.push(value);
        let param = match self.dialect {
            Dialect::Sqlite => "?".to_owned(),
            Dialect::Postgresql => {
                let param = format!("${}", self.sql.params.len());
                // Else a number would be taken for text beside a column of texts.
                match value {
                    Constant::Text(_) => param,
                    Constant::Bool(_) => format!("CAST({param} AS boolean)"),
                    Constant::Number(number) if number.whole().is_some() => {
                        format!("CAST({param} AS bigint)")
                    }
                    Constant::Number(_) => format!("CAST({param} AS double precision)"),
                }
            }
        };
        self.push(&param);
        Ok(())
    }

    /// The field's column, enclosed: so no word of SQL's own is in its way.
    fn column(&self, field: &Field<'_>) -> Result<String, Unsaid> {
        let name = field.to_string();
        let quote = self.dialect.quote();
        let mut column = String::new();
        // Writing to a string cannot fail.
        if let Some(given) = self.columns.0.get(&name) {
            for (n, part) in given.split('.').enumerate() {
                let dot = if n == 0 { "" } else { "." };
                let _ = write!(column, "{dot}{quote}{part}{quote}");
            }
            return Ok(column);
        }
        let is_nested = matches!(field, Field::Property(path) if path.contains('.'));
        let is_usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if is_nested || name.len() > PART_BYTES_MAX || !name.chars().all(is_usual) {
            return Err(Unsaid::Column { field: name });
        }
        let _ = write!(column, "{quote}{name}{quote}");
        Ok(column)
    }

    fn push(&mut self, text: &str) {
        self.sql.condition.push_str(text);
    }
}

// === impl Unsaid, Kind ===

impl Unsaid {
    fn test(leaf: &Leaf<'_>) -> Self {
        Self::Test {
            field: leaf.field.to_string(),
            test: leaf.test,
        }
    }
}

impl fmt::Display for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test { field, test } => {
                write!(f, "SQL has no test `{}` as `{field}` needs it", test.name())
            }
            Self::Kinds { field } => write!(
                f,
                "`{field}` is compared with values of several kinds, and a column holds one kind"
            ),
            Self::Column { field } => write!(f, "`{field}` has no column: name one"),
        }
    }
}

impl Kind {
    const fn of(value: &Constant<'_>) -> Self {
        match value {
            Constant::Bool(_) => Self::Bool,
            Constant::Number(_) => Self::Number,
            Constant::Text(_) => Self::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::tree::Number;
    use super::*;

    fn text(text: &str) -> Term<'_> {
        Term::Constant(Constant::Text(Cow::Borrowed(text)))
    }

    fn leaf<'a>(field: Field<'a>, test: Test, value: Operand<'a>) -> Condition<'a> {
        Condition::Leaf(Leaf { field, test, value })
    }

    fn property(name: &str) -> Field<'_> {
        Field::Property(Cow::Borrowed(name))
    }

    fn written(condition: Condition<'_>, columns: &Columns, dialect: Dialect) -> String {
        match Rows::When(condition).sql(columns, dialect) {
            Ok(sql) => sql.condition,
            Err(unsaid) => unsaid.to_string(),
        }
    }

    fn columns(pairs: &[(&str, &str)]) -> Result<Columns, ColumnError> {
        let owned = pairs
            .iter()
            .map(|(field, column)| ((*field).to_owned(), (*column).to_owned()));
        Columns::new(owned.collect())
    }

    #[test]
    fn values_are_bound_and_columns_enclosed() {
        let condition = Condition::All(vec![
            leaf(Field::Owner, Test::Is, Operand::One(text("' OR 1 = 1 --"))),
            leaf(
                Field::Group,
                Test::Present,
                Operand::One(Term::Constant(Constant::Bool(false))),
            ),
            leaf(
                property("amount"),
                Test::AtLeast,
                Operand::One(Term::Constant(Constant::Number(Number::new(2.5)))),
            ),
        ]);
        let columns = columns(&[("owner", "c.agent_id")]).unwrap();
        assert_eq!(
            written(condition.clone(), &columns, Dialect::Sqlite),
            "((`c`.`agent_id` IS NOT NULL AND `c`.`agent_id` = ?) AND `group` IS NULL AND \
             (typeof(`properties.amount`) IN ('integer', 'real') AND `properties.amount` >= ?))"
        );
        assert_eq!(
            written(condition.clone(), &columns, Dialect::Postgresql),
            "((\"c\".\"agent_id\" IS NOT NULL AND \"c\".\"agent_id\" = $1) AND \"group\" IS NULL AND \
             (\"properties.amount\" IS NOT NULL AND \"properties.amount\" >= CAST($2 AS double precision)))"
        );
        let rows = Rows::When(condition);
        let sql = rows.sql(&columns, Dialect::Sqlite).unwrap();
        let [Constant::Text(first), Constant::Number(second)] = *sql.params else {
            panic!("{:?}", sql.params);
        };
        assert_eq!((&**first, second.value()), ("' OR 1 = 1 --", 2.5));
    }

    #[test]
    fn columns_are_plain_names() {
        for plain in ["agent_id", "c.agent_id", "crm.calls.agent_id", "_x1"] {
            assert!(columns(&[("owner", plain)]).is_ok(), "{plain}");
        }
        let long = "a".repeat(64);
        for strange in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a.b.c.d",
            "1a",
            "a b",
            "a;b",
            "a\"b",
            "a`b",
            "a'b",
            "owner--",
            "a\0b",
            "é",
            "(select 1)",
            "a/**/b",
            "[a]",
            &long,
        ] {
            assert!(columns(&[("owner", strange)]).is_err(), "{strange}");
        }
    }

    #[test]
    fn what_sql_cannot_say_is_named() {
        let none = Columns::default();
        let say = |condition| written(condition, &none, Dialect::Sqlite);
        let network = Operand::Many(vec![text("10.0.0.0/8")]);
        let unsaid = say(leaf(property("ip"), Test::InNetwork, network));
        assert!(
            unsaid.contains("`in_network`") && unsaid.contains("`properties.ip`"),
            "{unsaid}"
        );
        let contains = leaf(
            property("labels"),
            Test::Contains,
            Operand::One(text("vip")),
        );
        let unsaid = say(Condition::Not(Box::new(contains)));
        assert!(unsaid.contains("`contains`"), "{unsaid}");
        let one = Term::Constant(Constant::Number(Number::new(1.0)));
        let unsaid = say(leaf(
            property("x"),
            Test::In,
            Operand::Many(vec![text("a"), one]),
        ));
        assert!(unsaid.contains("several kinds"), "{unsaid}");
        for name in ["deep.inner", "a`b", "a\"b", "é"] {
            let unsaid = say(leaf(property(name), Test::Is, Operand::One(text("a"))));
            assert!(unsaid.contains("name one"), "{unsaid}");
        }
    }

    #[test]
    fn a_column_may_be_named_for_a_nested_property() {
        let columns = columns(&[("properties.deep.inner", "inner")]).unwrap();
        let condition = leaf(
            property("deep.inner"),
            Test::NotIn,
            Operand::Many(Vec::new()),
        );
        assert_eq!(
            written(condition, &columns, Dialect::Sqlite),
            "(`inner` IS NOT NULL)"
        );
    }
}
