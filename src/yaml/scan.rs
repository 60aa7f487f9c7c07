//! Cuts a text into tokens, as YAML 1.1 has them and Go's reader takes them.
//!
//! Crates read YAML 1.2 and refuse what charts rely on: flow lists that go on at the left margin, quoted texts
//! that are not indented, a tab behind a colon. Hence a scanner of our own.
//!
//! The hard part of YAML are keys: `a: 1` is known to be a mapping only at the colon. So a token that may begin a
//! key is remembered ([`PossibleKey`]), and the tokens that open the mapping are put before it when the colon comes.
//! Tokens are handed out only when nothing can come before them any more.

use std::borrow::Cow;
use std::collections::VecDeque;

/// A place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Bytes before it.
    pub(super) index: usize,
    /// Line, from 1.
    pub(super) line: usize,
    /// Bytes before it on its line.
    pub(super) column: usize,
}

/// Why a text is not YAML.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) mark: Mark,
    pub(super) message: Cow<'static, str>,
    /// What Go says, where it shows what it has read.
    pub(super) go: Option<Box<str>>,
}

fn broken<T>(mark: Mark, message: impl Into<Cow<'static, str>>) -> Result<T, Broken> {
    Err(Broken { mark, message: message.into(), go: None })
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    StreamEnd,
    /// `%YAML`; the version does not matter.
    VersionDirective,
    /// `%TAG handle prefix`
    TagDirective(&'a str, &'a str),
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(&'a str),
    Anchor(&'a str),
    /// Handle (empty: the suffix is the whole tag) and suffix.
    Tag(&'a str, Cow<'a, str>),
    /// The text, and whether it stands without quotes and block marks.
    Scalar(Cow<'a, str>, bool),
}

/// A token that turns out to be a key if a colon follows.
#[derive(Debug, Clone, Copy)]
struct PossibleKey {
    possible: bool,
    /// It begins a line of a block mapping: without a colon the text is broken.
    required: bool,
    /// Its number among all tokens.
    token: usize,
    mark: Mark,
}

/// Longest key in bytes, as in Go: it bounds how far the scanner looks ahead.
const MAX_KEY: usize = 1_024;
/// Deepest nesting, as in Go. The reader's own limit is lower.
const MAX_DEPTH: usize = 10_000;

pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
    tokens: VecDeque<(Token<'a>, Mark)>,
    /// Tokens handed out so far.
    taken: usize,
    /// Column of the present block collection, -1 outside.
    indent: isize,
    indents: Vec<isize>,
    /// A key may begin here.
    key_allowed: bool,
    /// One for each flow collection that is open, and one for the block around them.
    keys: Vec<PossibleKey>,
    ended: bool,
}

impl<'a> Scanner<'a> {
    /// Begins at a line.
    pub(super) fn new(text: &'a str, line: usize) -> Self {
        let mark = Mark { index: 0, line, column: 0 };
        Scanner {
            text,
            bytes: text.as_bytes(),
            at: 0,
            line,
            line_start: 0,
            tokens: VecDeque::with_capacity(8),
            taken: 0,
            indent: -1,
            indents: Vec::new(),
            key_allowed: true,
            keys: vec![PossibleKey { possible: false, required: false, token: 0, mark }],
            ended: false,
        }
    }

    /// The next token, left in place.
    pub(super) fn peek(&mut self) -> Result<(&Token<'a>, Mark), Broken> {
        self.fetch()?;
        match self.tokens.front() {
            Some((token, mark)) => Ok((token, *mark)),
            None => Ok((&Token::StreamEnd, self.mark())),
        }
    }

    /// Takes the token that was looked at.
    pub(super) fn take(&mut self) -> Option<(Token<'a>, Mark)> {
        let token = self.tokens.pop_front();
        self.taken += usize::from(token.is_some());
        token
    }

    /// Scans until the first token is final.
    fn fetch(&mut self) -> Result<(), Broken> {
        while !self.ended && (self.tokens.is_empty() || self.may_become_key()?) {
            self.next_token()?;
        }
        Ok(())
    }

    /// Whether the first token may still get others before it. The keys are sorted by their tokens.
    fn may_become_key(&mut self) -> Result<bool, Broken> {
        let first = self.keys.partition_point(|key| key.token < self.taken);
        match self.keys.get(first) {
            Some(key) if key.token == self.taken && key.possible => self.is_still_possible(first),
            _ => Ok(false),
        }
    }

    /// Keys stand on one line and are short.
    fn is_still_possible(&mut self, at: usize) -> Result<bool, Broken> {
        let key = self.keys[at];
        if !key.possible {
            return Ok(false);
        }
        if key.mark.line < self.line || key.mark.index + MAX_KEY < self.at {
            if key.required {
                return broken(key.mark, "a line that is neither `key: value` nor part of a longer text");
            }
            self.keys[at].possible = false;
        }
        Ok(self.keys[at].possible)
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { index: self.at, line: self.line, column: self.column() }
    }

    fn column(&self) -> usize {
        self.at - self.line_start
    }

    /// The byte so many places ahead; 0 at the end, since texts have no NUL.
    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Length of the line break at a place, 0 when there is none.
    fn break_at(&self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        match rest.first() {
            Some(b'\n') => 1,
            Some(b'\r') => 1 + usize::from(rest.get(1) == Some(&b'\n')),
            Some(0xC2) if rest.get(1) == Some(&0x85) => 2,
            Some(0xE2) if matches!(rest.get(1..3), Some([0x80, 0xA8 | 0xA9])) => 3,
            _ => 0,
        }
    }

    fn is_break(&self) -> bool {
        self.break_at(self.at) > 0
    }

    fn is_blank(&self) -> bool {
        matches!(self.byte(0), b' ' | b'\t')
    }

    /// A blank, a break or the end, so many bytes ahead.
    fn is_space(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t' | 0) || self.break_at(self.at + ahead) > 0
    }

    fn skip_break(&mut self) {
        self.at += self.break_at(self.at);
        self.line += 1;
        self.line_start = self.at;
    }

    /// Takes a line break, as it counts in a text.
    fn read_break(&mut self, out: &mut String) {
        match self.break_at(self.at) {
            3 => out.push_str(&self.text[self.at..self.at + 3]),
            _ => out.push('\n'),
        }
        self.skip_break();
    }

    fn skip_comment(&mut self) {
        while self.byte(0) != 0 && !self.is_break() {
            self.at += 1;
        }
    }

    fn at_document_indicator(&self) -> bool {
        self.at == self.line_start
            && matches!(self.bytes.get(self.at..self.at + 3), Some(b"---" | b"..."))
            && self.is_space(3)
    }

    fn skip_to_token(&mut self) {
        loop {
            if self.at == self.line_start && self.bytes[self.at..].starts_with("\u{FEFF}".as_bytes()) {
                self.at += 3;
                self.line_start += 3;
            }
            let tabs = self.keys.len() > 1 || !self.key_allowed;
            while self.byte(0) == b' ' || tabs && self.byte(0) == b'\t' {
                self.at += 1;
            }
            if self.byte(0) == b'#' {
                self.skip_comment();
            }
            if !self.is_break() {
                return;
            }
            self.skip_break();
            self.key_allowed |= self.keys.len() == 1;
        }
    }

    fn next_token(&mut self) -> Result<(), Broken> {
        self.skip_to_token();
        self.unroll(self.column() as isize);
        let flow = self.keys.len() > 1;
        let first = self.byte(0);
        if first == 0 {
            return self.stream_end();
        }
        if self.column() == 0 && first == b'%' {
            return self.directive();
        }
        if self.at_document_indicator() {
            return self.document_indicator();
        }
        match first {
            b'[' => self.open_flow(Token::FlowSequenceStart),
            b'{' => self.open_flow(Token::FlowMappingStart),
            b']' => self.close_flow(Token::FlowSequenceEnd),
            b'}' => self.close_flow(Token::FlowMappingEnd),
            b',' => self.flow_entry(),
            b'-' if self.is_space(1) => self.block_entry(),
            b'?' if flow || self.is_space(1) => self.explicit_key(),
            b':' if flow || self.is_space(1) => self.value(),
            b'*' => self.anchor(true),
            b'&' => self.anchor(false),
            b'!' => self.tag(),
            b'|' | b'>' if !flow => self.block_scalar(),
            b'\'' | b'"' => self.quoted(),
            b'\t' => broken(self.mark(), "a tab in the indentation: use spaces"),
            b'?' | b':' if flow => broken(self.mark(), "this character begins nothing here"),
            b'#' | b'|' | b'>' | b'%' | b'@' | b'`' => {
                broken(self.mark(), format!("`{}` begins nothing here: quote the text", char::from(first)))
            }
            _ => self.plain(),
        }
    }

    /// Adds a token at the end, or before the token with a number.
    fn push(&mut self, token: Token<'a>, mark: Mark, before: Option<usize>) {
        match before {
            Some(number) => self.tokens.insert((number - self.taken).min(self.tokens.len()), (token, mark)),
            None => self.tokens.push_back((token, mark)),
        }
    }

    /// Opens a block collection when this column is deeper than the present one.
    fn roll(&mut self, column: usize, token: Token<'a>, mark: Mark, before: Option<usize>) -> Result<(), Broken> {
        let column = column as isize;
        if self.keys.len() > 1 || self.indent >= column {
            return Ok(());
        }
        if self.indents.len() >= MAX_DEPTH {
            return broken(mark, "nested too deep");
        }
        self.indents.push(self.indent);
        self.indent = column;
        self.push(token, mark, before);
        Ok(())
    }

    /// Closes the block collections that are deeper than a column.
    fn unroll(&mut self, column: isize) {
        if self.keys.len() > 1 {
            return;
        }
        while self.indent > column {
            let mark = self.mark();
            self.push(Token::BlockEnd, mark, None);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    /// Remembers that the next token may be a key.
    fn save_key(&mut self) -> Result<(), Broken> {
        if !self.key_allowed {
            return Ok(());
        }
        let required = self.keys.len() == 1 && self.indent == self.column() as isize;
        let token = self.taken + self.tokens.len();
        self.remove_key()?;
        let mark = self.mark();
        if let Some(key) = self.keys.last_mut() {
            *key = PossibleKey { possible: true, required, token, mark };
        }
        Ok(())
    }

    /// What may have been a key is none.
    fn remove_key(&mut self) -> Result<(), Broken> {
        let Some(key) = self.keys.last_mut() else { return Ok(()) };
        if key.possible && key.required {
            return broken(key.mark, "a line that is neither `key: value` nor part of a longer text");
        }
        key.possible = false;
        Ok(())
    }

    /// Takes so many bytes as one token.
    fn simple(&mut self, token: Token<'a>, length: usize) {
        let mark = self.mark();
        self.at += length;
        self.push(token, mark, None);
    }

    fn stream_end(&mut self) -> Result<(), Broken> {
        self.unroll(-1);
        self.remove_key()?;
        self.key_allowed = false;
        self.simple(Token::StreamEnd, 0);
        self.ended = true;
        Ok(())
    }

    fn document_indicator(&mut self) -> Result<(), Broken> {
        self.unroll(-1);
        self.remove_key()?;
        self.key_allowed = false;
        let token = if self.byte(0) == b'-' { Token::DocumentStart } else { Token::DocumentEnd };
        self.simple(token, 3);
        Ok(())
    }

    fn open_flow(&mut self, token: Token<'a>) -> Result<(), Broken> {
        self.save_key()?;
        let mark = self.mark();
        if self.keys.len() > MAX_DEPTH {
            return broken(mark, "nested too deep");
        }
        let next = self.taken + self.tokens.len() + 1;
        self.keys.push(PossibleKey { possible: false, required: false, token: next, mark });
        self.key_allowed = true;
        self.simple(token, 1);
        Ok(())
    }

    fn close_flow(&mut self, token: Token<'a>) -> Result<(), Broken> {
        self.remove_key()?;
        if self.keys.len() > 1 {
            self.keys.pop();
        }
        self.key_allowed = false;
        self.simple(token, 1);
        Ok(())
    }

    fn flow_entry(&mut self) -> Result<(), Broken> {
        self.remove_key()?;
        self.key_allowed = true;
        self.simple(Token::FlowEntry, 1);
        Ok(())
    }

    fn block_entry(&mut self) -> Result<(), Broken> {
        if self.keys.len() == 1 {
            if !self.key_allowed {
                return broken(self.mark(), "a list cannot begin here");
            }
            self.roll(self.column(), Token::BlockSequenceStart, self.mark(), None)?;
        }
        self.remove_key()?;
        self.key_allowed = true;
        self.simple(Token::BlockEntry, 1);
        Ok(())
    }

    fn explicit_key(&mut self) -> Result<(), Broken> {
        let block = self.keys.len() == 1;
        if block {
            if !self.key_allowed {
                return broken(self.mark(), "a key cannot begin here");
            }
            self.roll(self.column(), Token::BlockMappingStart, self.mark(), None)?;
        }
        self.remove_key()?;
        self.key_allowed = block;
        self.simple(Token::Key, 1);
        Ok(())
    }

    fn value(&mut self) -> Result<(), Broken> {
        let last = self.keys.len() - 1;
        if self.is_still_possible(last)? {
            let key = self.keys[last];
            self.push(Token::Key, key.mark, Some(key.token));
            self.roll(key.mark.column, Token::BlockMappingStart, key.mark, Some(key.token))?;
            self.keys[last].possible = false;
            self.key_allowed = false;
        } else {
            let block = last == 0;
            if block {
                if !self.key_allowed {
                    return broken(self.mark(), "a mapping cannot begin here: is a text with `: ` not quoted?");
                }
                self.roll(self.column(), Token::BlockMappingStart, self.mark(), None)?;
            }
            self.key_allowed = block;
        }
        self.simple(Token::Value, 1);
        Ok(())
    }

    /// Letters, digits, `_` and `-`.
    fn name(&mut self) -> &'a str {
        let start = self.at;
        while self.byte(0).is_ascii_alphanumeric() || matches!(self.byte(0), b'_' | b'-') {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn anchor(&mut self, alias: bool) -> Result<(), Broken> {
        self.save_key()?;
        self.key_allowed = false;
        let mark = self.mark();
        self.at += 1;
        let name = self.name();
        let ends = self.is_space(0) || matches!(self.byte(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if name.is_empty() || !ends {
            let what = if alias { "an alias" } else { "an anchor" };
            return broken(mark, format!("{what} needs a name of letters and digits: quote the text if it is none"));
        }
        self.push(if alias { Token::Alias(name) } else { Token::Anchor(name) }, mark, None);
        Ok(())
    }

    fn tag(&mut self) -> Result<(), Broken> {
        self.save_key()?;
        self.key_allowed = false;
        let mark = self.mark();
        let start = self.at;
        self.at += 1;
        let token = if self.byte(0) == b'<' {
            self.at += 1;
            let suffix = self.tag_text(mark)?;
            if suffix.is_empty() || self.byte(0) != b'>' {
                return broken(mark, "a tag lacks its `>`");
            }
            self.at += 1;
            Token::Tag("", suffix)
        } else {
            self.name();
            if self.byte(0) == b'!' {
                self.at += 1;
                let handle = &self.text[start..self.at];
                Token::Tag(handle, self.tag_text(mark)?)
            } else {
                self.at = start + 1;
                let suffix = self.tag_text(mark)?;
                if suffix.is_empty() { Token::Tag("", Cow::Borrowed("!")) } else { Token::Tag("!", suffix) }
            }
        };
        if !self.is_space(0) {
            return broken(mark, "a tag is not followed by a space: quote the text if it is none");
        }
        self.push(token, mark, None);
        Ok(())
    }

    /// The characters of a tag, `%41` decoded.
    fn tag_text(&mut self, mark: Mark) -> Result<Cow<'a, str>, Broken> {
        let start = self.at;
        while self.byte(0).is_ascii_alphanumeric()
            || self.byte(0) != 0 && b"_-;/?:@&=+$,.!~*'()[]%".contains(&self.byte(0))
        {
            self.at += 1;
        }
        let raw = &self.text[start..self.at];
        if !raw.contains('%') {
            return Ok(Cow::Borrowed(raw));
        }
        let mut bytes = Vec::with_capacity(raw.len());
        let mut rest = raw.bytes();
        while let Some(byte) = rest.next() {
            if byte != b'%' {
                bytes.push(byte);
                continue;
            }
            let digits = [rest.next().unwrap_or(0), rest.next().unwrap_or(0)];
            let code = std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
            match code {
                Some(code) => bytes.push(code),
                None => return broken(mark, "`%` in a tag is not followed by two hexadecimal digits"),
            }
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Owned(text)),
            Err(_) => broken(mark, "a tag is not UTF-8"),
        }
    }

    fn directive(&mut self) -> Result<(), Broken> {
        self.unroll(-1);
        self.remove_key()?;
        self.key_allowed = false;
        let mark = self.mark();
        let start = self.at;
        self.skip_comment();
        let line = self.text[start..self.at].split(" #").next().unwrap_or_default();
        let words: Vec<&'a str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        let token = match words.as_slice() {
            ["%YAML", version] if version.starts_with("1.") => Token::VersionDirective,
            ["%TAG", handle, prefix] if handle.starts_with('!') && handle.ends_with('!') => {
                Token::TagDirective(handle, prefix)
            }
            _ => return broken(mark, "an unknown directive: quote the text if it is none"),
        };
        self.push(token, mark, None);
        Ok(())
    }
}

mod scalars;
