//! Builds the value of one document from its events.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::parse::Event;
use super::resolve::{Scalar, go_float, json_number, resolve};
use super::scan::{Broken, Mark};
use super::{Duplicates, Options};

/// How much a part of a document weighs against the limits.
#[derive(Clone, Copy)]
struct Weight {
    nodes: usize,
    bytes: usize,
}

/// What an anchor stands for.
enum Anchored {
    /// Still being read: an alias to it would contain itself.
    Open,
    /// Known.
    Known(Value, Weight),
}

/// A key as it was written.
enum Key {
    Text(String),
    Merge,
}

enum Content {
    List(Vec<Value>),
    Map {
        map: Map<String, Value>,
        key: Option<Key>,
        /// Keys that a merge brought: writing them again is no duplicate.
        merged: BTreeSet<String>,
    },
}

/// A mapping or list that is not closed yet.
struct Frame {
    content: Content,
    anchor: usize,
    start: Weight,
}

fn wrong(mark: Mark, message: impl Into<Cow<'static, str>>) -> Broken {
    Broken { mark, message: message.into(), go: None }
}

/// Builds one document.
pub(super) struct Builder<'a> {
    options: &'a Options,
    open: Vec<Frame>,
    anchors: BTreeMap<usize, Anchored>,
    /// Nodes of the whole text so far.
    pub(super) nodes: usize,
    bytes: usize,
    /// Bytes that anchors and aliases copied.
    copied: usize,
    /// Key of the outermost mapping below which entries are given away one by one.
    apart: Option<&'a str>,
    /// The entry that was completed last.
    pub(super) taken: Option<(String, Value)>,
    /// Where a mapping or list stands as a key, and how many are open around it; read to its end to be shown.
    bad_key: Option<(Mark, usize)>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(options: &'a Options, nodes: usize) -> Self {
        let (open, anchors) = (Vec::new(), BTreeMap::new());
        Builder { options, open, anchors, nodes, bytes: 0, copied: 0, bad_key: None, apart: None, taken: None }
    }

    /// Gives the entries below a key of the outermost mapping away, one by one, in [`Builder::taken`].
    pub(super) fn apart(mut self, key: &'a str) -> Self {
        self.apart = Some(key);
        self
    }

    /// Takes one event; the value of the whole document when it was the last.
    pub(super) fn event(&mut self, event: Event<'_>, mark: Mark) -> Result<Option<Value>, Broken> {
        match event {
            Event::Scalar { text, plain, anchor, tag } => {
                self.scalar(text.into_owned(), plain, anchor, tag.as_deref(), mark)
            }
            Event::MappingStart(anchor) => {
                let content = Content::Map { map: Map::new(), key: None, merged: BTreeSet::new() };
                self.start(content, anchor, mark)
            }
            Event::ListStart(anchor) => self.start(Content::List(Vec::new()), anchor, mark),
            Event::MappingEnd | Event::ListEnd => self.end(mark),
            Event::Alias(anchor) => self.alias(anchor, mark),
            _ => Ok(None),
        }
    }

    fn weight(&self) -> Weight {
        Weight { nodes: self.nodes, bytes: self.bytes }
    }

    fn count(&mut self, weight: Weight, mark: Mark) -> Result<(), Broken> {
        self.nodes += weight.nodes;
        self.bytes += weight.bytes;
        if self.nodes > self.options.max_nodes {
            let message = format!("more than {} nodes, aliases filled in", self.options.max_nodes);
            return Err(wrong(mark, message));
        }
        Ok(())
    }

    /// Copies of anchored values are bounded, or a few lines could fill the memory.
    fn count_copy(&mut self, weight: Weight, mark: Mark) -> Result<(), Broken> {
        self.copied += weight.bytes + weight.nodes * size_of::<Value>();
        if self.copied > self.options.max_bytes {
            let message = format!("aliases add more than {} bytes", self.options.max_bytes);
            return Err(wrong(mark, message));
        }
        Ok(())
    }

    fn start(&mut self, content: Content, anchor: usize, mark: Mark) -> Result<Option<Value>, Broken> {
        if self.open.len() >= self.options.max_depth {
            let message = format!("nested deeper than {} levels", self.options.max_depth);
            return Err(wrong(mark, message));
        }
        if self.expects_key() {
            self.bad_key = Some((mark, self.open.len()));
        }
        let start = self.weight();
        self.count(Weight { nodes: 1, bytes: 0 }, mark)?;
        if anchor > 0 {
            self.anchors.insert(anchor, Anchored::Open);
        }
        self.open.push(Frame { content, anchor, start });
        Ok(None)
    }

    fn end(&mut self, mark: Mark) -> Result<Option<Value>, Broken> {
        let Some(Frame { content, anchor, start }) = self.open.pop() else { return Ok(None) };
        let value = match content {
            Content::List(items) => Value::Array(items),
            Content::Map { map, .. } => Value::Object(map),
        };
        if let Some((mark, _)) = self.bad_key.filter(|(_, depth)| *depth == self.open.len()) {
            let what = if value.is_array() { "list" } else { "mapping" };
            let message = format!("a {what} cannot be a key in JSON; if this is template text, quote it");
            let go = format!("invalid map key: {}", go_syntax(&value));
            return Err(Broken { go: Some(go.into()), ..wrong(mark, message) });
        }
        if anchor > 0 {
            let weight = Weight { nodes: self.nodes - start.nodes, bytes: self.bytes - start.bytes };
            self.count_copy(weight, mark)?;
            self.anchors.insert(anchor, Anchored::Known(value.clone(), weight));
        }
        self.place(value, mark)
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<Option<Value>, Broken> {
        let (value, weight) = match self.anchors.get(&anchor) {
            Some(Anchored::Known(value, weight)) => (value, *weight),
            Some(Anchored::Open) => {
                return Err(wrong(mark, "an anchor contains itself".to_owned()));
            }
            None => return Err(wrong(mark, "an alias without its anchor".to_owned())),
        };
        let bytes = weight.bytes + weight.nodes * size_of::<Value>();
        if self.copied + bytes > self.options.max_bytes || self.nodes + weight.nodes > self.options.max_nodes {
            return Err(wrong(mark, "aliases blow the document up beyond the limit".to_owned()));
        }
        let value = value.clone();
        if value.is_array() && self.expects_merge() {
            return Err(wrong(mark, "`<<` takes a mapping or a list of mappings".to_owned()));
        }
        self.copied += bytes;
        self.count(weight, mark)?;
        if self.expects_key() {
            let key = key_of_value(&value).map_err(|message| wrong(mark, message))?;
            return self.take_key(Key::Text(key), mark);
        }
        self.place(value, mark)
    }

    fn scalar(
        &mut self,
        text: String,
        plain: bool,
        anchor: usize,
        tag: Option<&str>,
        mark: Mark,
    ) -> Result<Option<Value>, Broken> {
        let weight = Weight { nodes: 1, bytes: text.len() };
        self.count(weight, mark)?;
        let is_key = self.expects_key();
        if is_key && text == "<<" && merges(plain, tag) {
            return self.take_key(Key::Merge, mark);
        }
        let (scalar, text) = typed(text, plain, tag).map_err(|message| wrong(mark, message))?;
        if is_key {
            let key = key_of_scalar(scalar, text).map_err(|message| wrong(mark, message))?;
            if anchor > 0 {
                self.anchors.insert(anchor, Anchored::Known(Value::String(key.clone()), weight));
            }
            return self.take_key(Key::Text(key), mark);
        }
        let value = value_of(scalar, text).map_err(|message| wrong(mark, message))?;
        if anchor > 0 {
            self.count_copy(weight, mark)?;
            self.anchors.insert(anchor, Anchored::Known(value.clone(), weight));
        }
        self.place(value, mark)
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Frame { content: Content::Map { key: None, .. }, .. }))
    }

    fn expects_merge(&self) -> bool {
        matches!(self.open.last(), Some(Frame { content: Content::Map { key: Some(Key::Merge), .. }, .. }))
    }

    fn take_key(&mut self, taken: Key, mark: Mark) -> Result<Option<Value>, Broken> {
        if let Some(Frame { content: Content::Map { key, map, merged }, .. }) = self.open.last_mut() {
            if let Key::Text(text) = &taken
                && self.options.duplicates == Duplicates::Refuse
                && map.contains_key(text)
                && !merged.remove(text)
            {
                return Err(wrong(mark, format!("key {text:?} is already in this mapping")));
            }
            *key = Some(taken);
        }
        Ok(None)
    }

    /// Puts a complete value where it belongs; gives it back when it is the whole document.
    fn place(&mut self, value: Value, mark: Mark) -> Result<Option<Value>, Broken> {
        let is_apart = self.is_apart();
        match self.open.last_mut().map(|frame| &mut frame.content) {
            None => return Ok(Some(value)),
            Some(Content::List(items)) => items.push(value),
            Some(Content::Map { map, key, merged }) => match key.take() {
                Some(Key::Text(text)) if is_apart => self.taken = Some((text, value)),
                Some(Key::Text(text)) => {
                    map.insert(text, value);
                }
                Some(Key::Merge) => merge(map, merged, value).map_err(|message| wrong(mark, message))?,
                None => return Err(wrong(mark, "a value without a key".to_owned())),
            },
        }
        Ok(None)
    }

    /// Whether the value that is to be placed is an entry of the mapping whose entries are given away.
    fn is_apart(&self) -> bool {
        let [Frame { content: Content::Map { key: Some(Key::Text(key)), .. }, .. }, _] = self.open.as_slice() else {
            return false;
        };
        self.apart == Some(key)
    }
}

