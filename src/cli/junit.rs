//! Test results as JUnit XML, which every CI server reads.

use std::fmt::Write;

/// The tests of one company or pack.
pub(crate) struct Suite {
    /// Where they stand (`companies/demo`).
    pub(crate) name: String,
    /// Each test.
    pub(crate) cases: Vec<Case>,
}

/// One test.
pub(crate) struct Case {
    /// Its name.
    pub(crate) name: String,
    /// What it says went wrong.
    pub(crate) result: Result<(), Problem>,
}

/// What went wrong.
pub(crate) enum Problem {
    /// The policy answers otherwise.
    Failure(String),
    /// The test could not be asked.
    Error(String),
}

/// The document.
pub(crate) fn document(suites: &[Suite]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let total = |count: fn(&Suite) -> usize| suites.iter().map(count).sum::<usize>();
    element(
        &mut xml,
        "testsuites",
        "callgate",
        [
            total(Suite::tests),
            total(Suite::failures),
            total(Suite::errors),
        ],
    );
    for suite in suites {
        suite.write(&mut xml);
    }
    xml.push_str("</testsuites>\n");
    xml
}

// === impl Suite ===

impl Suite {
    fn tests(&self) -> usize {
        self.cases.len()
    }

    fn failures(&self) -> usize {
        let failed = |case: &&Case| matches!(case.result, Err(Problem::Failure(_)));
        self.cases.iter().filter(failed).count()
    }

    fn errors(&self) -> usize {
        let failed = |case: &&Case| matches!(case.result, Err(Problem::Error(_)));
        self.cases.iter().filter(failed).count()
    }

    fn write(&self, xml: &mut String) {
        let counts = [self.tests(), self.failures(), self.errors()];
        element(xml, "testsuite", &self.name, counts);
        for case in &self.cases {
            let (name, class) = (escape(&case.name), escape(&self.name));
            // Writing to a string cannot fail, here and below.
            let _ = write!(xml, "<testcase name=\"{name}\" classname=\"{class}\"");
            let (tag, message) = match &case.result {
                Ok(()) => {
                    xml.push_str("/>\n");
                    continue;
                }
                Err(Problem::Failure(message)) => ("failure", escape(message)),
                Err(Problem::Error(message)) => ("error", escape(message)),
            };
            let first = message.lines().next().unwrap_or_default();
            let _ = writeln!(
                xml,
                "><{tag} message=\"{first}\">{message}</{tag}></testcase>"
            );
        }
        xml.push_str("</testsuite>\n");
    }
}

fn element(xml: &mut String, tag: &str, name: &str, [tests, failures, errors]: [usize; 3]) {
    let _ = writeln!(
        xml,
        "<{tag} name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">",
        escape(name)
    );
}

/// Text for an attribute or between tags. What XML 1.0 cannot hold at all becomes U+FFFD.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' => escaped.push(character),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_messages_are_escaped() {
        let case = Case {
            name: "a \"quoted\" <name> & \u{1b}".to_owned(),
            result: Err(Problem::Failure("expected allow\ngot deny".to_owned())),
        };
        let suite = Suite {
            name: "companies/demo".to_owned(),
            cases: vec![case],
        };
        let xml = document(&[suite]);
        assert!(
            xml.contains("name=\"a &quot;quoted&quot; &lt;name&gt; &amp; \u{fffd}\""),
            "{xml}"
        );
        assert!(
            xml.contains("<failure message=\"expected allow\">expected allow\ngot deny</failure>"),
            "{xml}"
        );
        assert!(
            xml.contains("<testsuites name=\"callgate\" tests=\"1\" failures=\"1\" errors=\"0\">"),
            "{xml}"
        );
    }
}
