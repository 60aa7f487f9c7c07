//! Texts: plain, quoted, and in blocks. What stands on one line is borrowed from the text that is read.

use std::borrow::Cow;

use super::{Broken, Mark, Scanner, Token, broken};

/// Breaks between lines, until it is known what they stand for.
#[derive(Default)]
struct Breaks {
    first: String,
    others: String,
}

impl Breaks {
    /// One break becomes a space, of several the first is dropped.
    fn fold_into(&mut self, out: &mut String) {
        if !self.first.starts_with('\n') {
            out.push_str(&self.first);
            out.push_str(&self.others);
        } else if self.others.is_empty() {
            out.push(' ');
        } else {
            out.push_str(&self.others);
        }
        self.first.clear();
        self.others.clear();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomp {
    Strip,
    Clip,
    Keep,
}

impl<'a> Scanner<'a> {
    pub(super) fn plain(&mut self) -> Result<(), Broken> {
        self.save_key()?;
        self.key_allowed = false;
        let mark = self.mark();
        let indent = self.indent + 1;
        let mut folded = String::new();
        let mut breaks = Breaks::default();
        let mut after_break = false;
        let (mut start, mut end) = (self.at, self.at);
        loop {
            if self.at_document_indicator() || self.byte(0) == b'#' {
                break;
            }
            let run = self.at;
            self.plain_run();
            if self.at > run {
                if after_break {
                    folded.push_str(&self.text[start..end]);
                    breaks.fold_into(&mut folded);
                    start = run;
                    after_break = false;
                }
                end = self.at;
            }
            if !self.is_blank() && !self.is_break() {
                break;
            }
            self.plain_blanks(indent, &mut breaks, &mut after_break)?;
            if self.keys.len() == 1 && (self.column() as isize) < indent {
                break;
            }
        }
        let text = if folded.is_empty() {
            Cow::Borrowed(&self.text[start..end])
        } else {
            folded.push_str(&self.text[start..end]);
            Cow::Owned(folded)
        };
        self.push(Token::Scalar(text, true), mark, None);
        self.key_allowed |= after_break;
        Ok(())
    }

    /// Characters up to a blank, a break or what ends a plain text.
    fn plain_run(&mut self) {
        let flow = self.keys.len() > 1;
        loop {
            match self.byte(0) {
                0 | b' ' | b'\t' | b'\n' | b'\r' => return,
                b':' if self.is_space(1) => return,
                b',' | b'?' | b'[' | b']' | b'{' | b'}' if flow => return,
                0xC2 | 0xE2 if self.is_break() => return,
                _ => self.at += 1,
            }
        }
    }

    fn plain_blanks(&mut self, indent: isize, breaks: &mut Breaks, after_break: &mut bool) -> Result<(), Broken> {
        loop {
            if self.is_blank() {
                if *after_break && (self.column() as isize) < indent && self.byte(0) == b'\t' {
                    return broken(self.mark(), "a tab in the indentation of a text: use spaces");
                }
                self.at += 1;
            } else if self.is_break() {
                let line = if *after_break { &mut breaks.others } else { &mut breaks.first };
                self.read_break(line);
                *after_break = true;
            } else {
                return Ok(());
            }
        }
    }

    pub(super) fn quoted(&mut self) -> Result<(), Broken> {
        self.save_key()?;
        self.key_allowed = false;
        let mark = self.mark();
        let quote = self.byte(0);
        self.at += 1;
        let start = self.at;
        let text = loop {
            match self.byte(0) {
                0 => return broken(mark, "a quoted text does not end"),
                byte if byte == quote => {
                    if quote == b'\'' && self.byte(1) == b'\'' {
                        break self.quoted_folded(start, quote, mark)?;
                    }
                    break Cow::Borrowed(&self.text[start..self.at]);
                }
                b'\\' if quote == b'"' => break self.quoted_folded(start, quote, mark)?,
                b'\n' | b'\r' | 0xC2 | 0xE2 if self.is_break() => break self.quoted_folded(start, quote, mark)?,
                _ => self.at += 1,
            }
        };
        self.at += 1;
        self.push(Token::Scalar(text, false), mark, None);
        Ok(())
    }

    /// A quoted text with escapes or several lines, from its first character on.
    fn quoted_folded(&mut self, start: usize, quote: u8, mark: Mark) -> Result<Cow<'a, str>, Broken> {
        let mut out = String::new();
        let mut breaks = Breaks::default();
        self.at = start;
        loop {
            if self.at_document_indicator() {
                return broken(mark, "a quoted text does not end before the next document");
            }
            let mut after_break = self.quoted_run(&mut out, quote, mark)?;
            if self.byte(0) == 0 {
                return broken(mark, "a quoted text does not end");
            }
            if self.byte(0) == quote {
                return Ok(Cow::Owned(out));
            }
            let blanks = self.at;
            let mut blanks_end = self.at;
            loop {
                if self.is_blank() {
                    self.at += 1;
                    blanks_end = if after_break { blanks_end } else { self.at };
                } else if self.is_break() {
                    let line = if after_break { &mut breaks.others } else { &mut breaks.first };
                    self.read_break(line);
                    after_break = true;
                } else {
                    break;
                }
            }
            if !after_break {
                out.push_str(&self.text[blanks..blanks_end]);
            } else if breaks.first.is_empty() {
                out.push_str(&breaks.others); // an escaped break stands for nothing
                breaks.others.clear();
            } else {
                breaks.fold_into(&mut out);
            }
        }
    }

    /// Characters up to a blank, a break or the quote; whether an escaped break ended them.
    fn quoted_run(&mut self, out: &mut String, quote: u8, mark: Mark) -> Result<bool, Broken> {
        loop {
            let run = self.at;
            while !matches!(self.byte(0), 0 | b' ' | b'\t' | b'\n' | b'\r' | b'\\')
                && self.byte(0) != quote
                && !(matches!(self.byte(0), 0xC2 | 0xE2) && self.is_break())
            {
                self.at += 1;
            }
            out.push_str(&self.text[run..self.at]);
            match self.byte(0) {
                b'\'' if quote == b'\'' && self.byte(1) == b'\'' => {
                    out.push('\'');
                    self.at += 2;
                }
                b'\\' if quote == b'\'' => {
                    out.push('\\');
                    self.at += 1;
                }
                b'\\' if self.break_at(self.at + 1) > 0 => {
                    self.at += 1;
                    self.skip_break();
                    return Ok(true);
                }
                b'\\' => self.escape(out, mark)?,
                _ => return Ok(false),
            }
        }
    }

    fn escape(&mut self, out: &mut String, mark: Mark) -> Result<(), Broken> {
        let here = self.mark();
        let digits = match self.byte(1) {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            short => {
                out.push(match short {
                    b'0' => '\0',
                    b'a' => '\u{7}',
                    b'b' => '\u{8}',
                    b't' | b'\t' => '\t',
                    b'n' => '\n',
                    b'v' => '\u{b}',
                    b'f' => '\u{c}',
                    b'r' => '\r',
                    b'e' => '\u{1b}',
                    b' ' | b'"' | b'\'' | b'/' | b'\\' => char::from(short),
                    b'N' => '\u{85}',
                    b'_' => '\u{a0}',
                    b'L' => '\u{2028}',
                    b'P' => '\u{2029}',
                    0 => return broken(mark, "a quoted text does not end"),
                    _ => return broken(here, "an unknown escape: write `\\\\` for a backslash, or use single quotes"),
                });
                self.at += 2;
                return Ok(());
            }
        };
        self.at += 2;
        let mut code = self.hexadecimal(digits, here)?;
        if digits == 4 && (0xD800..0xDC00).contains(&code) && self.byte(0) == b'\\' && self.byte(1) == b'u' {
            self.at += 2; // JSON writes characters above U+FFFF as two escapes
            let low = self.hexadecimal(4, here)?;
            code = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF);
        }
        match char::from_u32(code) {
            Some(character) => out.push(character),
            None => return broken(here, "an escape of what is no character"),
        }
        Ok(())
    }

