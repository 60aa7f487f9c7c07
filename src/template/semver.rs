//! Versions and version constraints with the meaning they have in charts (Masterminds semver 3, which Helm uses).
//!
//! Versions are read loosely (`v1.2` is 1.2.0). A constraint is a list of comparisons that must all hold, separated by
//! commas or blanks; lists are alternatives when `||` stands between them. A pre-release satisfies only a list that names
//! one itself.
//!
//! ```
//! use bowline::template::semver::{Constraint, Version};
//! let constraint = Constraint::parse("^1.2 || 2.0 - 2.4").unwrap();
//! assert!(constraint.check(&Version::parse("v1.9").unwrap()));
//! assert!(!constraint.check(&Version::parse("1.9.0-rc.1").unwrap()));
//! assert!(constraint.check(&Version::parse("2.4.7").unwrap()));
//! ```

use std::cmp::Ordering;
use std::fmt;

const MAX_VERSION: usize = 256;
const MAX_CONSTRAINT: usize = 512;
const MAX_ALTERNATIVES: usize = 32;

const INVALID: &str = "invalid semantic version";
const STARTS_WITH_ZERO: &str = "version segment starts with 0";

/// A semantic version. Build metadata takes no part in comparisons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// First number.
    pub major: u64,
    /// Second number; 0 when it was not written.
    pub minor: u64,
    /// Third number; 0 when it was not written.
    pub patch: u64,
    /// What followed the dash, or nothing.
    pub prerelease: String,
    /// What followed the plus sign, or nothing.
    pub metadata: String,
    /// The text it was read from.
    pub original: String,
}

/// Prints the complete form: all three numbers, no leading `v`.
impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(out, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(out, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

impl Version {
    /// Reads a version loosely: a leading `v`, fewer than three numbers and leading zeros are taken.
    ///
    /// # Errors
    /// The text of the Go library.
    pub fn parse(text: &str) -> Result<Self, String> {
        check_length(text)?;
        let parts = Parts::scan(text, |byte| byte.is_ascii_digit()).filter(|parts| parts.rest.is_empty());
        let parts = parts.ok_or(INVALID)?;
        let number = |digits: &str| {
            if digits.is_empty() {
                return Ok(0);
            }
            parse_number(digits).map_err(|error| format!("error parsing version segment: {error}"))
        };
        let version = Version {
            major: number(parts.major)?,
            minor: number(parts.minor)?,
            patch: number(parts.patch)?,
            prerelease: parts.prerelease.to_owned(),
            metadata: parts.metadata.to_owned(),
            original: text.to_owned(),
        };
        if !version.prerelease.is_empty() {
            check_prerelease(&version.prerelease)?;
        }
        Ok(version)
    }

    /// Reads a version as the specification has it: three numbers and nothing in front.
    ///
    /// # Errors
    /// The text of the Go library.
    pub fn parse_strict(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("version string empty".to_owned());
        }
        check_length(text)?;
        let mut numbers = text.splitn(3, '.');
        let (Some(major), Some(minor), Some(rest)) = (numbers.next(), numbers.next(), numbers.next()) else {
            return Err(INVALID.to_owned());
        };
        let (rest, metadata) = rest.split_once('+').map_or((rest, None), |(rest, metadata)| (rest, Some(metadata)));
        if let Some(metadata) = metadata {
            check_metadata(metadata)?;
        }
        let (patch, prerelease) = rest.split_once('-').map_or((rest, None), |(patch, pre)| (patch, Some(pre)));
        if let Some(prerelease) = prerelease {
            check_prerelease(prerelease)?;
        }
        for digits in [major, minor, patch] {
            if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err("invalid characters in version".to_owned());
            }
            if digits.len() > 1 && digits.starts_with('0') {
                return Err(STARTS_WITH_ZERO.to_owned());
            }
        }
        Ok(Version {
            major: parse_number(major)?,
            minor: parse_number(minor)?,
            patch: parse_number(patch)?,
            prerelease: prerelease.unwrap_or_default().to_owned(),
            metadata: metadata.unwrap_or_default().to_owned(),
            original: text.to_owned(),
        })
    }

    /// Orders two versions; a pre-release comes before its release.
    pub fn compare(&self, other: &Version) -> Ordering {
        let numbers = |version: &Version| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| {
            match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => compare_prerelease(&self.prerelease, &other.prerelease),
            }
        })
    }
}

fn check_length(text: &str) -> Result<(), String> {
    if text.len() > MAX_VERSION {
        return Err(format!("version string is too long (max {MAX_VERSION} bytes)"));
    }
    Ok(())
}

