//! Writes the difference of two states of an object as a unified diff of their YAML, Secrets masked.

use serde_json::Value;
use similar::TextDiff;

use super::compare::essence;
use super::mask::mask_pair;

/// The unified diff of two states of one object; empty when nothing that counts differs.
///
/// `subject` heads both sides. Either side may be absent: the object is made or goes.
pub fn unified(subject: &str, before: Option<&Value>, after: Option<&Value>) -> String {
    let mut before = before.map(essence);
    let mut after = after.map(essence);
    mask_pair(before.as_mut(), after.as_mut());
    let text = |side: &Option<Value>| side.as_ref().map(crate::yaml::write).unwrap_or_default();
    let (before_text, after_text) = (text(&before), text(&after));
    if before_text == after_text {
        return String::new();
    }
    let header = |side: &Option<Value>| if side.is_some() { subject.to_owned() } else { "/dev/null".to_owned() };
    TextDiff::from_lines(&before_text, &after_text)
        .unified_diff()
        .context_radius(3)
        .header(&header(&before), &header(&after))
        .to_string()
}