    fn hexadecimal(&mut self, digits: usize, mark: Mark) -> Result<u32, Broken> {
        let text = self.text.get(self.at..self.at + digits).filter(|text| !text.starts_with('+'));
        match text.and_then(|text| u32::from_str_radix(text, 16).ok()) {
            Some(code) => {
                self.at += digits;
                Ok(code)
            }
            None => broken(mark, format!("an escape lacks its {digits} hexadecimal digits")),
        }
    }

    pub(super) fn block_scalar(&mut self) -> Result<(), Broken> {
        self.remove_key()?;
        self.key_allowed = true;
        let mark = self.mark();
        let literal = self.byte(0) == b'|';
        self.at += 1;
        let (chomp, increment) = self.block_header(mark)?;
        let mut indent = match increment {
            0 => 0,
            increment => usize::try_from(self.indent).unwrap_or(0) + increment,
        };
        let mut out = String::new();
        let (mut first, mut others) = (String::new(), String::new());
        self.block_breaks(&mut indent, &mut others, mark)?;
        let mut blank_before = false;
        while self.column() == indent && self.byte(0) != 0 {
            let blank = self.is_blank();
            if !literal && !blank_before && !blank && first.starts_with('\n') {
                if others.is_empty() {
                    out.push(' ');
                }
            } else {
                out.push_str(&first);
            }
            first.clear();
            out.push_str(&others);
            others.clear();
            blank_before = blank;
            let start = self.at;
            self.skip_comment();
            out.push_str(&self.text[start..self.at]);
            if self.is_break() {
                self.read_break(&mut first);
            }
            self.block_breaks(&mut indent, &mut others, mark)?;
        }
        if chomp != Chomp::Strip {
            out.push_str(&first);
        }
        if chomp == Chomp::Keep {
            out.push_str(&others);
        }
        self.push(Token::Scalar(Cow::Owned(out), false), mark, None);
        Ok(())
    }

