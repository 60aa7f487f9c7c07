//! Finds every key that is written twice, where reading stops at the first.

use std::collections::BTreeSet;

use super::Position;
use super::build::plain_key;
use super::parse::{Event, Parser};
use super::read::{position, readable};

/// A mapping or list that is open.
enum Open {
    List,
    Mapping { keys: BTreeSet<String>, expects_key: bool },
}

/// The keys of the first document that their mapping already has, with where they are written again.
///
/// ```
/// use bowline::yaml;
/// let again = yaml::repeated_keys(b"a: 1\nb: {c: 1, c: 2}\na: 3\n");
/// let again: Vec<_> = again.iter().map(|(at, key)| (at.line, key.as_str())).collect();
/// assert_eq!(again, [(2, "c"), (3, "a")]);
/// ```
pub fn repeated_keys(text: &[u8]) -> Vec<(Position, String)> {
    let mut repeated = Vec::new();
    let Some(text) = readable(text) else { return repeated };
    let mut parser = Parser::new(text, 1);
    let mut open: Vec<Open> = Vec::new();
    while let Ok((event, mark)) = parser.next() {
        let is_key = match open.last_mut() {
            Some(Open::Mapping { expects_key, .. }) if !matches!(event, Event::MappingEnd) => {
                *expects_key = !*expects_key;
                !*expects_key
            }
            _ => false,
        };
        match event {
            Event::Scalar { text: word, plain, .. } if is_key => {
                let key = plain.then(|| plain_key(&word)).flatten().unwrap_or_else(|| word.clone().into_owned());
                let is_merge = plain && word == "<<";
                if let Some(Open::Mapping { keys, .. }) = open.last_mut()
                    && !is_merge
                    && !keys.insert(key.clone())
                {
                    repeated.push((position(text, mark), key));
                }
            }
            Event::MappingStart(..) => open.push(Open::Mapping { keys: BTreeSet::new(), expects_key: true }),
            Event::ListStart(..) => open.push(Open::List),
            Event::MappingEnd | Event::ListEnd => {
                open.pop();
            }
            Event::DocumentEnd | Event::StreamEnd => break,
            _ => {}
        }
    }
    repeated
}