/// Puts the keys of other mappings into this one. As in Go what is merged later wins, also over keys written before.
fn merge(map: &mut Map<String, Value>, merged: &mut BTreeSet<String>, value: Value) -> Result<(), String> {
    let sources = match value {
        Value::Object(source) => vec![Value::Object(source)],
        Value::Array(sources) if sources.iter().all(Value::is_object) => sources,
        _ => return Err("`<<` takes a mapping or a list of mappings".to_owned()),
    };
    for source in sources.into_iter().rev() {
        let Value::Object(source) = source else { continue };
        for (key, value) in source {
            merged.insert(key.clone());
            map.insert(key, value);
        }
    }
    Ok(())
}

fn merges(plain: bool, tag: Option<&str>) -> bool {
    match tag {
        None => plain,
        Some(tag) => core_tag(tag) == Some("merge"),
    }
}

/// The name of a tag of YAML's own, `!!str` or `!<tag:yaml.org,2002:str>`.
fn core_tag(tag: &str) -> Option<&str> {
    tag.strip_prefix("tag:yaml.org,2002:")
}

/// The scalar with the type its spelling and its tag give it.
fn typed(text: String, plain: bool, tag: Option<&str>) -> Result<(Scalar, String), String> {
    let Some(tag) = tag else {
        return Ok((if plain { resolve(&text) } else { Scalar::Text }, text));
    };
    let Some(name) = core_tag(tag) else { return Ok((Scalar::Text, text)) };
    let scalar = resolve(&text);
    let fits = match (name, scalar) {
        ("binary", _) => return Ok((Scalar::Text, binary(&text)?)),
        ("float", Scalar::Int(value)) => return Ok((Scalar::Float(value as f64), text)),
        ("int", Scalar::Int(_) | Scalar::Unsigned(_)) => true,
        ("float", Scalar::Float(_)) | ("bool", Scalar::Bool(_)) | ("null", Scalar::Null) => true,
        ("timestamp", Scalar::Timestamp) => true,
        ("int" | "float" | "bool" | "null" | "timestamp", _) => false,
        _ => return Ok((Scalar::Text, text)),
    };
    if fits { Ok((scalar, text)) } else { Err(format!("{text:?} is not what the tag !!{name} says")) }
}

