//! What is wrong with a value, as a tree, and in the words of the JSON Schema library that Helm uses.

use std::fmt::Write as _;

use serde_json::Value;

/// A rule that a value breaks, with the broken rules that led to it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    /// Keys and indexes from the top of the values.
    pub(super) path: Vec<String>,
    pub(super) kind: Kind,
    pub(super) causes: Vec<Failure>,
}

/// What kind of rule is broken.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Several at once: stands for its causes where it may.
    Group,
    /// A rule of a schema that is referred to; with one cause, that cause speaks for itself.
    Reference,
    /// Anything else, in its own words.
    Words(String),
}

impl Failure {
    /// Prints the tree the way Helm shows it, one line per broken rule.
    pub(super) fn print(&self) -> String {
        let mut text = String::new();
        match self.kind {
            Kind::Group => self.causes.iter().for_each(|cause| cause.print_at(&mut text, 1)),
            _ => self.print_at(&mut text, 1),
        }
        text
    }

    fn print_at(&self, text: &mut String, indent: usize) {
        let skipped = self.kind == Kind::Reference && self.causes.len() == 1;
        if !skipped {
            if !text.is_empty() {
                text.push('\n');
            }
            let words = match &self.kind {
                Kind::Group | Kind::Reference => "validation failed",
                Kind::Words(words) => words,
            };
            let pointer: String =
                self.path.iter().map(|token| format!("/{}", token.replace('~', "~0").replace('/', "~1"))).collect();
            let _ = write!(text, "{}- at {}: {words}", "  ".repeat(indent - 1), quote(&pointer));
        }
        for cause in &self.causes {
            cause.print_at(text, if skipped { indent } else { indent + 1 });
        }
    }
}

/// A text in single quotes, escaped as Go escapes it.
pub(super) fn quote(text: &str) -> String {
    let quoted = crate::template::format::quote(text.as_bytes());
    let inside = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    format!("'{}'", inside.replace("\\\"", "\"").replace('\'', "\\'"))
}

/// Texts in single quotes, with commas.
pub(super) fn quote_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}

/// A value of a schema in a message.
pub(super) fn display(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Array(_) | Value::Object(_) => "value".to_owned(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

/// A number as English writes it: `1,000`, `0.5`.
pub(super) fn number(number: f64) -> String {
    let text = format!("{number}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{sign}{grouped}.{fraction}"),
        None => format!("{sign}{grouped}"),
    }
}

/// A count in a message.
pub(super) fn count(count: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "no collection comes near the limit of exact floats")]
    number(count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [number(9.0), number(65536.0), number(-1_234_567.5), number(100.0)],
            ["9", "65,536", "-1,234,567.5", "100"]
        );
    }
}
