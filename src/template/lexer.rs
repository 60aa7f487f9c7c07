//! Cuts the text of a template into tokens: trim markers, comments, delimiters, Go's string and number forms.

use super::strconv::{self, decode};
use super::token::{Span, Token, TokenKind};

/// Cuts one text; [`Lexer::next`] gives token after token.
pub(super) struct Lexer<'s> {
    source: &'s [u8],
    position: usize,
    start: usize,
    line: u32,
    start_line: u32,
    inside_action: bool,
    paren_depth: usize,
    /// What is wrong, once a token of kind `Error` was given.
    pub(super) error: String,
}

const TRIM_MARKER: usize = 2;

impl<'s> Lexer<'s> {
    /// Starts at the beginning of the text.
    pub(super) fn new(source: &'s [u8]) -> Self {
        Lexer {
            source,
            position: 0,
            start: 0,
            line: 1,
            start_line: 1,
            inside_action: false,
            paren_depth: 0,
            error: String::new(),
        }
    }

    /// The next token; after the last one `End` for ever.
    pub(super) fn next(&mut self) -> Token {
        if !self.error.is_empty() {
            return Token { kind: TokenKind::Error, span: Span::default(), line: self.start_line };
        }
        if self.inside_action { self.inside_action() } else { self.text() }
    }

    fn rest(&self) -> &'s [u8] {
        self.source.get(self.position..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        match self.rest() {
            [] => None,
            [byte, ..] if byte.is_ascii() => Some(char::from(*byte)),
            rest => Some(decode(rest).0),
        }
    }

    fn bump(&mut self) -> Option<char> {
        let rest = self.rest();
        let (first, width) = match rest {
            [] => return None,
            [byte, ..] if byte.is_ascii() => (char::from(*byte), 1),
            _ => decode(rest),
        };
        self.position += width;
        self.line += u32::from(first == '\n');
        Some(first)
    }

    fn accept(&mut self, valid: &[u8]) -> bool {
        let accepted = self.rest().first().is_some_and(|byte| valid.contains(byte));
        self.position += usize::from(accepted);
        accepted
    }

    fn accept_run(&mut self, valid: &[u8]) {
        while self.accept(valid) {}
    }

    fn emit(&mut self, kind: TokenKind) -> Token {
        let span = Span { start: self.start as u32, end: self.position as u32 };
        let token = Token { kind, span, line: self.start_line };
        self.start = self.position;
        self.start_line = self.line;
        token
    }

    fn fail(&mut self, message: impl Into<String>) -> Token {
        self.error = message.into();
        Token { kind: TokenKind::Error, span: Span::default(), line: self.start_line }
    }

    // Skips what lies before the position, counting its lines.
    fn ignore(&mut self) {
        self.line += count_lines(&self.source[self.start..self.position]);
        self.start = self.position;
        self.start_line = self.line;
    }

    fn text(&mut self) -> Token {
        loop {
            let Some(found) = find(self.rest(), b"{{") else {
                self.position = self.source.len();
                self.line += count_lines(&self.source[self.start..]);
                let kind = if self.position > self.start { TokenKind::Text } else { TokenKind::End };
                return self.emit(kind);
            };
            if found > 0 {
                self.position += found;
                let text = &self.source[self.start..self.position];
                let after = &self.source[self.position + 2..];
                let trimmed = if has_left_trim(after) { text.len() - text.trim_ascii_end_go().len() } else { 0 };
                self.position -= trimmed;
                self.line += count_lines(&self.source[self.start..self.position]);
                let token = self.emit(TokenKind::Text);
                self.position += trimmed;
                self.ignore();
                if token.span.end > token.span.start {
                    return token;
                }
            }
            if let Some(token) = self.left_delimiter() {
                return token;
            }
        }
    }

    // `None` after a comment, which is skipped.
    fn left_delimiter(&mut self) -> Option<Token> {
        self.position += 2;
        let marker = if has_left_trim(self.rest()) { TRIM_MARKER } else { 0 };
        if self.source[self.position + marker..].starts_with(b"/*") {
            self.position += marker;
            self.ignore();
            return self.comment();
        }
        let token = self.emit(TokenKind::LeftDelimiter);
        self.inside_action = true;
        self.position += marker;
        self.ignore();
        self.paren_depth = 0;
        Some(token)
    }

