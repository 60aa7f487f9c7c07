//! Walks over the documents of a text; a broken one does not hide the others.

use serde_json::Value;

use super::build::Builder;
use super::parse::{Event, Parser};
use super::scan::{Broken, Mark};
use super::{Document, Error, Further, Options, Position};

/// Reads all documents of a text; each is right or wrong on its own.
///
/// Empty documents are null. A text that is no UTF-8 or too long is one error.
///
/// ```
/// use bowline::yaml::{self, Options};
/// let documents = yaml::read_all(b"a: 1\n---\nb: [\n---\nc: 3\n", &Options::manifests());
/// assert_eq!(documents[0].as_ref().unwrap().value, serde_json::json!({"a": 1}));
/// assert_eq!(documents[1].as_ref().unwrap_err().position.line, 4);
/// assert_eq!(documents[2].as_ref().unwrap().position.line, 5);
/// ```
pub fn read_all(text: &[u8], options: &Options) -> Vec<Result<Document, Error>> {
    let text = match check(text, options) {
        Ok(text) => text,
        Err(error) => return vec![Err(error)],
    };
    let mut documents = Vec::new();
    let mut reader = Reader::new(text, options);
    while let Some(document) = reader.next_document() {
        documents.push(document);
    }
    documents
}

/// Reads the one document of a text; an empty text is null.
///
/// # Errors
/// The text is not YAML, stands for nothing in JSON, exceeds a limit, or has a second document that
/// [`Options::further`] refuses.
pub fn read(text: &[u8], options: &Options) -> Result<Value, Error> {
    let text = check(text, options)?;
    let mut reader = Reader::new(text, options);
    let Some(first) = reader.next_document() else { return Ok(Value::Null) };
    let first = first?;
    if options.further == Further::Refuse
        && let Some(second) = reader.next_document()
    {
        let position = second.map_or_else(|error| error.position, |document| document.position);
        return Err(Error::new(position, "a second document where one is expected"));
    }
    Ok(first.value)
}

/// Reads the one document of a text, and gives the entries of one of its outermost mappings away one by one: a long list
/// need not be in memory as a whole. A key written twice among them is the taker's to refuse.
///
/// # Errors
/// As [`read`]; entries before the error were given away by then.
pub fn read_apart(
    text: &[u8],
    options: &Options,
    key: &str,
    take: &mut dyn FnMut(String, Value),
) -> Result<Value, Error> {
    let text = check(text, options)?;
    let mut reader = Reader::new(text, options);
    let read = reader.document_apart(key, take);
    read.map(|document| document.map_or(Value::Null, |document| document.value)).map_err(|failure| match failure {
        Failure::Syntax(broken) | Failure::Meaning(broken) => reader.error(broken),
    })
}

/// Size, encoding and characters; takes a byte order mark away.
fn check<'a>(text: &'a [u8], options: &Options) -> Result<&'a str, Error> {
    let start = Position { line: 1, column: 1 };
    if text.len() > options.max_bytes {
        let message = format!("the text has {} bytes, more than the {} that are read", text.len(), options.max_bytes);
        return Err(Error::new(start, message));
    }
    if text.starts_with(&[0xFF, 0xFE]) || text.starts_with(&[0xFE, 0xFF]) {
        return Err(Error::new(start, "the text is UTF-16; save it as UTF-8"));
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let valid = std::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default();
        let byte = text.get(error.valid_up_to()).copied().unwrap_or_default();
        Error::new(end_of(valid), format!("byte 0x{byte:02X} is not UTF-8"))
    })?;
    if let Some(at) = control(text) {
        let character = text[at..].chars().next().unwrap_or_default();
        let message = format!("control character U+{:04X} is not allowed", u32::from(character));
        return Err(Error::new(end_of(&text[..at]), message));
    }
    Ok(text.strip_prefix('\u{FEFF}').unwrap_or(text))
}

/// The first character that YAML does not allow anywhere.
fn control(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().position(|(at, &byte)| match byte {
        b'\t' | b'\n' | b'\r' | 0x20..=0x7E => false,
        0xC2 => matches!(bytes.get(at + 1), Some(0x80..=0x84 | 0x86..=0x9F)),
        0xEF => matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])),
        byte => byte < 0x80,
    })
}

/// The place just behind a text.
fn end_of(text: &str) -> Position {
    let line_start = text.rfind('\n').map_or(0, |at| at + 1);
    Position {
        line: text.bytes().filter(|&byte| byte == b'\n').count() + 1,
        column: text[line_start..].trim_start_matches('\u{FEFF}').chars().count() + 1,
    }
}

