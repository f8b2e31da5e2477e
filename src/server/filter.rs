//! Which rows may be listed: callgate's own, for lists and reports. All of it runs on the pool.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use hyper::body::Incoming;
use hyper::header::HeaderMap;
use serde::de::MapAccess;
use serde_json::{Map, Value, json};

use super::authzen::{self, Said};
use super::desk::{Asked, Desk, reach};
use super::evaluation::{EvaluationRequest, Sought, names_generation};
use super::expect::{self, NO_PROPERTIES, optional};
use super::json::{Member, Shape, Text, put, shorten};
use super::respond::{Answer, Refusal, RefusalCode};
use super::trail::Trail;
use super::worker::Worker;
use crate::decide::filter::sql::{Columns, Dialect};
use crate::decide::filter::{
    Condition, Constant, Filter, FilterError, Objects, Operand, Rows, Term, filter,
};
use crate::journal::Outcome;
use crate::model::{Properties, Timestamp};
use crate::telemetry::{Api, Code};

/// A question as it came.
#[derive(Debug, Default)]
struct FilterRequest<'a> {
    question: EvaluationRequest<'a>,
    columns: Member<Properties<'a>>,
    dialect: Member<Cow<'a, str>>,
}

/// Answers for the company that the path names, or for the one there is.
pub(super) async fn filtered(
    worker: &Worker,
    trail: Option<Trail>,
    company: Option<&str>,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Answer {
    let (said, _place) = match authzen::read(worker, company, headers, body).await {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let company = company.map(str::to_owned);
    let question = move |desk: &Desk| Some(answer(desk, trail.as_ref(), company.as_deref(), &said));
    worker.pool().ask(question).await
}

/// The request's one look at its company's snapshot, and all that is done with it.
fn answer(desk: &Desk, trail: Option<&Trail>, company: Option<&str>, said: &Said) -> Answer {
    let request = said.as_deref().map_err(Clone::clone);
    let request = request.and_then(expect::body::<FilterRequest<'_>>);
    let awaits = (request.as_ref()).is_ok_and(|request| names_generation(request.question.parts()));
    let generation = awaits.then(|| desk.generation(company)).flatten();
    desk.answer(company, |snapshot| {
        let request = request.as_ref().map_err(Clone::clone)?;
        let api = Api::Filter;
        let asked = Asked {
            api,
            trail,
            snapshot,
            stale: false,
        };
        request.answer(desk, &asked, generation)
    })
}

// === impl FilterRequest ===

impl FilterRequest<'_> {
    fn answer(
        &self,
        desk: &Desk,
        asked: &Asked<'_, '_>,
        generation: Option<u64>,
    ) -> Result<Answer, Refusal> {
        let now = Timestamp::from(SystemTime::now());
        // The id of a row is not looked at, as that of what is sought.
        let check = self
            .question
            .parts()
            .check_but(Some(Sought::Resource), now)?;
        let (columns, dialect) = (self.columns()?, self.dialect()?);
        if let Some(field) = columns.stranger(asked.snapshot) {
            let message = format!("`columns.{}` {NO_FIELD}", shorten(field));
            return Err(Refusal::bad(RefusalCode::UnknownField, message));
        }
        reach(generation, check.min_generation)?;
        let query = check.query();
        let filter = filter(asked.snapshot, query).map_err(|error| refused(&error))?;
        desk.note(asked, None, query, Outcome::Filtered(verdict(&filter.rows)))?;
        Ok(Answer::filtered(&document(&filter, &columns, dialect)))
    }

    fn columns(&self) -> Result<Columns, Refusal> {
        let columns = optional(&self.columns, "`columns`", "an object")?;
        let mut named = BTreeMap::new();
        for (field, column) in columns.unwrap_or(&NO_PROPERTIES).iter() {
            if column.is_null() {
                continue;
            }
            let Some(column) = column.as_str() else {
                let path = format!("`columns.{}`", shorten(field));
                return Err(expect::wrong(&path, "a string", "something else"));
            };
            named.insert(field.to_owned(), column.to_owned());
        }
        Columns::new(named)
            .map_err(|error| Refusal::bad(RefusalCode::InvalidColumn, error.to_string()))
    }

    fn dialect(&self) -> Result<Dialect, Refusal> {
        let Some(name) = optional(&self.dialect, "`dialect`", "a string")? else {
            return Ok(Dialect::default());
        };
        Dialect::from_name(name).ok_or_else(|| {
            let message = format!(
                "`dialect` is `{}`: there are sqlite and postgresql",
                shorten(name)
            );
            Refusal::bad(RefusalCode::UnknownDialect, message)
        })
    }
}

impl<'de> Shape<'de> for FilterRequest<'de> {
    type Out = Self;

    fn object<A: MapAccess<'de>>(
        members: A,
        levels: u8,
        place: &mut Member<Self>,
    ) -> Result<(), A::Error> {
        let mut request = Self::default();
        let Self {
            question,
            columns,
            dialect,
        } = &mut request;
        let mut came = [false; 2];
        let [of_columns, of_dialect] = &mut came;
        question.fill(members, levels, |name, of| match name {
            "columns" => put::<Properties<'_>, A>(columns, of_columns, name, of, levels),
            "dialect" => put::<Text, A>(dialect, of_dialect, name, of, levels),
            _ => Ok(false),
        })?;
        *place = Member::Is(request);
        Ok(())
    }
}

