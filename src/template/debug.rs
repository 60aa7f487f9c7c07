//! Shows people where in a template an error is: the lines around it with a `^^^^` marker, the way of includes that led
//! there, and what may help.
//!
//! ```text
//!   --> web/templates/_labels.tpl:2:8
//!    |
//!  1 | labels:
//!  2 |   app: {{ .Values.app.name }}
//!    |                      ^^^^^
//!   included from web/templates/deployment.yaml:7:4: include "web.labels" .
//!   hint: .Values.app is not set: give it a value, or guard it with `with`
//! ```

use std::fmt::Write as _;

use super::error::{Error, Place};

// Lines shown before the one at fault.
const BEFORE: usize = 2;
// Longer lines are cut around the marker.
const WIDEST: usize = 160;

impl Error {
    /// The lines around the innermost place, with a marker; then the includes that led there, innermost first, and a
    /// hint if there is one. Empty for an error without a place.
    pub fn excerpt(&self) -> String {
        let mut places: Vec<&Place> = self.chain().filter_map(Error::place).collect();
        let Some(innermost) = places.pop() else { return String::new() };
        let mut out = String::new();
        lines(&mut out, innermost);
        for place in places.iter().rev() {
            let node = place.node.lines().next().unwrap_or_default();
            let _ = writeln!(out, "  included from {}: {node}", location(place));
        }
        if let Some(hint) = self.hint() {
            let _ = writeln!(out, "  hint: {hint}");
        }
        out
    }

    /// What may help, for mistakes that many people make.
    pub fn hint(&self) -> Option<String> {
        let innermost = self.chain().filter(|error| error.place().is_some()).last()?;
        let given = innermost.given_hint();
        given.map(str::to_owned).or_else(|| nil_hint(innermost.message(), &innermost.place()?.node))
    }
}

// `nil pointer evaluating interface {}.b` at `.Values.a.b.c` says that `.Values.a` is nil.
fn nil_hint(message: &str, node: &str) -> Option<String> {
    let field = message.strip_prefix("nil pointer evaluating interface {}.")?;
    let end = node.match_indices(&format!(".{field}")).map(|(at, _)| at).find(|at| {
        let after = node[at + 1 + field.len()..].chars().next();
        *at > 0 && after.is_none_or(|next| next == '.')
    })?;
    let path = node[..end].trim_start_matches("{{");
    Some(format!("{path} is not set: give it a value, or guard it with `with`"))
}

fn location(place: &Place) -> String {
    match place.column {
        Some(column) => format!("{}:{}:{column}", place.file, place.line),
        None => format!("{}:{}", place.file, place.line),
    }
}

fn lines(out: &mut String, place: &Place) {
    let text = String::from_utf8_lossy(&place.source);
    let first = place.line.saturating_sub(BEFORE).max(1);
    let shown: Vec<(usize, &str)> =
        (1..).zip(text.split('\n')).skip(first - 1).take_while(|(number, _)| *number <= place.line).collect();
    let width = place.line.to_string().len().max(2);
    let _ = writeln!(out, "  --> {}", location(place));
    let _ = writeln!(out, " {:width$} |", "");
    let Some((_, at_fault)) = shown.last() else { return };
    let (start, length) = marked(at_fault, place.column);
    let cut = start.saturating_sub(WIDEST / 2);
    for (number, line) in &shown {
        let line: String = line.chars().skip(cut).take(WIDEST).collect();
        let _ = writeln!(out, " {number:width$} | {}", line.trim_end().replace('\t', " "));
    }
    let length = length.min(WIDEST.saturating_sub(start - cut)).max(1);
    let _ = writeln!(out, " {:width$} | {}{}", "", " ".repeat(start - cut), "^".repeat(length));
}

// Where the marker begins, in characters, and how long it is: a word, or the line when the column is not known.
fn marked(line: &str, column: Option<usize>) -> (usize, usize) {
    let Some(column) = column else {
        let indent = line.chars().take_while(|character| character.is_whitespace()).count();
        return (indent, line.trim().chars().count());
    };
    let start = line.char_indices().take_while(|(at, _)| *at < column).count();
    let word = line.chars().skip(start).take_while(|next| !next.is_whitespace() && !"})|".contains(*next));
    (start, word.count())
}
