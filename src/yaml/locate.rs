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
    let mut walk = Walk::to_document(text, document)?;
    let (event, mark) = walk.node()?;
    let (_, mark) = walk.follow(event, mark, path);
    Some(position(mark))
}

/// Finds where each item of a list is written. Reads the text again, once for all items.
///
/// ```
/// use bowline::yaml::{self, Step};
/// let places = yaml::locate_items(b"a:\n- b: 1\n- c\n", 0, &[Step::Key("a".to_owned())]);
/// let places: Vec<_> = places.iter().map(|at| (at.line, at.column)).collect();
/// assert_eq!(places, [(2, 3), (3, 3)]);
/// ```
pub fn locate_items(text: &[u8], document: usize, path: &[Step]) -> Vec<Position> {
    let mut items = Vec::new();
    let Some(mut walk) = Walk::to_document(text, document) else { return items };
    let Some((event, mark)) = walk.node() else { return items };
    if !matches!(walk.follow(event, mark, path).0, Event::SequenceStart(..)) {
        return items;
    }
    while let Some((event, mark)) = walk.node().filter(|(event, _)| !matches!(event, Event::SequenceEnd)) {
        items.push(position(mark));
        if walk.skip(&event).is_none() {
            break;
        }
    }
    items
}

fn position(mark: Marker) -> Position {
    Position { line: mark.line(), column: mark.col() + 1 }
}

struct Walk<'a> {
    parser: Parser<Characters<'a>>,
}

impl<'a> Walk<'a> {
    /// Goes to the start of a document.
    fn to_document(text: &'a [u8], document: usize) -> Option<Self> {
        let mut parser = Parser::new(Characters::new(readable(text)?, Vec::new()));
        let mut seen = 0;
        loop {
            match parser.next_token().ok()? {
                (Event::DocumentStart, _) if seen == document => return Some(Walk { parser }),
                (Event::DocumentStart, _) => seen += 1,
                (Event::StreamEnd, _) => return None,
                _ => {}
            }
        }
    }

    /// The next event with the place where its node begins: the parser marks a block mapping at its first colon.
    fn node(&mut self) -> Option<(Event, Marker)> {
        let (event, mark) = self.next()?;
        if !matches!(event, Event::MappingStart(..)) {
            return Some((event, mark));
        }
        let first = self.parser.peek().ok().map_or(mark, |(_, first)| *first);
        Some((event, if first.index() < mark.index() { first } else { mark }))
    }

    fn next(&mut self) -> Option<(Event, Marker)> {
        self.parser.next_token().ok()
    }

    /// What the path leads to, with its mark; what was reached when it leads nowhere.
    fn follow(&mut self, event: Event, mark: Marker, path: &[Step]) -> (Event, Marker) {
        let mut event = event;
        let mut mark = mark;
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
        (event, mark)
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
        self.node().filter(|(event, _)| !matches!(event, Event::SequenceEnd))
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