fn binary(text: &str) -> Result<String, String> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    let compact: String = text.chars().filter(|character| !matches!(character, '\n' | '\r')).collect();
    let bytes = engine.decode(compact).map_err(|_| "!!binary is not base64".to_owned())?;
    // JSON holds text only: as in Go each byte that is not UTF-8 becomes U+FFFD.
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(std::iter::repeat_n('\u{FFFD}', chunk.invalid().len()));
    }
    Ok(out)
}

fn value_of(scalar: Scalar, text: String) -> Result<Value, String> {
    Ok(match scalar {
        Scalar::Null => Value::Null,
        Scalar::Bool(value) => Value::Bool(value),
        Scalar::Int(value) => Value::from(value),
        Scalar::Unsigned(value) => Value::from(value),
        Scalar::Float(value) => json_number(value).ok_or_else(|| format!("JSON has no number {text}"))?,
        Scalar::Timestamp | Scalar::Text => Value::String(text),
    })
}

fn key_of_scalar(scalar: Scalar, text: String) -> Result<String, String> {
    Ok(match scalar {
        Scalar::Null => return Err("a key is null; quote it".to_owned()),
        Scalar::Unsigned(_) => return Err(format!("a key is the number {text}; quote it")),
        Scalar::Bool(value) => value.to_string(),
        Scalar::Int(value) => value.to_string(),
        Scalar::Float(value) => go_float(value, 32),
        Scalar::Timestamp | Scalar::Text => text,
    })
}

fn key_of_value(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(whole.to_string()),
            (None, Some(float)) if !number.is_u64() => Ok(go_float(float, 32)),
            _ => Err(format!("a key is the number {number}; quote it")),
        },
        Value::Null => Err("a key is null; quote it".to_owned()),
        Value::Array(_) | Value::Object(_) => Err("a key is an alias to a mapping or list".to_owned()),
    }
}

/// A value as Go's `%#v` prints it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let entries: BTreeMap<&String, &Value> = map.iter().collect();
            let entries: Vec<String> =
                entries.into_iter().map(|(key, value)| format!("{key:?}:{}", go_syntax(value))).collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}

/// The key that a plain scalar is read as.
pub(super) fn plain_key(text: &str) -> Option<String> {
    key_of_scalar(resolve(text), text.to_owned()).ok()
}