    /// What stands behind the mark of a block: `+` or `-`, the indentation, a comment.
    fn block_header(&mut self, mark: Mark) -> Result<(Chomp, usize), Broken> {
        let (mut chomp, mut increment) = (None, None);
        loop {
            match self.byte(0) {
                b'+' if chomp.is_none() => chomp = Some(Chomp::Keep),
                b'-' if chomp.is_none() => chomp = Some(Chomp::Strip),
                digit @ b'1'..=b'9' if increment.is_none() => increment = Some(usize::from(digit - b'0')),
                _ => break,
            }
            self.at += 1;
        }
        while self.is_blank() {
            self.at += 1;
        }
        if self.byte(0) == b'#' {
            self.skip_comment();
        }
        if self.is_break() {
            self.skip_break();
        } else if self.byte(0) != 0 {
            return broken(mark, "a block text begins on the line behind its mark");
        }
        Ok((chomp.unwrap_or(Chomp::Clip), increment.unwrap_or(0)))
    }

    /// Blank lines before a line of a block, and the indentation when it is not known yet.
    fn block_breaks(&mut self, indent: &mut usize, breaks: &mut String, mark: Mark) -> Result<(), Broken> {
        let mut deepest = 0;
        loop {
            while (*indent == 0 || self.column() < *indent) && self.byte(0) == b' ' {
                self.at += 1;
            }
            deepest = deepest.max(self.column());
            if (*indent == 0 || self.column() < *indent) && self.byte(0) == b'\t' {
                return broken(mark, "a tab where the indentation of a block text is expected");
            }
            if !self.is_break() {
                break;
            }
            self.read_break(breaks);
        }
        if *indent == 0 {
            *indent = deepest.max(usize::try_from(self.indent + 1).unwrap_or(0)).max(1);
        }
        Ok(())
    }
}
