//! Where an archive is, as Helm writes it into a list.

use crate::chart::paths;

/// The address of an archive: `base` is that of the repository, `folder` where it lies below, both may be empty.
///
/// Without a base and a folder it is the plain name, as Helm has it.
pub fn archive_url(base: &str, folder: &str, file: &str) -> String {
    let parent = join(base, folder);
    if parent.is_empty() { file.to_owned() } else { join(&parent, file) }
}

/// Go's `url.Parse`, a joined path, and `String`: the path is cleaned and escaped, a query stays behind it.
fn join(base: &str, below: &str) -> String {
    let (base, fragment) = cut(base, '#');
    let (base, query) = cut(base, '?');
    let authority = base.find("://").map_or(0, |at| at + 3);
    let path_start =
        if authority == 0 { 0 } else { base[authority..].find('/').map_or(base.len(), |at| authority + at) };
    let (origin, path) = base.split_at(path_start);
    let (path, below) = (unescape(path), below.trim_matches('/'));
    let joined = match (path.is_empty(), below.is_empty()) {
        (true, true) => String::new(),
        (true, false) => paths::clean(below),
        (false, true) => paths::clean(&path),
        (false, false) => paths::clean(&format!("{path}/{below}")),
    };
    let slash = if !origin.is_empty() && !joined.is_empty() && !joined.starts_with('/') { "/" } else { "" };
    format!("{origin}{slash}{}{query}{fragment}", escape(&joined))
}

/// The text before a letter, and the rest with it.
fn cut(text: &str, letter: char) -> (&str, &str) {
    text.split_at(text.find(letter).unwrap_or(text.len()))
}

fn unescape(path: &str) -> String {
    percent_decode(path.as_bytes()).unwrap_or_else(|| path.to_owned())
}

fn percent_decode(bytes: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                out.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
                tail
            }
            (b'%', _) => return None,
            _ => {
                out.push(*first);
                tail
            }
        };
    }
    String::from_utf8(out).ok()
}

/// Escapes what Go's `url` package escapes in a path.
fn escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte);
        if plain { out.push(char::from(byte)) } else { out.push_str(&format!("%{byte:02X}")) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_addressed_as_helm_addresses_them() {
        for (base, folder, file, expected) in [
            ("", "", "a-1.0.0.tgz", "a-1.0.0.tgz"),
            ("", "sub", "a-1.0.0.tgz", "sub/a-1.0.0.tgz"),
            ("https://example.org", "", "a-1.tgz", "https://example.org/a-1.tgz"),
            ("https://example.org/", "", "a-1.tgz", "https://example.org/a-1.tgz"),
            ("https://example.org/charts/", "sub", "a-1+b.tgz", "https://example.org/charts/sub/a-1+b.tgz"),
            ("https://example.org/my charts", "", "a 1.tgz", "https://example.org/my%20charts/a%201.tgz"),
            ("https://example.org/my%20charts", "", "a.tgz", "https://example.org/my%20charts/a.tgz"),
            ("https://example.org/c?token=x", "", "a.tgz", "https://example.org/c/a.tgz?token=x"),
            ("http://localhost:8080/../x", "", "a.tgz", "http://localhost:8080/x/a.tgz"),
            ("charts", "", "a.tgz", "charts/a.tgz"),
        ] {
            assert_eq!(archive_url(base, folder, file), expected, "{base:?} {folder:?} {file:?}");
        }
    }
}
