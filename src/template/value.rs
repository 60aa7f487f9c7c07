//! The values templates work on: what Go's `interface {}` may hold there, with Go's dynamic types.
//!
//! A [`Value`] is cheap to clone. Maps are shared: a clone is the same map, so what `set` writes is seen by all who hold
//! it. Lists never change once made, as no template function writes into a list.
//!
//! Start at [`Value`]; [`Object`] is how structs with fields and methods come in.

use std::any::Any;
use std::borrow::{Borrow, Cow};
use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use super::error::Failure;
use super::funcs::Function;

pub use super::types::{Kind, Named, Type, Under};

/// Deepest nesting that is converted or printed; a map that holds itself has no end.
pub const MAX_NESTING: usize = 500;

/// A value with its Go type.
#[derive(Clone, Default)]
pub enum Value {
    /// Go's untyped `nil`, and what a missing map key gives.
    #[default]
    Nil,
    /// `bool`.
    Bool(bool),
    /// `int`: constants in templates, `len`, `until`.
    Int(i64),
    /// `int64`: the results of sprig's arithmetic.
    Int64(i64),
    /// The unsigned kinds and the small signed ones, with their exact type.
    Integer(Integer),
    /// `float64`: every number of a values file.
    Float(f64),
    /// `string`: bytes, mostly UTF-8.
    String(Text),
    /// `[]uint8`.
    Bytes(Text),
    /// A slice of any element type but `uint8`.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// Anything with fields or methods: structs, pointers to them, named scalars.
    Object(Rc<dyn Object>),
}

/// Integers of the less common kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integer {
    /// `int32` (runes).
    Int32(i32),
    /// `uint`.
    Uint(u64),
    /// `uint8`: an indexed byte of a string.
    Uint8(u8),
    /// `uint32`.
    Uint32(u32),
    /// `uint64`.
    Uint64(u64),
}

impl Value {
    /// A string.
    pub fn string(text: impl Into<Text>) -> Self {
        Value::String(text.into())
    }

    /// A `[]interface {}`.
    pub fn list(items: Vec<Value>) -> Self {
        Value::List(List::new(items))
    }

    /// A `[]string`.
    pub fn strings<T: Into<Text>>(items: impl IntoIterator<Item = T>) -> Self {
        let items = items.into_iter().map(Value::string).collect();
        Value::List(List::typed(Type::STRINGS, items))
    }

