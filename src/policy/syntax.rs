//! What is said of a file that is not YAML.

use saphyr_parser::ScanError;

use super::Code;
use super::sink::{Finding, Sink, Span};
use super::yaml::DEPTH_MAX;

/// Reports what the parser stumbled over, with the advice that mostly helps.
pub(super) fn report(sink: &Sink<'_>, file: u32, text: &str, error: &ScanError) {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX - 1);
    let (line, column) = (
        number(error.marker().line()).max(1),
        number(error.marker().col()) + 1,
    );
    let mut span = Span::line(file, line, column..column + 1);
    let last = text.lines().count();
    if last < line as usize {
        // What is missing at the end is missing behind the last line.
        let width = text.lines().last().map_or(0, |line| line.chars().count());
        let column = number(width) + 1;
        span = Span::line(file, number(last).max(1), column..column + 1);
    }
    let lines = || text.lines().skip((line as usize).saturating_sub(2)).take(2);
    let indented_by_tab = |line: &str| {
        let indentation = line.len() - line.trim_start().len();
        line.get(..indentation).is_some_and(|it| it.contains('\t'))
    };
    if error.info().contains("tab") || lines().any(indented_by_tab) {
        let tab = text
            .lines()
            .enumerate()
            .skip((line as usize).saturating_sub(2));
        let tab = tab.take(2).find(|(_, line)| line.contains('\t'));
        let span = tab.map_or(span, |(at, line)| {
            let column = number(line.chars().take_while(|one| *one != '\t').count()) + 1;
            Span::line(file, number(at) + 1, column..column + 1)
        });
        Finding::error(Code::TabIndentation, span, "tab in the indentation")
            .help("indent with spaces")
            .report(sink);
        return;
    }
    if error.info().contains("recursion limit") {
        let message = format!("values nested more than {DEPTH_MAX} deep");
        sink.error(Code::TooNested, span, message);
        return;
    }
    if error.info().contains("unknown anchor") {
        let message = "alias of an anchor that is not there";
        Finding::error(Code::Anchor, span, message)
            .help("a star that is meant as such stands in quotes: `\"*\"`")
            .report(sink);
        return;
    }
    let conflict = text.lines().position(|line| line.starts_with("<<<<<<< "));
    if let Some(at) = conflict {
        let span = Span::line(file, number(at) + 1, 1..8);
        let message = "not YAML: a merge was not finished, and left its marks";
        Finding::error(Code::YamlSyntax, span, message)
            .help("keep one side, and remove the lines of `<<<<<<<`, `=======` and `>>>>>>>`")
            .report(sink);
        return;
    }
    let message = format!("not YAML: {}", error.info());
    let lines = |number: u32| text.lines().nth(number.checked_sub(1)? as usize);
    let here = lines(line).unwrap_or_default();
    let before = lines(line.saturating_sub(1)).unwrap_or_default();
    Finding::error(Code::YamlSyntax, span, message)
        .help_if(advice(error.info(), here, before).map(str::to_owned))
        .report(sink);
}

/// What mostly leads to this error, on this line and the one before.
fn advice(info: &str, line: &str, before: &str) -> Option<&'static str> {
    let count = |bracket| before.matches(bracket).count();
    if count(['[', '{']) > count([']', '}']) {
        return Some("a bracket is open before this: close it, or put the text with it in quotes");
    }
    if info.contains("anchor") || info.contains("alias") {
        return Some("a star or an ampersand begins an alias or anchor: quote it: `\"*\"`");
    }
    if info.contains("unexpected character") || info.contains("directive") {
        return Some("put the text in quotes");
    }
    if info.contains("quoted scalar") {
        return Some("close the quotes; in double quotes a backslash is written twice");
    }
    if info.contains("mapping values") || info.contains("illegal placement") {
        return Some(
            "a text with a colon and a space in it needs quotes; keys of one table stand in one column",
        );
    }
    if info.contains("must be followed by a valid YAML whitespace") {
        return Some("put a space behind the colon, and no tab");
    }
    if info.contains("flow")
        || line.contains('{')
        || line.contains('[')
        || line.contains('}')
        || line.contains(']')
    {
        return Some(
            "a text with braces or brackets needs quotes; each bracket must be closed, items parted by commas",
        );
    }
    if info.contains("expected key") || info.contains("simple key") || info.contains("block") {
        return Some(
            "keys of one table and items of one list must stand in one column, with a space after the colon or dash",
        );
    }
    None
}
