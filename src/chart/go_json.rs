//! JSON as Go's package writes structs: in their order, with `<`, `>` and `&` escaped. Digests are taken of these bytes.

use serde::Serialize;

/// On one line.
pub(crate) fn line(value: &impl Serialize) -> String {
    escape(&serde_json::to_string(value).unwrap_or_default())
}

/// With two blanks for each level.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    escape(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// These characters stand in texts only, so that all of them may be replaced.
fn escape(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_html_would_read_is_escaped() {
        let written = pretty(&[">=1.0 <2", "a&b\u{2028}"]);
        assert_eq!(written, "[\n  \"\\u003e=1.0 \\u003c2\",\n  \"a\\u0026b\\u2028\"\n]");
        assert_eq!(pretty(&["ü"]), "[\n  \"ü\"\n]");
    }
}
