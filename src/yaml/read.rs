//! Walks over the documents of a text; a broken one does not hide the others.

use serde_json::Value;
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::{Marker, ScanError, TScalarStyle};

use super::build::Builder;
use super::{Document, Error, Further, Options, Position};

/// How often one text may be read again because of a tab after a colon, which Go takes and the crate does not.
const MAX_TABS: usize = 32;

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
        return Err(Error { position, message: "a second document where one is expected".to_owned() });
    }
    Ok(first.value)
}

/// Size, encoding and characters; takes a byte order mark away.
fn check<'a>(text: &'a [u8], options: &Options) -> Result<&'a str, Error> {
    let start = Position { line: 1, column: 1 };
    if text.len() > options.max_bytes {
        let message = format!("the text has {} bytes, more than the {} that are read", text.len(), options.max_bytes);
        return Err(Error { position: start, message });
    }
    if text.starts_with(&[0xFF, 0xFE]) || text.starts_with(&[0xFE, 0xFF]) {
        return Err(Error { position: start, message: "the text is UTF-16; save it as UTF-8".to_owned() });
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let valid = std::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default();
        let byte = text.get(error.valid_up_to()).copied().unwrap_or_default();
        Error { position: end_of(valid), message: format!("byte 0x{byte:02X} is not UTF-8") }
    })?;
    if let Some(at) = control(text) {
        let character = text[at..].chars().next().unwrap_or_default();
        let message = format!("control character U+{:04X} is not allowed", u32::from(character));
        return Err(Error { position: end_of(&text[..at]), message });
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

/// Characters of a part of the text, with the tabs that were found to stand for a space.
pub(super) struct Characters<'a> {
    characters: std::str::Chars<'a>,
    read: usize,
    tabs: std::vec::IntoIter<usize>,
    next_tab: usize,
}

impl<'a> Characters<'a> {
    pub(super) fn new(text: &'a str, tabs: Vec<usize>) -> Self {
        let mut tabs = tabs.into_iter();
        let next_tab = tabs.next().unwrap_or(usize::MAX);
        Characters { characters: text.chars(), read: 0, tabs, next_tab }
    }
}

impl Iterator for Characters<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let character = self.characters.next()?;
        let at = self.read;
        self.read += 1;
        if at == self.next_tab {
            self.next_tab = self.tabs.next().unwrap_or(usize::MAX);
            return Some(' ');
        }
        Some(character)
    }
}

/// Walks over the documents of a text and survives broken ones.
struct Reader<'a> {
    options: &'a Options,
    /// What is left from where the parser was last started.
    text: &'a str,
    /// Lines before `text`.
    lines: usize,
    parser: Parser<Characters<'a>>,
    /// Line within `text` where the current document begins.
    start_line: usize,
    /// Characters of `text` that are tabs standing for a space.
    tabs: Vec<usize>,
    /// Complete documents since the parser was started: skipped when it is started again for a tab.
    complete: usize,
    /// How many characters `text` has, once somebody asked.
    characters: Option<usize>,
    /// Nodes of the whole text so far.
    nodes: usize,
    done: bool,
}

/// Why a document did not come to its end.
enum Failure {
    /// The syntax is broken: the parser cannot go on.
    Syntax(ScanError),
    /// The document means nothing in JSON; the parser can go on.
    Meaning(Error),
}

