//! Diagnostics as text, by annotate-snippets.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::diagnostics::{
    Diagnostic, Diagnostics, Location, Note, NoteKind, PRINTED_MAX, Severity,
};

/// Columns of a long line that are shown; the renderer's own width.
const WIDTH: usize = 140;

/// All diagnostics that fit, then how many more there are.
pub(super) fn render(diagnostics: &Diagnostics, coloured: bool) -> String {
    let renderer = if coloured {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.term_width(WIDTH);
    let mut text = String::new();
    for found in diagnostics.iter().take(PRINTED_MAX) {
        text.push_str(&renderer.render(&report(found)));
        text.push_str("\n\n");
    }
    let more = diagnostics.len().saturating_sub(PRINTED_MAX);
    if more > 0 {
        text.push_str(&format!("… and {more} more\n"));
    }
    text.trim_end().to_owned() + if text.is_empty() { "" } else { "\n" }
}

fn report(found: &Diagnostic) -> Vec<Group<'_>> {
    let level = match found.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(found.message.as_str())
        .id(found.code.name());
    let mut first = pointed(Group::with_title(title), &found.location);
    let mut others = Vec::new();
    for note in &found.notes {
        match &note.location {
            None => first = first.element(level_of(note).message(note.message.as_str())),
            Some(location) => {
                let title = level_of(note).secondary_title(note.message.as_str());
                let group = Group::with_title(title);
                others.push(pointed(group, location));
            }
        }
    }
    let mut groups = vec![first];
    groups.append(&mut others);
    groups
}

fn level_of(note: &Note) -> Level<'static> {
    match note.kind {
        NoteKind::Help => Level::HELP,
        NoteKind::Note => Level::NOTE,
    }
}

/// The group with the place, its line underlined where there is one.
fn pointed<'a>(group: Group<'a>, location: &'a Location) -> Group<'a> {
    let path = location.file.as_ref();
    match &location.excerpt {
        Some(excerpt) if !excerpt.cut => group.element(
            Snippet::source(excerpt.text.as_str())
                .path(path)
                .line_start(location.line as usize)
                .annotation(AnnotationKind::Primary.span(excerpt.underlined.clone())),
        ),
        excerpt => {
            let origin = Origin::path(path).line(location.line as usize);
            let group = group.element(origin.char_column(location.column as usize));
            match excerpt {
                // In a line of a megabyte the renderer would look for the place each time.
                Some(excerpt) => {
                    let text = format!("a long line: …{}…", excerpt.text);
                    group.element(Level::NOTE.message(text))
                }
                None => group,
            }
        }
    }
}
