//! Cuts a text into YAML documents as the client libraries of Kubernetes do it, before anything is parsed.

/// A line of dashes is followed by something that is no comment; prints as Go prints it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid Yaml document separator: {words}")]
pub(crate) struct BadSeparator {
    /// What follows the dashes.
    words: String,
    /// The line, from 1.
    pub(crate) line: usize,
}

/// A document, and the line of the text before its first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk<'t> {
    pub(crate) text: &'t [u8],
    pub(crate) lines_before: usize,
}

/// The documents of a text. A separator with nothing before it stays with the document that follows; what follows a bad
/// separator is not looked at.
pub(crate) fn documents(text: &[u8]) -> Vec<Result<Chunk<'_>, BadSeparator>> {
    let mut documents = Vec::new();
    let (mut start, mut at, mut lines_before) = (0, 0, 0);
    for (index, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let next = at + line.len();
        if let Some(rest) = line.strip_prefix(b"---") {
            let rest = rest.trim_ascii();
            if !(rest.is_empty() || rest.starts_with(b"#")) {
                let words = String::from_utf8_lossy(rest).into_owned();
                documents.push(Err(BadSeparator { words, line: index + 1 }));
                return documents;
            }
            if at > start {
                documents.push(Ok(Chunk { text: &text[start..at], lines_before }));
                (start, lines_before) = (next, index + 1);
            }
        }
        at = next;
    }
    if start < text.len() {
        documents.push(Ok(Chunk { text: &text[start..], lines_before }));
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_cut_at_lines_of_dashes() {
        let texts = |text: &'static str| -> Vec<(String, usize)> {
            let documents = documents(text.as_bytes()).into_iter().map(Result::unwrap);
            documents.map(|chunk| (String::from_utf8_lossy(chunk.text).into_owned(), chunk.lines_before)).collect()
        };
        let owned = |texts: &[(&str, usize)]| -> Vec<(String, usize)> {
            texts.iter().map(|(text, line)| ((*text).to_owned(), *line)).collect()
        };
        assert_eq!(texts("a: 1\n---\nb: 2"), owned(&[("a: 1\n", 0), ("b: 2", 2)]));
        assert_eq!(texts("---\na: 1\n--- # x\nb: 2\n"), owned(&[("---\na: 1\n", 0), ("b: 2\n", 3)]));
        assert_eq!(texts("a: |\n  ---\n"), owned(&[("a: |\n  ---\n", 0)]));
        assert!(texts("").is_empty());
    }

    #[test]
    fn what_follows_the_dashes_must_be_a_comment() {
        let documents = documents(b"a: 1\n---apiVersion: v1\nb: 2\n");
        let error = documents[0].clone().unwrap_err();
        assert_eq!((error.to_string().as_str(), error.line), ("invalid Yaml document separator: apiVersion: v1", 2));
        assert_eq!(documents.len(), 1);
    }
}