/// Walks over the documents of a text and survives broken ones.
struct Reader<'a> {
    options: &'a Options,
    text: &'a str,
    /// Where the parser was last started, and the line that is.
    start: usize,
    parser: Parser<'a>,
    /// Line where the current document begins.
    document_line: usize,
    first_line: usize,
    /// Nodes of the whole text so far.
    nodes: usize,
    done: bool,
}

/// Why a document did not come to its end.
enum Failure {
    /// The syntax is broken: the parser cannot go on.
    Syntax(Broken),
    /// The document means nothing in JSON; the parser can go on.
    Meaning(Broken),
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Failure::Syntax(broken)
    }
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, options: &'a Options) -> Self {
        let parser = Parser::new(text, 1);
        Reader { options, text, start: 0, parser, document_line: 1, first_line: 1, nodes: 0, done: false }
    }

    fn next_document(&mut self) -> Option<Result<Document, Error>> {
        if self.done {
            return None;
        }
        match self.document() {
            Ok(Some(document)) => Some(Ok(document)),
            Ok(None) => {
                self.done = true;
                None
            }
            Err(Failure::Meaning(broken)) => {
                let error = self.error(broken);
                self.skip_document();
                Some(Err(error))
            }
            Err(Failure::Syntax(broken)) => {
                let error = self.error(broken);
                self.restart();
                Some(Err(error))
            }
        }
    }

    fn error(&self, broken: Broken) -> Error {
        let position = position(&self.text[self.start..], broken.mark);
        Error { position, message: broken.message.into_owned(), go: broken.go }
    }

    /// The next document, `None` at the end of the text.
    fn document(&mut self) -> Result<Option<Document>, Failure> {
        self.build(Builder::new(self.options, self.nodes), &mut |_, _| {})
    }

    fn document_apart(&mut self, key: &str, take: &mut dyn FnMut(String, Value)) -> Result<Option<Document>, Failure> {
        self.build(Builder::new(self.options, self.nodes).apart(key), take)
    }

    fn build(
        &mut self,
        mut builder: Builder<'_>,
        take: &mut dyn FnMut(String, Value),
    ) -> Result<Option<Document>, Failure> {
        let (Event::DocumentStart, start) = self.parser.next()? else { return Ok(None) };
        self.document_line = start.line;
        let mut first = None;
        let mut value = Value::Null;
        loop {
            let (event, mark) = self.parser.next()?;
            if event == Event::DocumentEnd {
                break;
            }
            first.get_or_insert(mark);
            if let Some(root) = builder.event(event, mark).map_err(Failure::Meaning)? {
                value = root;
            }
            if let Some((key, value)) = builder.taken.take() {
                take(key, value);
            }
        }
        self.nodes = builder.nodes;
        let empty = value.is_null();
        let mark = first.filter(|_| !empty).unwrap_or(start);
        Ok(Some(Document { value, position: position(&self.text[self.start..], mark) }))
    }

    /// Goes past the rest of a document that is well formed but means nothing.
    fn skip_document(&mut self) {
        loop {
            match self.parser.next() {
                Ok((Event::DocumentEnd, _)) => return,
                Ok((Event::StreamEnd, _)) => {
                    self.done = true;
                    return;
                }
                Ok(_) => {}
                Err(_) => return self.restart(),
            }
        }
    }

    /// Starts the parser at the next line that begins a document.
    fn restart(&mut self) {
        let mut at = self.start;
        self.done = true;
        for (line, content) in (self.first_line..).zip(self.text[self.start..].split_inclusive('\n')) {
            if line > self.document_line && begins_document(content) {
                self.parser = Parser::new(&self.text[at..], line);
                (self.start, self.first_line, self.document_line) = (at, line, line);
                self.done = false;
                return;
            }
            at += content.len();
        }
    }
}

/// The place of a mark, its column counted in characters.
pub(super) fn position(text: &str, mark: Mark) -> Position {
    let line = text.get(mark.index.saturating_sub(mark.column)..mark.index).unwrap_or_default();
    Position { line: mark.line, column: line.chars().count() + 1 }
}

fn begins_document(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

/// The part of a text that a reader of positions walks over.
pub(super) fn readable(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    Some(text.strip_prefix('\u{FEFF}').unwrap_or(text))
}
