//! Finds where a field is written, for messages about values that were read long before.

use super::Position;
use super::parse::{Event, Parser};
use super::read::{position, readable};
use super::scan::Mark;

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
    let text = readable(text)?;
    let mut walk = Walk::to_document(text, document)?;
    let (event, mark) = walk.next()?;
    let (_, mark) = walk.follow(event, mark, path);
    Some(position(text, mark))
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
    let Some(text) = readable(text) else { return items };
    let Some(mut walk) = Walk::to_document(text, document) else { return items };
    let Some((event, mark)) = walk.next() else { return items };
    if !matches!(walk.follow(event, mark, path).0, Event::ListStart(..)) {
        return items;
    }
    while let Some((event, mark)) = walk.next().filter(|(event, _)| !matches!(event, Event::ListEnd)) {
        items.push(position(text, mark));
        if walk.skip(&event).is_none() {
            break;
        }
    }
    items
}

struct Walk<'a> {
    parser: Parser<'a>,
}

impl<'a> Walk<'a> {
    /// Goes to the start of a document.
    fn to_document(text: &'a str, document: usize) -> Option<Self> {
        let mut parser = Parser::new(text, 1);
        let mut seen = 0;
        loop {
            match parser.next().ok()? {
                (Event::DocumentStart, _) if seen == document => return Some(Walk { parser }),
                (Event::DocumentStart, _) => seen += 1,
                (Event::StreamEnd, _) => return None,
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Option<(Event<'a>, Mark)> {
        self.parser.next().ok()
    }

    /// What the path leads to, with its mark; what was reached when it leads nowhere.
    fn follow(&mut self, event: Event<'a>, mark: Mark, path: &[Step]) -> (Event<'a>, Mark) {
        let mut event = event;
        let mut mark = mark;
        for step in path {
            let found = match (step, &event) {
                (Step::Key(key), Event::MappingStart(..)) => self.key(key),
                (Step::Index(index), Event::ListStart(..)) => self.item(*index),
                _ => None,
            };
            let Some((value, at)) = found else { break };
            event = value;
            mark = at;
        }
        (event, mark)
    }

    /// The value of a key of the mapping that was just opened, with the mark of the key. The last one written counts.
    fn key(&mut self, wanted: &str) -> Option<(Event<'a>, Mark)> {
        loop {
            let (key, at) = self.next()?;
            match key {
                Event::MappingEnd => return None,
                Event::Scalar { text, plain, .. } if is_key(&text, plain, wanted) => return Some((self.next()?.0, at)),
                other => self.skip(&other)?,
            }
            let (value, _) = self.next()?;
            self.skip(&value)?;
        }
    }

    fn item(&mut self, wanted: usize) -> Option<(Event<'a>, Mark)> {
        for _ in 0..wanted {
            let (event, _) = self.next()?;
            if matches!(event, Event::ListEnd) {
                return None;
            }
            self.skip(&event)?;
        }
        self.next().filter(|(event, _)| !matches!(event, Event::ListEnd))
    }

    /// Goes past the rest of a node whose first event was taken.
    fn skip(&mut self, event: &Event<'_>) -> Option<()> {
        let mut depth = usize::from(matches!(event, Event::MappingStart(..) | Event::ListStart(..)));
        while depth > 0 {
            match self.next()?.0 {
                Event::MappingStart(..) | Event::ListStart(..) => depth += 1,
                Event::MappingEnd | Event::ListEnd => depth -= 1,
                _ => {}
            }
        }
        Some(())
    }
}

/// Whether a key as written is the key as read: `on` is read as `true`, `0x10` as `16`.
fn is_key(text: &str, plain: bool, wanted: &str) -> bool {
    text == wanted || plain && super::build::plain_key(text) == Some(wanted.to_owned())
}