/// A number with the words of Go's `strconv` when it is none.
fn parse_number(digits: &str) -> Result<u64, String> {
    digits.parse().map_err(|_| {
        let why = if digits.is_empty() { "invalid syntax" } else { "value out of range" };
        format!("strconv.ParseUint: parsing {}: {why}", quote(digits))
    })
}

fn check_prerelease(text: &str) -> Result<(), String> {
    for part in text.split('.') {
        if part.is_empty() || !part.bytes().all(is_identifier) {
            return Err("invalid prerelease string".to_owned());
        }
        if part.len() > 1 && part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(STARTS_WITH_ZERO.to_owned());
        }
    }
    Ok(())
}

fn check_metadata(text: &str) -> Result<(), String> {
    if text.split('.').any(|part| part.is_empty() || !part.bytes().all(is_identifier)) {
        return Err("invalid metadata string".to_owned());
    }
    Ok(())
}

fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn compare_prerelease(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(left), Some(right)) => match (left.parse::<u64>(), right.parse::<u64>()) {
                (Ok(left), Ok(right)) => left.cmp(&right),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => left.cmp(right),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// A text as Go's `%q` shows it, for the characters that occur here.
fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            control if control.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// The parts of a version at the start of a text, not yet understood.
struct Parts<'a> {
    major: &'a str,
    minor: &'a str,
    patch: &'a str,
    prerelease: &'a str,
    metadata: &'a str,
    /// Everything up to `rest`.
    whole: &'a str,
    rest: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes the longest version from the start; `digit` says what a number may consist of.
    fn scan(text: &'a str, digit: impl Fn(u8) -> bool) -> Option<Self> {
        let number = |text: &'a str| -> Option<(&'a str, &'a str)> {
            let end = text.bytes().position(|byte| !digit(byte)).unwrap_or(text.len());
            (end > 0).then(|| text.split_at(end))
        };
        let next_number = |text: &'a str| text.strip_prefix('.').and_then(number).unwrap_or(("", text));
        let (major, rest) = number(text.strip_prefix('v').unwrap_or(text))?;
        let (minor, rest) = next_number(rest);
        let (patch, rest) = if minor.is_empty() { ("", rest) } else { next_number(rest) };
        let (prerelease, rest) = identifiers(rest, '-');
        let (metadata, rest) = identifiers(rest, '+');
        let whole = &text[..text.len() - rest.len()];
        Some(Parts { major, minor, patch, prerelease, metadata, whole, rest })
    }
}

/// Identifiers with dots between them behind a mark.
fn identifiers(text: &str, mark: char) -> (&str, &str) {
    let Some(inner) = text.strip_prefix(mark) else { return ("", text) };
    let mut end = 0;
    loop {
        let start = if end == 0 { 0 } else { end + 1 };
        let length = inner[start..].bytes().take_while(|&byte| is_identifier(byte)).count();
        if length == 0 {
            break;
        }
        end = start + length;
        if !inner[end..].starts_with('.') {
            break;
        }
    }
    if end == 0 { ("", text) } else { inner.split_at(end) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

/// The longer spellings first.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterEqual),
    ("=>", Operator::GreaterEqual),
    ("<=", Operator::LessEqual),
    ("=<", Operator::LessEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

/// Which numbers of a comparison were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// `*`, `x`
    Nothing,
    /// `1`, `1.x`
    Major,
    /// `1.2`, `1.2.*`
    Minor,
    /// `1.2.3`
    All,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparison {
    operator: Operator,
    version: Version,
    written: Written,
    original: String,
}

/// Comparisons that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Alternative {
    comparisons: Vec<Comparison>,
    /// One of them names a pre-release: then pre-releases are looked at.
    prereleases: bool,
}

/// A set of versions, as `dependencies`, `kubeVersion` and `semverCompare` write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    alternatives: Vec<Alternative>,
}

impl Constraint {
    /// Reads a constraint.
    ///
    /// # Errors
    /// The text of the Go library.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_CONSTRAINT {
            return Err(format!("constraint string is too long (max {MAX_CONSTRAINT} bytes)"));
        }
        let text = without_hyphens(text);
        let alternatives: Vec<&str> = text.split("||").collect();
        if alternatives.len() > MAX_ALTERNATIVES {
            return Err(format!("too many constraint groups (max {MAX_ALTERNATIVES})"));
        }
        let alternatives = alternatives.into_iter().map(Alternative::parse).collect::<Result<_, _>>()?;
        Ok(Constraint { alternatives })
    }

    /// Whether a version is in the set.
    pub fn check(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|alternative| {
            alternative.comparisons.iter().all(|one| one.check(version, alternative.prereleases).is_ok())
        })
    }

    /// Tells why a version is not in the set, one reason for each comparison that fails.
    ///
    /// # Errors
    /// The reasons, in the words of the Go library.
    pub fn validate(&self, version: &Version) -> Result<(), Vec<String>> {
        let mut reasons = Vec::new();
        let mut prerelease_told = false;
        for alternative in &self.alternatives {
            let mut holds = true;
            for comparison in &alternative.comparisons {
                if !alternative.prereleases && !version.prerelease.is_empty() {
                    if !prerelease_told {
                        reasons.push(only_releases(version));
                        prerelease_told = true;
                    }
                    holds = false;
                } else if let Err(reason) = comparison.check(version, alternative.prereleases) {
                    reasons.push(reason);
                    holds = false;
                }
            }
            if holds {
                return Ok(());
            }
        }
        Err(reasons)
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

/// What stands for a number in a constraint; the bar is a slip of the Go library that shows in its errors.
fn is_wild_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'x' | b'X' | b'*' | b'|')
}

