//! Parses Go's syntax and prints the same expression in that of the `regex` crate.

use super::SyntaxError;

/// Groups inside of groups; Go counts 1,000 levels of its tree.
pub(super) const MAX_DEPTH: u32 = 500;
/// Copies of the innermost thing that nested counts may ask for.
const MAX_COPIES: u64 = 1_000;
/// Stands for a character that no UTF-8 text has: a surrogate.
const NEVER: &str = r"[^\s\S]";

/// A translated pattern.
pub(super) struct Translated {
    pub(super) text: String,
    pub(super) names: Vec<String>,
}

/// Translates a pattern of Go's syntax.
pub(super) fn translate(pattern: &[u8]) -> Result<Translated, SyntaxError> {
    let Ok(pattern) = std::str::from_utf8(pattern) else {
        return Err(SyntaxError { reason: "invalid UTF-8", part: pattern.to_vec() });
    };
    let mut parser = Parser {
        whole: pattern,
        rest: pattern,
        out: String::with_capacity(pattern.len() + 16),
        names: vec![String::new()],
        groups: vec![Group::default()],
        last_repeat: None,
    };
    parser.run()?;
    Ok(Translated { text: parser.out, names: parser.names })
}

struct Parser<'p> {
    whole: &'p str,
    rest: &'p str,
    out: String,
    names: Vec<String>,
    /// The open groups, the whole pattern first.
    groups: Vec<Group>,
    /// What follows from the repetition operator that came just before.
    last_repeat: Option<&'p str>,
}

/// A group being parsed.
#[derive(Default)]
struct Group {
    /// Where it starts in the output.
    start: usize,
    /// The thing that a repetition operator would repeat.
    atom: Option<Atom>,
    /// The most copies that counts inside ask for.
    copies: u64,
}

#[derive(Clone, Copy)]
struct Atom {
    start: usize,
    end: usize,
    copies: u64,
    is_repeated: bool,
}

type Checked<T> = Result<T, SyntaxError>;

fn fail<T>(reason: &'static str, part: &str) -> Checked<T> {
    Err(SyntaxError { reason, part: part.as_bytes().to_vec() })
}

impl<'p> Parser<'p> {
    fn run(&mut self) -> Checked<()> {
        while let Some(first) = self.rest.chars().next() {
            let mut repeat = None;
            match first {
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => {
                    self.advance(1);
                    self.out.push('|');
                    self.group().atom = None;
                }
                '^' | '$' | '.' => {
                    self.advance(1);
                    self.atom(&first.to_string());
                }
                '[' => {
                    let class = self.class()?;
                    self.atom(&class);
                }
                '*' | '+' | '?' => {
                    repeat = Some(self.rest);
                    self.advance(1);
                    self.repeat(repeat.unwrap_or_default(), &first.to_string(), None)?;
                }
                '{' => match counts(self.rest) {
                    Some(counted) => {
                        repeat = Some(self.rest);
                        self.repeat_counted(counted)?;
                    }
                    None => {
                        self.advance(1);
                        self.atom(r"\{");
                    }
                },
                '\\' => self.escape()?,
                _ => {
                    self.advance(first.len_utf8());
                    self.atom(&character(first as u32));
                }
            }
            self.last_repeat = repeat;
        }
        if self.groups.len() > 1 { fail("missing closing )", self.whole) } else { Ok(()) }
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn group(&mut self) -> &mut Group {
        if self.groups.is_empty() {
            self.groups.push(Group::default());
        }
        let last = self.groups.len() - 1;
        &mut self.groups[last]
    }

    /// Writes something that can be repeated.
    fn atom(&mut self, text: &str) {
        let start = self.out.len();
        self.out.push_str(text);
        let end = self.out.len();
        self.group().atom = Some(Atom { start, end, copies: 1, is_repeated: false });
    }

    fn open(&mut self) -> Checked<()> {
        if self.groups.len() > MAX_DEPTH as usize {
            return fail("expression nests too deeply", self.whole);
        }
        let start = self.out.len();
        if !self.rest.starts_with("(?") {
            self.advance(1);
            self.out.push('(');
            self.names.push(String::new());
        } else if self.rest.starts_with("(?P<") || self.rest.starts_with("(?<") {
            self.open_named()?;
        } else if !self.flags()? {
            return Ok(());
        }
        self.groups.push(Group { start, ..Group::default() });
        Ok(())
    }

    fn open_named(&mut self) -> Checked<()> {
        let Some(end) = self.rest.find('>') else { return fail("invalid named capture", self.rest) };
        let capture = &self.rest[..=end];
        let name = &self.rest[if capture.starts_with("(?P") { 4 } else { 3 }..end];
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return fail("invalid named capture", capture);
        }
        // Go takes names that start with a digit or come twice, so groups stay unnamed for the crate.
        self.names.push(name.to_owned());
        self.out.push('(');
        self.advance(end + 1);
        Ok(())
    }