    /// A `map[string]interface {}`.
    pub fn map<K: Into<Text>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Value::Map(entries.into_iter().collect())
    }

    /// A struct, or anything else with methods.
    pub fn object(object: impl Object) -> Self {
        Value::Object(Rc::new(object))
    }

    /// The Go type; `None` for nil, which has none.
    pub fn type_of(&self) -> Option<Type> {
        Some(match self {
            Value::Nil => return None,
            Value::Bool(_) => Type::Bool,
            Value::Int(_) => Type::Int,
            Value::Int64(_) => Type::Int64,
            Value::Integer(number) => number.type_of(),
            Value::Float(_) => Type::Float64,
            Value::String(_) => Type::String,
            Value::Bytes(_) => Type::BYTES,
            Value::List(list) => list.type_of(),
            Value::Map(map) => map.type_of(),
            Value::Object(object) => object.type_of(),
        })
    }

    /// Go's name of the type as `%T` prints it: `<nil>`, `[]interface {}`, `map[string]interface {}`.
    pub fn type_name(&self) -> String {
        self.type_of().map_or_else(|| "<nil>".to_owned(), |kind| kind.to_string())
    }

    /// Go's `reflect.Kind`.
    pub fn kind(&self) -> Kind {
        self.type_of().map_or(Kind::Invalid, Type::kind)
    }

    /// The value below a named scalar, list or map type; the value itself otherwise.
    pub fn underlying(&self) -> Cow<'_, Value> {
        match self {
            Value::Object(object) => object.underlying().map_or(Cow::Borrowed(self), Cow::Owned),
            _ => Cow::Borrowed(self),
        }
    }

    /// Whether `if` takes it for true: not nil, false, 0 or empty.
    pub fn truth(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(truth) => *truth,
            Value::Int(number) | Value::Int64(number) => *number != 0,
            Value::Integer(number) => number.as_i128() != 0,
            Value::Float(number) => *number != 0.0,
            Value::String(text) | Value::Bytes(text) => !text.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::Object(object) => object.underlying().is_none_or(|value| value.truth()),
        }
    }

    /// Nil, or a nil map or nil list.
    pub fn is_nil(&self) -> bool {
        match self {
            Value::Nil => true,
            Value::List(list) => list.is_nil(),
            Value::Map(map) => map.is_nil(),
            _ => false,
        }
    }

    /// The bytes of a string.
    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number of any integer kind.
    pub fn as_integer(&self) -> Option<i128> {
        match self {
            Value::Int(number) | Value::Int64(number) => Some(i128::from(*number)),
            Value::Integer(number) => Some(number.as_i128()),
            Value::Object(object) => object.underlying().and_then(|value| value.as_integer()),
            _ => None,
        }
    }

    /// The list.
    pub fn as_list(&self) -> Option<&List> {
        match self {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// The map.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The bytes of an argument whose parameter is of type `string`; empty for anything else.
    pub fn text(&self) -> &[u8] {
        match self {
            Value::String(text) | Value::Bytes(text) => text,
            _ => &[],
        }
    }

    /// The number of an argument whose parameter is of an integer type; 0 for anything else.
    pub fn integer(&self) -> i64 {
        self.as_integer().map_or(0, |number| i64::try_from(number).unwrap_or(number as i64))
    }

    /// What a fresh variable of the type holds: `""`, 0, a nil map.
    pub fn zero(kind: Type) -> Self {
        match kind.resolved() {
            Type::Bool => Value::Bool(false),
            Type::Int => Value::Int(0),
            Type::Int64 => Value::Int64(0),
            Type::Int32 => Value::Integer(Integer::Int32(0)),
            Type::Uint => Value::Integer(Integer::Uint(0)),
            Type::Uint8 => Value::Integer(Integer::Uint8(0)),
            Type::Uint32 => Value::Integer(Integer::Uint32(0)),
            Type::Uint64 => Value::Integer(Integer::Uint64(0)),
            Type::Float64 => Value::Float(0.0),
            Type::String => Value::string(""),
            Type::List(&Type::Uint8) => Value::Bytes(Text::default()),
            Type::List(_) => Value::List(List::nil(kind)),
            Type::Map(_) => Value::Map(Map::nil(kind)),
            Type::Any | Type::Reflect | Type::Named(_) => Value::Nil,
        }
    }

    /// The value of a JSON document as Helm holds values: every number is a `float64`.
    pub fn from_json(json: &serde_json::Value) -> Self {
        Self::from_json_with(json, Numbers::Float)
    }

    /// The value of a JSON document, whole numbers as told.
    pub fn from_json_with(json: &serde_json::Value, numbers: Numbers) -> Self {
        match json {
            serde_json::Value::Null => Value::Nil,
            serde_json::Value::Bool(truth) => Value::Bool(*truth),
            serde_json::Value::Number(number) => match (numbers, number.as_i64()) {
                (Numbers::Int, Some(whole)) => Value::Int(whole),
                (Numbers::Int64, Some(whole)) => Value::Int64(whole),
                _ => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Value::string(text.as_str()),
            serde_json::Value::Array(items) => {
                Value::list(items.iter().map(|item| Self::from_json_with(item, numbers)).collect())
            }
            serde_json::Value::Object(entries) => {
                Value::map(entries.iter().map(|(key, value)| (key.as_str(), Self::from_json_with(value, numbers))))
            }
        }
    }

    /// The JSON that Go's encoder makes of it: bytes as base64, nil maps and lists as null, whole floats as integers.
    ///
    /// # Errors
    /// NaN and infinities have no JSON; neither has a map that holds itself.
    pub fn to_json(&self) -> Result<serde_json::Value, Failure> {
        to_json(self, 0)
    }
}

/// What becomes of whole numbers that are read from JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// `float64`, as `encoding/json` gives and Helm has.
    Float,
    /// `int64`, as TOML gives.
    Int64,
    /// `int`, as YAML gives.
    Int,
}

fn to_json(value: &Value, depth: usize) -> Result<serde_json::Value, Failure> {
    use base64::Engine as _;
    if depth > MAX_NESTING {
        return Err(Failure::new("json: unsupported value: nested too deeply"));
    }
    Ok(match value {
        Value::Nil => serde_json::Value::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) | Value::Int64(number) => (*number).into(),
        Value::Integer(number) => match u64::try_from(number.as_i128()) {
            Ok(number) => number.into(),
            Err(_) => (number.as_i128() as i64).into(),
        },
        Value::Float(number) => float_to_json(*number)?,
        Value::String(text) => text.to_str_lossy().into(),
        Value::Bytes(bytes) => base64::engine::general_purpose::STANDARD.encode(&**bytes).into(),
        Value::List(list) if list.is_nil() => serde_json::Value::Null,
        Value::List(list) => list.iter().map(|item| to_json(item, depth + 1)).collect::<Result<Vec<_>, _>>()?.into(),
        Value::Map(map) if map.is_nil() => serde_json::Value::Null,
        Value::Map(map) => {
            let mut object = serde_json::Map::new();
            for (key, value) in map.borrow().iter() {
                object.insert(key.to_str_lossy().into_owned(), to_json(value, depth + 1)?);
            }
            object.into()
        }
        Value::Object(object) => return object.to_json(),
    })
}