/// Writes `1.2 - 1.4` as `>= 1.2, <= 1.4 `.
fn without_hyphens(text: &str) -> String {
    let mut out = text.to_owned();
    let mut at = 0;
    while at < text.len() {
        let Some((from, to, end)) = hyphen_range(&text[at..]) else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
            continue;
        };
        out = out.replacen(&text[at..at + end], &format!(">= {from}, <= {to} "), 1);
        at += end;
    }
    out
}

/// A range at the start of a text: its two ends and its length with the blanks around it.
fn hyphen_range(text: &str) -> Option<(&str, &str, usize)> {
    let from = Parts::scan(text.trim_start_matches(is_blank), is_wild_digit)?;
    let hyphen = from.rest.trim_start_matches(is_blank);
    let second = hyphen.strip_prefix('-')?;
    let to = Parts::scan(second.trim_start_matches(is_blank), is_wild_digit)?;
    let apart = hyphen.len() < from.rest.len() && second.starts_with(is_blank);
    let rest = to.rest.trim_start_matches(is_blank);
    apart.then_some((from.whole, to.whole, text.len() - rest.len()))
}

impl Alternative {
    fn parse(text: &str) -> Result<Self, String> {
        let improper = || format!("improper constraint: {}", quote(text));
        let mut found = Vec::new();
        let mut rest = text;
        loop {
            rest = rest.trim_start_matches(is_blank);
            let named = OPERATORS.iter().find_map(|&(name, operator)| Some((rest.strip_prefix(name)?, operator)));
            let (after, operator) = named.unwrap_or((rest, Operator::Equal));
            let parts = Parts::scan(after.trim_start_matches(is_blank), is_wild_digit).ok_or_else(improper)?;
            rest = parts.rest.trim_start_matches(is_blank);
            let apart = rest.len() < parts.rest.len();
            found.push((operator, parts));
            if rest.is_empty() {
                break;
            }
            match rest.strip_prefix(',') {
                Some(after_comma) => rest = after_comma,
                None if apart => {}
                None => return Err(improper()),
            }
        }
        let comparisons: Vec<Comparison> =
            found.into_iter().map(|(operator, parts)| Comparison::new(operator, &parts)).collect::<Result<_, _>>()?;
        let prereleases = comparisons.iter().any(|comparison| !comparison.version.prerelease.is_empty());
        Ok(Alternative { comparisons, prereleases })
    }
}

fn only_releases(version: &Version) -> String {
    format!("\"{version}\" is a prerelease version and the constraint is only looking for release versions")
}

impl Comparison {
    fn new(operator: Operator, parts: &Parts<'_>) -> Result<Self, String> {
        let open = |number: &str| matches!(number, "" | "x" | "X" | "*");
        let suffix = if parts.prerelease.is_empty() { String::new() } else { format!("-{}", parts.prerelease) };
        let (written, text) = if open(parts.major) {
            (Written::Nothing, format!("0.0.0{suffix}"))
        } else if open(parts.minor) {
            (Written::Major, format!("{}.0.0{suffix}", parts.major))
        } else if open(parts.patch) {
            (Written::Minor, format!("{}.{}.0{suffix}", parts.major, parts.minor))
        } else {
            (Written::All, parts.whole.to_owned())
        };
        let version = Version::parse(&text).map_err(|_| "constraint parser error".to_owned())?;
        Ok(Comparison { operator, version, written, original: parts.whole.to_owned() })
    }