    /// Reads `(?flags)` or `(?flags:`; whether a group is open now.
    fn flags(&mut self) -> Checked<bool> {
        let start = self.rest;
        self.advance(2);
        let (mut on, mut off, mut negated, mut seen) = (String::new(), String::new(), false, false);
        while let Some(flag) = self.rest.chars().next() {
            self.advance(flag.len_utf8());
            match flag {
                'i' | 'm' | 's' | 'U' => {
                    seen = true;
                    let set = if negated { &mut off } else { &mut on };
                    if !set.contains(flag) {
                        set.push(flag);
                    }
                }
                '-' if !negated => (negated, seen) = (true, false),
                ':' | ')' if !negated || seen => {
                    on.retain(|flag| !off.contains(flag));
                    let minus = if off.is_empty() { "" } else { "-" };
                    if flag == ':' {
                        self.out.push_str(&format!("(?{on}{minus}{off}:"));
                    } else if !(on.is_empty() && off.is_empty()) {
                        self.out.push_str(&format!("(?{on}{minus}{off})"));
                    }
                    return Ok(flag == ':');
                }
                _ => break,
            }
        }
        fail("invalid or unsupported Perl syntax", &start[..start.len() - self.rest.len()])
    }

    fn close(&mut self) -> Checked<()> {
        if self.groups.len() < 2 {
            return fail("unexpected )", self.whole);
        }
        let Some(group) = self.groups.pop() else { return Ok(()) };
        self.advance(1);
        self.out.push(')');
        let copies = group.copies.max(1);
        let end = self.out.len();
        let outer = self.group();
        outer.atom = Some(Atom { start: group.start, end, copies, is_repeated: false });
        outer.copies = outer.copies.max(copies);
        Ok(())
    }

    fn repeat_counted(&mut self, (least, most, length): (i64, i64, usize)) -> Checked<()> {
        let before = self.rest;
        let text = &before[..length];
        if !(0..=1000).contains(&least) || most > 1000 || most >= 0 && least > most {
            return fail("invalid repeat count", text);
        }
        self.advance(length);
        self.repeat(before, text, Some((least, most)))
    }

    /// Repeats the last atom: `before` is the pattern from the operator on, `most` is -1 for no limit.
    fn repeat(&mut self, before: &'p str, operator: &str, counts: Option<(i64, i64)>) -> Checked<()> {
        let mut operator = operator.to_owned();
        if self.rest.starts_with('?') {
            self.advance(1);
            operator.push('?');
        }
        if let Some(last) = self.last_repeat {
            return fail("invalid nested repetition operator", &last[..last.len() - self.rest.len()]);
        }
        let written = &before[..before.len() - self.rest.len()];
        let Some(mut atom) = self.group().atom else { return fail("missing argument to repetition operator", written) };
        if let Some((least, most)) = counts {
            let count = if most < 0 { least } else { most };
            atom.copies = if most == 0 { 1 } else { atom.copies.saturating_mul(count.max(1) as u64) };
            if (least >= 2 || most >= 2) && atom.copies > MAX_COPIES {
                return fail("invalid repeat count", written);
            }
        }
        if atom.is_repeated {
            self.out.insert(atom.end, ')');
            self.out.insert_str(atom.start, "(?:");
            atom.end += 4;
        }
        // Flags may have been written since, and belong to what follows.
        self.out.insert_str(atom.end, &operator);
        atom.end += operator.len();
        atom.is_repeated = true;
        let group = self.group();
        group.copies = group.copies.max(atom.copies);
        group.atom = Some(atom);
        Ok(())
    }

