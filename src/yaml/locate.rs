//! Finds where a field is written, for messages about values that were read long before.

use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::{Marker, TScalarStyle};

use super::Position;
use super::read::{Characters, readable};

/// One step of a path into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The value of a key.
    Key(String),
    /// An item of a list, from 0.
    Index(usize),
}

/// Finds where a field is written: at its key, or at the item of a list. Reads the text again.
///
/// The path is followed as far as it is written in this place: what is below an alias is found at the alias, and what
/// is missing is found at the mapping it is missing from. `None` when there is no such document.
///
/// ```
/// use bowline::yaml::{self, Step};
/// let path = [Step::Key("a".to_owned()), Step::Index(1)];
/// let position = yaml::locate(b"x: 1\na:\n- b\n- c\n", 0, &path).unwrap();
/// assert_eq!((position.line, position.column), (4, 3));
/// ```
pub fn locate(text: &[u8], document: usize, path: &[Step]) -> Option<Position> {
    let mut parser = Parser::new(Characters::new(readable(text)?, Vec::new()));
    let mut seen = 0;
    loop {
        match parser.next_token().ok()? {
            (Event::DocumentStart, _) if seen == document => break,
            (Event::DocumentStart, _) => seen += 1,
            (Event::StreamEnd, _) => return None,
            _ => {}
        }
    }
    let mut walk = Walk { parser };
    let (event, mark) = walk.next()?;
    let mark = walk.follow(event, mark, path);
    Some(Position { line: mark.line(), column: mark.col() + 1 })
}

struct Walk<'a> {
    parser: Parser<Characters<'a>>,
}

impl Walk<'_> {
    fn next(&mut self) -> Option<(Event, Marker)> {
        self.parser.next_token().ok()
    }

    /// The mark of what the path leads to; of what was reached when it leads nowhere.
    fn follow(&mut self, event: Event, mark: Marker, path: &[Step]) -> Marker {
        let mut event = event;
        let mut mark = mark;
        if path.is_empty() && matches!(event, Event::MappingStart(..)) {
            // A block mapping is marked at its first colon.
            let key = self.next().map_or(mark, |(_, key)| key);
            return if key.index() < mark.index() { key } else { mark };
        }
        for step in path {
            let found = match (step, &event) {
                (Step::Key(key), Event::MappingStart(..)) => self.key(key),
                (Step::Index(index), Event::SequenceStart(..)) => self.item(*index),
                _ => None,
            };
            let Some((value, at)) = found else { break };
            event = value;
            mark = at;
        }
        mark
    }

    /// The value of a key of the mapping that was just opened, with the mark of the key. The last one written counts.
    fn key(&mut self, wanted: &str) -> Option<(Event, Marker)> {
        loop {
            let (key, at) = self.next()?;
            match key {
                Event::MappingEnd => return None,
                Event::Scalar(text, style, ..) if is_key(&text, style, wanted) => return Some((self.next()?.0, at)),
                other => self.skip(&other)?,
            }
            let (value, _) = self.next()?;
            self.skip(&value)?;
        }
    }

    fn item(&mut self, wanted: usize) -> Option<(Event, Marker)> {
        for _ in 0..wanted {
            let (event, _) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return None;
            }
            self.skip(&event)?;
        }
        self.next().filter(|(event, _)| !matches!(event, Event::SequenceEnd))
    }

    /// Goes past the rest of a node whose first event was taken.
    fn skip(&mut self, event: &Event) -> Option<()> {
        let mut depth = usize::from(matches!(event, Event::MappingStart(..) | Event::SequenceStart(..)));
        while depth > 0 {
            match self.next()?.0 {
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth -= 1,
                _ => {}
            }
        }
        Some(())
    }
}

/// Whether a key as written is the key as read: `on` is read as `true`, `0x10` as `16`.
fn is_key(text: &str, style: TScalarStyle, wanted: &str) -> bool {
    text == wanted || matches!(style, TScalarStyle::Plain) && super::build::plain_key(text) == Some(wanted.to_owned())
}