    fn check(&self, version: &Version, prereleases: bool) -> Result<(), String> {
        if !version.prerelease.is_empty() && !prereleases {
            return Err(only_releases(version));
        }
        let (holds, what) = match self.operator {
            Operator::Equal if self.written == Written::All => {
                (version.compare(&self.version).is_eq(), "is not equal to")
            }
            Operator::Equal | Operator::Tilde => return self.check_tilde(version),
            Operator::Caret => return self.check_caret(version),
            Operator::NotEqual => (!self.covers(version), "is equal to"),
            Operator::Greater => (self.is_below(version), "is less than or equal to"),
            Operator::Less => (version.compare(&self.version).is_lt(), "is greater than or equal to"),
            Operator::GreaterEqual => (version.compare(&self.version).is_ge(), "is less than"),
            Operator::LessEqual => (!self.is_above(version), "is greater than"),
        };
        if holds { Ok(()) } else { Err(self.reason(version, what)) }
    }

    fn reason(&self, version: &Version, what: &str) -> String {
        format!("\"{version}\" {what} {}", quote(&self.original))
    }

    /// Equal as far as it is written. A pre-release of the last release in a range is not covered.
    fn covers(&self, version: &Version) -> bool {
        let ours = &self.version;
        match self.written {
            Written::All => version.compare(ours).is_eq(),
            Written::Nothing if version.major != 0 || version.minor != 0 => false,
            Written::Nothing => version.compare(ours).is_eq(),
            Written::Major => version.major == ours.major,
            Written::Minor => {
                (version.major, version.minor) == (ours.major, ours.minor)
                    && (version.prerelease == ours.prerelease
                        || compare_prerelease(&version.prerelease, &ours.prerelease).is_eq())
            }
        }
    }

    /// The version lies above all that is written: `>1.2` begins with 1.3.
    fn is_below(&self, version: &Version) -> bool {
        match self.written {
            Written::All => version.compare(&self.version).is_gt(),
            _ if version.major != self.version.major => version.major > self.version.major,
            Written::Major => false,
            Written::Minor => version.minor > self.version.minor,
            Written::Nothing => version.compare(&self.version).is_gt(),
        }
    }

    /// The opposite of `<=`: `<=1.2` goes up to 1.3.
    fn is_above(&self, version: &Version) -> bool {
        match self.written {
            Written::All => version.compare(&self.version).is_gt(),
            _ if version.major != self.version.major => version.major > self.version.major,
            Written::Major => false,
            Written::Minor | Written::Nothing => version.minor > self.version.minor,
        }
    }

    fn check_tilde(&self, version: &Version) -> Result<(), String> {
        let ours = &self.version;
        if version.compare(ours).is_lt() {
            return Err(self.reason(version, "is less than"));
        }
        let zero = (ours.major, ours.minor, ours.patch) == (0, 0, 0);
        if zero && matches!(self.written, Written::Nothing | Written::All) {
            return Ok(()); // `*`, and also `~0.0.0`
        }
        if version.major != ours.major {
            return Err(self.reason(version, "does not have same major version as"));
        }
        if version.minor != ours.minor && self.written != Written::Major {
            return Err(self.reason(version, "does not have same major and minor version as"));
        }
        Ok(())
    }

    fn check_caret(&self, version: &Version) -> Result<(), String> {
        let ours = &self.version;
        if version.compare(ours).is_lt() {
            return Err(self.reason(version, "is less than"));
        }
        if ours.major > 0 || self.written == Written::Major {
            if version.major == ours.major {
                return Ok(());
            }
            return Err(self.reason(version, "does not have same major version as"));
        }
        if version.major > 0 {
            return Err(self.reason(version, "does not have same major version as"));
        }
        if ours.minor > 0 || self.written == Written::Minor {
            if version.minor == ours.minor {
                return Ok(());
            }
            let reason = self.reason(version, "does not have same minor version as");
            return Err(reason + ". Expected minor versions to match when constraint major version is 0");
        }
        if version.minor > 0 {
            return Err(self.reason(version, "does not have same minor version as"));
        }
        if version.patch == ours.patch {
            return Ok(());
        }
        let reason = self.reason(version, "does not equal");
        Err(reason + ". Expect version and constraint to equal when major and minor versions are 0")
    }
}
