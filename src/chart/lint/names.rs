//! Which names Kubernetes allows, in the words of its API server.

/// What is wrong with the name of an object of a kind; empty when nothing is.
pub(super) fn problems(kind: &str, name: &str) -> Vec<String> {
    match kind.to_lowercase().as_str() {
        "service" => label(name, starts_with_letter, LETTER_FIRST),
        "namespace" => namespace(name),
        "certificatesigningrequest" => Vec::new(),
        "role" | "clusterrole" | "rolebinding" | "clusterrolebinding" => path_segment(name),
        _ => subdomain(name),
    }
}

const LETTER_FIRST: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, \
     and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an \
     alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end \
     with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// Letters, digits and `-`, neither first nor last a `-`.
fn is_label(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(allowed) && !text.starts_with('-') && !text.ends_with('-')
}

fn starts_with_letter(text: &str) -> bool {
    is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

fn too_long(name: &str, most: usize) -> Option<String> {
    (name.len() > most).then(|| format!("must be no more than {most} characters"))
}

fn label(name: &str, is_right: fn(&str) -> bool, words: &str) -> Vec<String> {
    let malformed = (!is_right(name)).then(|| words.to_owned());
    too_long(name, 63).into_iter().chain(malformed).collect()
}

fn namespace(name: &str) -> Vec<String> {
    let words = if name.split('.').all(is_label) { "must not contain dots" } else { LABEL };
    label(name, is_label, words)
}

fn subdomain(name: &str) -> Vec<String> {
    let malformed = (!name.split('.').all(is_label)).then(|| SUBDOMAIN.to_owned());
    too_long(name, 253).into_iter().chain(malformed).collect()
}

/// Roles are named in URLs only.
fn path_segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    let found = ["/", "%"].into_iter().filter(|forbidden| name.contains(forbidden));
    found.map(|forbidden| format!("may not contain '{forbidden}'")).collect()
}