    fn escape(&mut self) -> Checked<()> {
        let simple = match self.rest.as_bytes().get(1) {
            Some(b'A') => r"\A",
            Some(b'z') => r"\z",
            Some(b'b') => r"(?-u:\b)",
            Some(b'B') => r"(?-u:\B)",
            Some(b'C') => return fail("invalid escape sequence", r"\C"),
            Some(b'Q') => {
                self.advance(2);
                let (literal, rest) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
                for c in literal.chars() {
                    self.atom(&character(c as u32));
                }
                self.rest = rest;
                return Ok(());
            }
            _ => {
                let text = match self.escaped_class()? {
                    Some(class) => class,
                    None => character(self.escaped_character()?),
                };
                self.atom(&text);
                return Ok(());
            }
        };
        self.advance(2);
        self.atom(simple);
        Ok(())
    }

    /// A class such as `\d` or `\p{Greek}` at the start of the rest.
    fn escaped_class(&mut self) -> Checked<Option<String>> {
        let Some(letter) = self.rest.as_bytes().get(1) else { return Ok(None) };
        let class = match letter {
            b'd' => "[0-9]",
            b'D' => "[^0-9]",
            b's' => r"[\t\n\x0C\r ]",
            b'S' => r"[^\t\n\x0C\r ]",
            b'w' => "[0-9A-Za-z_]",
            b'W' => "[^0-9A-Za-z_]",
            b'p' | b'P' => return self.unicode_class(*letter == b'P').map(Some),
            _ => return Ok(None),
        };
        self.advance(2);
        Ok(Some(class.to_owned()))
    }

    fn unicode_class(&mut self, mut negated: bool) -> Checked<String> {
        let start = self.rest;
        let end = match self.rest[2..].chars().next() {
            None => return fail("invalid character class range", start),
            Some('{') => match self.rest.find('}') {
                None => return fail("invalid character class range", start),
                Some(end) => end + 1,
            },
            Some(letter) => 2 + letter.len_utf8(),
        };
        let sequence = &start[..end];
        self.advance(end);
        let mut name = sequence[2..].trim_start_matches('{').trim_end_matches('}');
        if let Some(rest) = name.strip_prefix('^') {
            (name, negated) = (rest, !negated);
        }
        let Some(property) = property(name) else { return fail("invalid character class range", sequence) };
        Ok(format!(r"\{}{{{property}}}", if negated { 'P' } else { 'p' }))
    }

    /// A single character written as an escape.
    fn escaped_character(&mut self) -> Checked<u32> {
        let start = self.rest;
        self.advance(1);
        let Some(first) = self.rest.chars().next() else { return fail("trailing backslash at end of expression", "") };
        self.advance(first.len_utf8());
        let octal = |rest: &str| rest.as_bytes().first().copied().filter(|byte| (b'0'..=b'7').contains(byte));
        match first {
            'a' => return Ok(7),
            'f' => return Ok(12),
            'n' => return Ok(10),
            'r' => return Ok(13),
            't' => return Ok(9),
            'v' => return Ok(11),
            'x' => {
                if let Some(value) = self.hexadecimal() {
                    return Ok(value);
                }
            }
            // A single digit but 0 would be a reference to a group.
            '0'..='7' if first == '0' || octal(self.rest).is_some() => {
                let mut value = first as u32 - '0' as u32;
                for _ in 1..3 {
                    let Some(digit) = octal(self.rest) else { break };
                    value = value * 8 + u32::from(digit - b'0');
                    self.advance(1);
                }
                return Ok(value);
            }
            _ if first.is_ascii() && !first.is_ascii_alphanumeric() => return Ok(first as u32),
            _ => {}
        }
        fail("invalid escape sequence", &start[..start.len() - self.rest.len()])
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let mut next = || {
            let c = self.rest.chars().next()?;
            self.rest = &self.rest[c.len_utf8()..];
            Some(c)
        };
        let first = next()?;
        if first != '{' {
            let second = next()?;
            return Some(first.to_digit(16)? * 16 + second.to_digit(16)?);
        }
        let mut value: Option<u32> = None;
        loop {
            match next()? {
                '}' => return value,
                digit => {
                    let sum = value.unwrap_or(0) * 16 + digit.to_digit(16)?;
                    value = Some(sum).filter(|sum| *sum <= 0x10_ffff);
                    value?;
                }
            }
        }
    }