/// The question is right, and its answer is none that can be given.
#[cold]
fn refused(error: &FilterError) -> Refusal {
    let code = match error {
        FilterError::TooLarge => RefusalCode::FilterTooLarge,
        FilterError::Unsayable => RefusalCode::FilterUnsayable,
    };
    Refusal::new(Code::Unprocessable, code, error.to_string())
}

/// What is wrong with a field that no row has.
pub const NO_FIELD: &str = "is no field of a row: fields are id, owner, group, department, project, \
    owner.group, owner.department, the types of parents, and properties.NAME";

// === documents ===

/// The document that answers a filter, with its SQL, or why there is none.
#[must_use]
pub fn document(filter: &Filter<'_>, columns: &Columns, dialect: Dialect) -> Value {
    let mut document = Map::new();
    let mut tell = |name: &str, value: Value| {
        document.insert(name.to_owned(), value);
    };
    tell("filter", json!(verdict(&filter.rows)));
    if let Rows::When(condition) = &filter.rows {
        tell("condition", tree(condition));
    }
    let Objects { allow, deny } = &filter.objects;
    if !allow.is_empty() || !deny.is_empty() {
        tell("objects", json!({ "allow": allow, "deny": deny }));
    }
    if filter.links {
        tell("links", json!(true));
    }
    match filter.rows.sql(columns, dialect) {
        Ok(sql) => {
            let params: Vec<Value> = sql.params.into_iter().map(constant).collect();
            tell("sql", json!({ "where": sql.condition, "params": params }));
        }
        Err(unsaid) => {
            tell("no_sql", json!(unsaid.to_string()));
        }
    }
    Value::Object(document)
}

/// What the rows come to, in a word.
const fn verdict(rows: &Rows<'_>) -> &'static str {
    match rows {
        Rows::Always => "always",
        Rows::Never => "never",
        Rows::When(_) => "when",
    }
}

fn tree(condition: &Condition<'_>) -> Value {
    match condition {
        Condition::All(parts) => json!({ "all": parts.iter().map(tree).collect::<Value>() }),
        Condition::Any(parts) => json!({ "any": parts.iter().map(tree).collect::<Value>() }),
        Condition::Not(part) => json!({ "not": tree(part) }),
        Condition::Leaf(leaf) => json!({
            "field": leaf.field.to_string(),
            "test": leaf.test.name(),
            "value": match &leaf.value {
                Operand::One(one) => term(one),
                Operand::Many(terms) => terms.iter().map(term).collect(),
                Operand::Whole(field) => json!({ "path": field.to_string() }),
            },
        }),
    }
}

fn term(term: &Term<'_>) -> Value {
    match term {
        Term::Constant(value) => constant(value),
        Term::Field(field) => json!({ "path": field.to_string() }),
    }
}

/// A single value as JSON; whole numbers without a fraction.
fn constant(value: &Constant<'_>) -> Value {
    match value {
        Constant::Bool(value) => json!(value),
        Constant::Number(number) => match number.whole() {
            Some(whole) => json!(whole),
            None => json!(number.value()),
        },
        Constant::Text(text) => json!(text),
    }
}