fn float_to_json(number: f64) -> Result<serde_json::Value, Failure> {
    if number.fract() == 0.0
        && number.abs() < 9_223_372_036_854_775_808.0
        && (number != 0.0 || number.is_sign_positive())
    {
        return Ok((number as i64).into());
    }
    serde_json::Number::from_f64(number).map(Into::into).ok_or_else(|| {
        let name = if number.is_nan() {
            "NaN"
        } else if number > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        };
        Failure::new(format!("json: unsupported value: {name}"))
    })
}

/// Prints as `%#v` without addresses; for assertions and debugging.
impl fmt::Debug for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&String::from_utf8_lossy(&super::format::sprintf(b"%#v", std::slice::from_ref(self))))
    }
}

/// Prints as `%v`.
impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&String::from_utf8_lossy(&super::format::sprint(std::slice::from_ref(self))))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Float(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::string(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::string(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(text: Vec<u8>) -> Self {
        Value::string(text)
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Value::String(text)
    }
}

impl From<List> for Value {
    fn from(list: List) -> Self {
        Value::List(list)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Value::Map(map)
    }
}

impl Integer {
    fn type_of(self) -> Type {
        match self {
            Integer::Int32(_) => Type::Int32,
            Integer::Uint(_) => Type::Uint,
            Integer::Uint8(_) => Type::Uint8,
            Integer::Uint32(_) => Type::Uint32,
            Integer::Uint64(_) => Type::Uint64,
        }
    }

    /// The number.
    pub fn as_i128(self) -> i128 {
        match self {
            Integer::Int32(number) => number.into(),
            Integer::Uint(number) | Integer::Uint64(number) => number.into(),
            Integer::Uint8(number) => number.into(),
            Integer::Uint32(number) => number.into(),
        }
    }

    /// Whether the kind has no sign.
    pub fn is_unsigned(self) -> bool {
        !matches!(self, Integer::Int32(_))
    }
}

/// A Go string: bytes that are mostly, but not always, UTF-8. Clones share the bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Arc<[u8]>);

impl Text {
    /// As text, with U+FFFD for what is not UTF-8.
    pub fn to_str_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl Default for Text {
    fn default() -> Self {
        Text(Arc::from([]))
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.to_str_lossy())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.to_str_lossy())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text(text.as_bytes().into())
    }
}

impl From<&[u8]> for Text {
    fn from(text: &[u8]) -> Self {
        Text(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text(text.into_bytes().into())
    }
}

impl From<Vec<u8>> for Text {
    fn from(text: Vec<u8>) -> Self {
        Text(text.into())
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(text: Cow<'_, str>) -> Self {
        Text(text.as_bytes().into())
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

/// A Go slice. Never written to, so that sharing is invisible.
#[derive(Clone)]
pub struct List(Rc<ListCell>);

struct ListCell {
    kind: Type,
    nil: bool,
    items: Vec<Value>,
}

impl List {
    /// A `[]interface {}`.
    pub fn new(items: Vec<Value>) -> Self {
        Self::typed(Type::LIST, items)
    }

    /// A slice of the given type ([`Type::List`], or a name for one), whose items are of its element type.
    pub fn typed(kind: Type, items: Vec<Value>) -> Self {
        List(Rc::new(ListCell { kind, nil: false, items }))
    }

    /// A nil slice: empty, but `null` in JSON.
    pub fn nil(kind: Type) -> Self {
        List(Rc::new(ListCell { kind, nil: true, items: Vec::new() }))
    }

    /// Its type.
    pub fn type_of(&self) -> Type {
        self.0.kind
    }

    /// The type of its elements.
    pub fn element(&self) -> Type {
        match self.0.kind.resolved() {
            Type::List(element) => *element,
            _ => Type::Any,
        }
    }

    /// Whether it is the nil slice.
    pub fn is_nil(&self) -> bool {
        self.0.nil
    }
}

impl Deref for List {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.0.items
    }
}

/// A Go map with string keys, shared by all its clones.
#[derive(Clone)]
pub struct Map(Rc<MapCell>);

struct MapCell {
    kind: Type,
    nil: bool,
    entries: RefCell<BTreeMap<Text, Value>>,
}

impl Map {
    /// An empty `map[string]interface {}`.
    pub fn new() -> Self {
        Self::typed(Type::MAP)
    }

    /// An empty map of the given type ([`Type::Map`], or a name for one).
    pub fn typed(kind: Type) -> Self {
        Map(Rc::new(MapCell { kind, nil: false, entries: RefCell::default() }))
    }

    /// A nil map: empty, `null` in JSON; Go panics when something is put into it.
    pub fn nil(kind: Type) -> Self {
        Map(Rc::new(MapCell { kind, nil: true, entries: RefCell::default() }))
    }

    /// Its type.
    pub fn type_of(&self) -> Type {
        self.0.kind
    }

    /// The type of its values.
    pub fn element(&self) -> Type {
        match self.0.kind.resolved() {
            Type::Map(element) => *element,
            _ => Type::Any,
        }
    }

    /// Whether it is the nil map.
    pub fn is_nil(&self) -> bool {
        self.0.nil
    }

    /// Whether both are one and the same map.
    pub fn is_same(&self, other: &Map) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.borrow().len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.borrow().is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<Value> {
        self.borrow().get(key).cloned()
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.borrow().contains_key(key)
    }

    /// Sets a key, for everyone who holds the map.
    ///
    /// # Caveats
    /// Functions that write into a map they were given refuse a nil one first: `assignment to entry in nil map`.
    pub fn insert(&self, key: impl Into<Text>, value: Value) {
        self.0.entries.borrow_mut().insert(key.into(), value);
    }

    /// Takes a key away, for everyone who holds the map.
    pub fn remove(&self, key: &[u8]) -> Option<Value> {
        self.0.entries.borrow_mut().remove(key)
    }

    /// The keys in order.
    pub fn keys(&self) -> Vec<Text> {
        self.borrow().keys().cloned().collect()
    }

    /// The entries as they are now, in order of the keys; the map may change while they are walked.
    pub fn entries(&self) -> Vec<(Text, Value)> {
        self.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// A look at the entries without a copy; nothing may write to the map while it lasts.
    pub fn borrow(&self) -> Ref<'_, BTreeMap<Text, Value>> {
        self.0.entries.borrow()
    }
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Into<Text>> FromIterator<(K, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(entries: I) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Map(Rc::new(MapCell { kind: Type::MAP, nil: false, entries: RefCell::new(entries) }))
    }
}

// A template may nest maps a million deep (`$d = dict "a" $d` in a loop): they are let go one by one, not by recursion.
impl Drop for MapCell {
    fn drop(&mut self) {
        let mut pending = Vec::new();
        take_containers(self.entries.get_mut().values_mut(), &mut pending);
        release(pending);
    }
}

impl Drop for ListCell {
    fn drop(&mut self) {
        let mut pending = Vec::new();
        take_containers(self.items.iter_mut(), &mut pending);
        release(pending);
    }
}

fn take_containers<'v>(values: impl Iterator<Item = &'v mut Value>, pending: &mut Vec<Value>) {
    for value in values {
        if matches!(value, Value::List(_) | Value::Map(_)) {
            pending.push(std::mem::take(value));
        }
    }
}

fn release(mut pending: Vec<Value>) {
    while let Some(value) = pending.pop() {
        match value {
            Value::List(mut list) => {
                if let Some(cell) = Rc::get_mut(&mut list.0) {
                    take_containers(cell.items.iter_mut(), &mut pending);
                }
            }
            Value::Map(mut map) => {
                if let Some(cell) = Rc::get_mut(&mut map.0) {
                    take_containers(cell.entries.get_mut().values_mut(), &mut pending);
                }
            }
            _ => {}
        }
    }
}

/// A struct (or pointer to one, or named scalar) that templates read fields of and call methods on.
///
/// Named map and list types with methods need no object: see [`Named`].
pub trait Object: Any {
    /// Its type: a [`Type::Named`] whose name is what `%T` prints, with the leading `*` of a pointer.
    fn type_of(&self) -> Type;

    /// An exported field.
    fn field(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }

    /// All fields in the order of the struct: what `%v` prints in braces when there is no [`Object::string`].
    fn fields(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// A method; its first argument is the object itself, which `params` does not list.
    fn method(&self, name: &str) -> Option<&'static Function> {
        self.type_of().method(name)
    }

    /// What its `String()` or `Error()` method gives; `None` if it has neither.
    fn string(&self) -> Option<String> {
        None
    }

    /// The value below a named scalar type: `time.Duration` is an `int64`.
    fn underlying(&self) -> Option<Value> {
        None
    }

    /// Go's `==` on two values of this type.
    fn equals(&self, other: &dyn Object) -> bool {
        let _ = other;
        false
    }

    /// What Go's JSON encoder makes of it: its fields, unless it has a marshaller of its own.
    ///
    /// # Errors
    /// A field without JSON.
    fn to_json(&self) -> Result<serde_json::Value, Failure> {
        if let Some(value) = self.underlying() {
            return value.to_json();
        }
        let fields = self.fields();
        fields.into_iter().map(|(name, value)| Ok((name.to_owned(), value.to_json()?))).collect()
    }

    /// For functions that know the concrete type.
    fn as_any(&self) -> &dyn Any;
}