    fn comment(&mut self) -> Option<Token> {
        self.position += 2;
        let Some(end) = find(self.rest(), b"*/") else { return Some(self.fail("unclosed comment")) };
        self.position += end + 2;
        let Some(trim) = self.at_right_delimiter() else {
            return Some(self.fail("comment ends before closing delimiter"));
        };
        self.skip_right_delimiter(trim);
        self.ignore();
        None
    }

    // At `}}` or ` -}}`, and if so whether spaces after it are trimmed.
    fn at_right_delimiter(&self) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with(b"}}") {
            return Some(false);
        }
        (has_right_trim(rest) && rest[TRIM_MARKER..].starts_with(b"}}")).then_some(true)
    }

    fn skip_right_delimiter(&mut self, trim: bool) {
        self.position += if trim { TRIM_MARKER + 2 } else { 2 };
        if trim {
            let rest = self.rest();
            self.position += rest.len() - rest.trim_ascii_start_go().len();
        }
    }

    fn right_delimiter(&mut self, trim: bool) -> Token {
        if trim {
            self.position += TRIM_MARKER;
            self.ignore();
        }
        self.position += 2;
        let token = self.emit(TokenKind::RightDelimiter);
        if trim {
            let rest = self.rest();
            self.position += rest.len() - rest.trim_ascii_start_go().len();
            self.ignore();
        }
        self.inside_action = false;
        token
    }

    fn inside_action(&mut self) -> Token {
        if let Some(trim) = self.at_right_delimiter() {
            return if self.paren_depth == 0 { self.right_delimiter(trim) } else { self.fail("unclosed left paren") };
        }
        let Some(first) = self.bump() else { return self.fail("unclosed action") };
        match first {
            ' ' | '\t' | '\r' | '\n' => self.space(),
            '=' => self.emit(TokenKind::Assign),
            ':' => match self.bump() {
                Some('=') => self.emit(TokenKind::Declare),
                _ => self.fail("expected :="),
            },
            '|' => self.emit(TokenKind::Pipe),
            '"' => self.quoted(b'"', TokenKind::String, "unterminated quoted string"),
            '\'' => self.quoted(b'\'', TokenKind::CharConstant, "unterminated character constant"),
            '`' => self.raw_string(),
            '$' if self.at_terminator() => self.emit(TokenKind::Variable),
            '$' => self.name(TokenKind::Variable),
            '.' if !self.rest().first().is_none_or(u8::is_ascii_digit) => {
                if self.at_terminator() {
                    self.emit(TokenKind::Dot)
                } else {
                    self.name(TokenKind::Field)
                }
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.position -= 1;
                self.number()
            }
            '(' => {
                self.paren_depth += 1;
                self.emit(TokenKind::LeftParen)
            }
            ')' => {
                let Some(depth) = self.paren_depth.checked_sub(1) else {
                    return self.fail("unexpected right paren");
                };
                self.paren_depth = depth;
                self.emit(TokenKind::RightParen)
            }
            _ if is_alphanumeric(first) => self.name(TokenKind::Identifier),
            ' '..='~' => self.emit(TokenKind::Char),
            _ => self.fail(format!("unrecognized character in action: {}", strconv::unicode_name(first))),
        }
    }

    // The first space is consumed; the last one may belong to a trim marker.
    fn space(&mut self) -> Token {
        let mut count = 1;
        while self.peek().is_some_and(is_space) {
            self.bump();
            count += 1;
        }
        let tail = &self.source[self.position - 1..];
        if has_right_trim(tail) && tail[TRIM_MARKER..].starts_with(b"}}") {
            self.position -= 1;
            self.line -= u32::from(tail[0] == b'\n');
            if count == 1 {
                return self.right_delimiter(true);
            }
        }
        self.emit(TokenKind::Space)
    }

    fn name(&mut self, kind: TokenKind) -> Token {
        loop {
            let plain = self.rest().iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
            self.position += plain;
            match self.peek() {
                Some(next) if !next.is_ascii() && is_alphanumeric(next) => self.position += next.len_utf8(),
                _ => break,
            }
        }
        if !self.at_terminator() {
            let bad = self.peek().unwrap_or('\0');
            return self.fail(format!("bad character {}", strconv::unicode_name(bad)));
        }
        let kind = match kind {
            TokenKind::Identifier => TokenKind::of_word(&self.source[self.start..self.position]),
            other => other,
        };
        self.emit(kind)
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            _ => self.rest().starts_with(b"}}"),
        }
    }

    fn quoted(&mut self, quote: u8, kind: TokenKind, unterminated: &str) -> Token {
        loop {
            match self.bump() {
                Some('\\') if !matches!(self.bump(), None | Some('\n')) => {}
                None | Some('\\' | '\n') => return self.fail(unterminated),
                Some(other) if other == char::from(quote) => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Token {
        let Some(end) = find(self.rest(), b"`") else {
            self.line += count_lines(self.rest());
            return self.fail("unterminated raw quoted string");
        };
        self.line += count_lines(&self.rest()[..end]);
        self.position += end + 1;
        self.emit(TokenKind::RawString)
    }

    fn number(&mut self) -> Token {
        let bad = |lexer: &mut Self| {
            let text = strconv::quote(&lexer.source[lexer.start..lexer.position]);
            lexer.fail(format!("bad number syntax: {text}"))
        };
        if !self.scan_number() {
            return bad(self);
        }
        if matches!(self.peek(), Some('+' | '-')) {
            if !self.scan_number() || self.source[self.position - 1] != b'i' {
                return bad(self);
            }
            return self.emit(TokenKind::Complex);
        }
        self.emit(TokenKind::Number)
    }

    // Takes more than is a number; the parser looks closely.
    fn scan_number(&mut self) -> bool {
        self.accept(b"+-");
        let mut digits: &[u8] = b"0123456789_";
        let (mut decimal, mut hexadecimal) = (true, false);
        if self.accept(b"0") {
            if self.accept(b"xX") {
                (digits, decimal, hexadecimal) = (b"0123456789abcdefABCDEF_", false, true);
            } else if self.accept(b"oO") {
                (digits, decimal) = (b"01234567_", false);
            } else if self.accept(b"bB") {
                (digits, decimal) = (b"01_", false);
            }
        }
        self.accept_run(digits);
        if self.accept(b".") {
            self.accept_run(digits);
        }
        if decimal && self.accept(b"eE") || hexadecimal && self.accept(b"pP") {
            self.accept(b"+-");
            self.accept_run(b"0123456789_");
        }
        self.accept(b"i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.bump();
            return false;
        }
        true
    }
}

// Go's set of spaces is smaller than Rust's: no form feed.
trait TrimGo {
    fn trim_ascii_end_go(&self) -> &Self;
    fn trim_ascii_start_go(&self) -> &Self;
}

impl TrimGo for [u8] {
    fn trim_ascii_end_go(&self) -> &[u8] {
        let end = self.iter().rposition(|byte| !is_space(char::from(*byte))).map_or(0, |last| last + 1);
        &self[..end]
    }

    fn trim_ascii_start_go(&self) -> &[u8] {
        let start = self.iter().position(|byte| !is_space(char::from(*byte))).unwrap_or(self.len());
        &self[start..]
    }
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(character: char) -> bool {
    character == '_' || strconv::is_letter_or_digit(character)
}

fn has_left_trim(text: &[u8]) -> bool {
    matches!(text, [b'-', space, ..] if is_space(char::from(*space)))
}

fn has_right_trim(text: &[u8]) -> bool {
    matches!(text, [space, b'-', ..] if is_space(char::from(*space)))
}

fn count_lines(text: &[u8]) -> u32 {
    text.iter().filter(|byte| **byte == b'\n').count() as u32
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    match word {
        [only] => text.iter().position(|byte| byte == only),
        [first, ..] => {
            let mut from = 0;
            while let Some(at) = text[from..].iter().position(|byte| byte == first) {
                if text[from + at..].starts_with(word) {
                    return Some(from + at);
                }
                from += at + 1;
            }
            None
        }
        [] => Some(0),
    }
}