    /// A class in brackets.
    fn class(&mut self) -> Checked<String> {
        let whole = self.rest;
        self.advance(1);
        let mut out = String::from("[");
        if self.rest.starts_with('^') {
            self.advance(1);
            out.push('^');
        }
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if self.rest.len() > 2
                && self.rest.starts_with("[:")
                && let Some(end) = self.rest[2..].find(":]")
            {
                let name = &self.rest[..end + 4];
                let Some(class) = posix_class(&name[2..end + 2]) else {
                    return fail("invalid character class range", name);
                };
                out.push_str(&class);
                self.advance(end + 4);
                continue;
            }
            if self.rest.starts_with('\\')
                && let Some(class) = self.escaped_class()?
            {
                out.push_str(&class);
                continue;
            }
            let start = self.rest;
            let low = self.class_character(whole)?;
            let mut high = low;
            if self.rest.len() >= 2 && self.rest.starts_with('-') && !self.rest[1..].starts_with(']') {
                self.advance(1);
                high = self.class_character(whole)?;
                if high < low {
                    return fail("invalid character class range", &start[..start.len() - self.rest.len()]);
                }
            }
            push_range(&mut out, low, high);
        }
        self.advance(1);
        // Surrogates leave nothing behind, and an empty class has no syntax.
        if out == "[" || out == "[^" {
            return Ok(if out == "[" { NEVER } else { r"[\s\S]" }.to_owned());
        }
        out.push(']');
        Ok(out)
    }

    fn class_character(&mut self, whole: &str) -> Checked<u32> {
        match self.rest.chars().next() {
            None => fail("missing closing ]", whole),
            Some('\\') => self.escaped_character(),
            Some(c) => {
                self.advance(c.len_utf8());
                Ok(c as u32)
            }
        }
    }
}

/// A literal character.
fn character(code: u32) -> String {
    match char::from_u32(code) {
        None => NEVER.to_owned(),
        Some(c) if c.is_ascii_alphanumeric() => c.to_string(),
        Some(_) => format!("\\x{{{code:x}}}"),
    }
}

/// Adds a range to a class, without the surrogates.
fn push_range(out: &mut String, low: u32, high: u32) {
    for (low, high) in [(low, high.min(0xd7ff)), (low.max(0xe000), high)] {
        if low == high {
            out.push_str(&character(low));
        } else if low < high {
            out.push_str(&format!("{}-{}", character(low), character(high)));
        }
    }
}

/// `{n}`, `{n,}` or `{n,m}` at the start of a text: least, most (-1 for no limit), and its length. Numbers too large give -1 as least.
fn counts(text: &str) -> Option<(i64, i64, usize)> {
    let rest = text.strip_prefix('{')?;
    let end = rest.find('}')?;
    let number = |digits: &str| -> Option<i64> {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        (plain && !(digits.len() > 1 && digits.starts_with('0'))).then(|| digits.parse().unwrap_or(i64::MAX))
    };
    let (least, most) = match rest[..end].split_once(',') {
        None => {
            let count = number(&rest[..end])?;
            (count, count)
        }
        Some((least, "")) => (number(least)?, -1),
        Some((least, most)) => (number(least)?, number(most)?),
    };
    Some((least, most, end + 2))
}

fn posix_class(name: &str) -> Option<String> {
    let (negated, name) = name.strip_prefix('^').map_or(("", name), |name| ("^", name));
    let set = match name {
        "alnum" => "0-9A-Za-z",
        "alpha" => "A-Za-z",
        "ascii" => r"\x00-\x7F",
        "blank" => r"\t ",
        "cntrl" => r"\x00-\x1F\x7F",
        "digit" => "0-9",
        "graph" => "!-~",
        "lower" => "a-z",
        "print" => " -~",
        "punct" => r"!-/:-@\[-`{-~",
        "space" => r"\t\n\x0B\x0C\r ",
        "upper" => "A-Z",
        "word" => "0-9A-Za-z_",
        "xdigit" => "0-9A-Fa-f",
        _ => return None,
    };
    Some(format!("[{negated}{set}]"))
}

/// The crate's name for a category or script that Go knows too.
fn property(name: &str) -> Option<String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_- ".contains(&byte)) {
        return None;
    }
    let canonical: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect();
    if ["any", "ascii", "assigned"].contains(&canonical.as_str()) {
        return Some(canonical);
    }
    let known = |property: &String| regex::Regex::new(&format!(r"\p{{{property}}}")).is_ok();
    let category = format!("gc={canonical}");
    if known(&category) {
        return Some(category);
    }
    // The crate knows scripts by four-letter codes too; these are the ones whose full name is as short.
    let is_code =
        canonical.len() == 4 && !["ahom", "cham", "kawi", "lisu", "thai", "toto"].contains(&canonical.as_str());
    Some(format!("sc={canonical}")).filter(|property| !is_code && known(property))
}