impl From<ScanError> for Failure {
    fn from(error: ScanError) -> Self {
        Failure::Syntax(error)
    }
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, options: &'a Options) -> Self {
        Reader {
            options,
            text,
            lines: 0,
            parser: Parser::new(Characters::new(text, Vec::new())),
            start_line: 1,
            tabs: Vec::new(),
            complete: 0,
            characters: None,
            nodes: 0,
            done: false,
        }
    }

    fn next_document(&mut self) -> Option<Result<Document, Error>> {
        while !self.done {
            match self.document() {
                Ok(None) => self.done = true,
                Ok(Some(document)) => {
                    self.complete += 1;
                    return Some(Ok(document));
                }
                Err(Failure::Meaning(error)) => return Some(Err(self.skip_document(error))),
                Err(Failure::Syntax(error)) if self.replace_tab(&error) => {}
                Err(Failure::Syntax(error)) => return Some(Err(self.restart_after(&error))),
            }
        }
        None
    }

    fn position(&self, mark: Marker) -> Position {
        Position { line: self.lines + mark.line(), column: mark.col() + 1 }
    }

    /// The next document, `None` at the end of the text.
    fn document(&mut self) -> Result<Option<Document>, Failure> {
        let start = loop {
            match self.parser.next_token()? {
                (Event::DocumentStart, mark) => break mark,
                (Event::StreamEnd, _) => return Ok(None),
                _ => {}
            }
        };
        self.start_line = start.line();
        let mut position = None;
        let mut events = 0;
        let mut builder = Builder::new(self.options, self.nodes);
        let mut value = Value::Null;
        loop {
            let (event, mark) = self.parser.next_token()?;
            if matches!(event, Event::DocumentEnd) {
                break;
            }
            let block = match &event {
                Event::Scalar(text, TScalarStyle::Literal | TScalarStyle::Folded, ..) => text.ends_with('\n'),
                _ => false,
            };
            let event = if block { self.without_invented_break(event, mark) } else { event };
            let here = self.position(mark);
            // A block mapping is marked at its first colon, the key comes after it: the earlier place counts.
            if events < 2 {
                position = Some(position.map_or(here, |first: Position| first.min(here)));
                events += 1;
            }
            if let Some(root) = builder.event(event, here).map_err(Failure::Meaning)? {
                value = root;
            }
        }
        self.nodes = builder.nodes;
        let position = position.unwrap_or_else(|| self.position(start));
        Ok(Some(Document { value, position }))
    }

    /// Takes the line break away that the crate adds to a block scalar which ends with the text.
    fn without_invented_break(&mut self, event: Event, mark: Marker) -> Event {
        if self.text.ends_with(['\n', '\r']) {
            return event;
        }
        let end = *self.characters.get_or_insert_with(|| self.text.chars().count());
        let at_end = self.parser.peek().is_ok_and(|(_, next)| next.index() >= end);
        let last_line = &self.text[self.text.rfind(['\n', '\r']).map_or(0, |at| at + 1)..];
        let inside = |indentation| indent_of(last_line) >= indentation;
        match event {
            Event::Scalar(mut text, style, anchor, tag) if at_end && self.indentation(mark).is_some_and(inside) => {
                text.pop();
                Event::Scalar(text, style, anchor, tag)
            }
            other => other,
        }
    }

    /// The column of the first line with content of a block scalar that is marked there.
    fn indentation(&self, mark: Marker) -> Option<usize> {
        let line = self.text.lines().skip(mark.line() - 1).find(|line| !line.trim().is_empty())?;
        Some(if mark.col() == 0 { indent_of(line) } else { mark.col() })
    }

    /// Goes past the rest of a document that is well formed but means nothing.
    fn skip_document(&mut self, error: Error) -> Error {
        loop {
            match self.parser.next_token() {
                Ok((Event::DocumentEnd, _)) => break self.complete += 1,
                Ok((Event::StreamEnd, _)) => break self.done = true,
                Ok(_) => {}
                Err(broken) => {
                    self.restart_after(&broken);
                    break;
                }
            }
        }
        error
    }

    /// Starts the parser at the next line that begins a document.
    fn restart_after(&mut self, error: &ScanError) -> Error {
        let mark = *error.marker();
        let position = self.position(mark);
        let mut line = 0;
        let mut at = 0;
        self.done = true;
        for content in self.text.split_inclusive('\n') {
            line += 1;
            if line > self.start_line && begins_document(content) {
                self.text = &self.text[at..];
                self.lines += line - 1;
                self.start_line = 1;
                self.tabs.clear();
                self.characters = None;
                self.complete = 0;
                self.parser = Parser::new(Characters::new(self.text, Vec::new()));
                self.done = false;
                break;
            }
            at += content.len();
        }
        Error { position, message: plain_words(error.info()) }
    }

    /// Reads a tab behind a colon as a space, as Go does, and starts again.
    fn replace_tab(&mut self, error: &ScanError) -> bool {
        if !error.info().starts_with("':' must be followed") || self.tabs.len() >= MAX_TABS {
            return false;
        }
        let line_start = |line: usize| {
            let bytes = self.text.split_inclusive('\n').take(line - 1).map(str::len).sum();
            (bytes, self.text[..bytes].chars().count())
        };
        let mark = error.marker();
        let (bytes, characters) = line_start(mark.line());
        let before: Vec<char> = self.text[bytes..].chars().take(mark.col()).collect();
        let Some(colon) = before.iter().rposition(|&character| character == ':') else { return false };
        let tabs = (colon + 1..before.len()).filter(|&at| before[at] == '\t').map(|at| characters + at);
        let known = self.tabs.len();
        let found: Vec<usize> = tabs.filter(|at| !self.tabs.contains(at)).collect();
        self.tabs.extend(found);
        self.tabs.sort_unstable();
        if self.tabs.len() == known {
            return false;
        }
        self.parser = Parser::new(Characters::new(self.text, self.tabs.clone()));
        let mut skip = self.complete;
        while skip > 0 {
            match self.parser.next_token() {
                Ok((Event::DocumentEnd, _)) => skip -= 1,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        true
    }
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn begins_document(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

/// The crate's words, with hints where they are known to puzzle.
fn plain_words(info: &str) -> String {
    match info {
        "tabs disallowed within this context (block indentation)" => "a tab in the indentation: use spaces".to_owned(),
        "simple key expected ':'" => "a line that is neither `key: value` nor part of a longer text".to_owned(),
        other => other.to_owned(),
    }
}

/// The part of a text that a reader of positions walks over.
pub(super) fn readable(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    Some(text.strip_prefix('\u{FEFF}').unwrap_or(text))
}
