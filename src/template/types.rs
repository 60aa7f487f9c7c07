//! Go's types, as far as templates can tell them apart: what `%T` prints, what a parameter takes.

use std::fmt;

use super::funcs::Function;

/// A Go type, as far as templates can tell types apart.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// `interface {}`.
    Any,
    /// `reflect.Value`: the parameter of built-ins that look at types themselves; takes everything, nil too.
    Reflect,
    /// `bool`.
    Bool,
    /// `int`.
    Int,
    /// `int32`.
    Int32,
    /// `int64`.
    Int64,
    /// `uint`.
    Uint,
    /// `uint8`.
    Uint8,
    /// `uint32`.
    Uint32,
    /// `uint64`.
    Uint64,
    /// `float64`.
    Float64,
    /// `string`.
    String,
    /// A slice.
    List(&'static Type),
    /// A map with string keys.
    Map(&'static Type),
    /// A type with a name.
    Named(&'static Named),
}

/// A named type: `common.Values` is a `map[string]interface {}` with methods.
#[derive(Debug)]
pub struct Named {
    /// Name as `%T` prints it, package and all.
    pub name: &'static str,
    /// What it is a name for.
    pub under: Under,
    /// Its methods; the first argument of each is the receiver, which `params` does not list.
    pub methods: &'static [Function],
}

/// What a named type is made of.
#[derive(Debug, Clone, Copy)]
pub enum Under {
    /// A struct.
    Struct,
    /// A pointer to a struct.
    Pointer,
    /// Another type.
    Type(Type),
}

impl Type {
    /// `[]interface {}`.
    pub const LIST: Type = Type::List(&Type::Any);
    /// `[]string`.
    pub const STRINGS: Type = Type::List(&Type::String);
    /// `[]int`.
    pub const INTS: Type = Type::List(&Type::Int);
    /// `[]uint8`.
    pub const BYTES: Type = Type::List(&Type::Uint8);
    /// `map[string]interface {}`.
    pub const MAP: Type = Type::Map(&Type::Any);
    /// `map[string]string`.
    pub const STRING_MAP: Type = Type::Map(&Type::String);

    /// The type without its name.
    pub fn resolved(self) -> Type {
        match self {
            Type::Named(Named { under: Under::Type(under), .. }) => under.resolved(),
            _ => self,
        }
    }

    /// Go's `reflect.Kind`.
    pub fn kind(self) -> Kind {
        match self.resolved() {
            Type::Any => Kind::Interface,
            Type::Reflect => Kind::Struct,
            Type::Bool => Kind::Bool,
            Type::Int => Kind::Int,
            Type::Int32 => Kind::Int32,
            Type::Int64 => Kind::Int64,
            Type::Uint => Kind::Uint,
            Type::Uint8 => Kind::Uint8,
            Type::Uint32 => Kind::Uint32,
            Type::Uint64 => Kind::Uint64,
            Type::Float64 => Kind::Float64,
            Type::String => Kind::String,
            Type::List(_) => Kind::Slice,
            Type::Map(_) => Kind::Map,
            Type::Named(Named { under: Under::Pointer, .. }) => Kind::Pointer,
            Type::Named(_) => Kind::Struct,
        }
    }

    /// Whether a value of this type may be given where `target` is wanted, without a conversion.
    pub fn is_assignable_to(self, target: Type) -> bool {
        let unnamed = !matches!(self, Type::Named(_)) || !matches!(target, Type::Named(_));
        matches!(target, Type::Any | Type::Reflect)
            || self == target
            || unnamed && matches!(self.kind(), Kind::Map | Kind::Slice) && self.resolved() == target.resolved()
    }

    /// Whether nil is a value of it.
    pub fn can_be_nil(self) -> bool {
        matches!(self.kind(), Kind::Interface | Kind::Map | Kind::Slice | Kind::Pointer) || self == Type::Reflect
    }

    /// The method of a named type.
    pub fn method(self, name: &str) -> Option<&'static Function> {
        match self {
            Type::Named(named) => named.methods.iter().find(|method| method.name == name),
            _ => None,
        }
    }
}

impl PartialEq for Type {
    fn eq(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::List(one), Type::List(two)) | (Type::Map(one), Type::Map(two)) => one == two,
            (Type::Named(one), Type::Named(two)) => one.name == two.name,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for Type {}

impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Any => out.write_str("interface {}"),
            Type::Reflect => out.write_str("reflect.Value"),
            Type::List(element) => write!(out, "[]{element}"),
            Type::Map(element) => write!(out, "map[string]{element}"),
            Type::Named(named) => out.write_str(named.name),
            basic => out.write_str(basic.kind().name()),
        }
    }
}

/// Go's `reflect.Kind`, as far as templates meet them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of nil.
    Invalid,
    /// `bool`.
    Bool,
    /// `int`.
    Int,
    /// `int32`.
    Int32,
    /// `int64`.
    Int64,
    /// `uint`.
    Uint,
    /// `uint8`.
    Uint8,
    /// `uint32`.
    Uint32,
    /// `uint64`.
    Uint64,
    /// `float64`.
    Float64,
    /// `string`.
    String,
    /// A slice.
    Slice,
    /// A map.
    Map,
    /// A pointer.
    Pointer,
    /// A struct.
    Struct,
    /// An interface.
    Interface,
}

impl Kind {
    /// Its name as `kindOf` gives it: `slice`, `ptr`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Uint => "uint",
            Kind::Uint8 => "uint8",
            Kind::Uint32 => "uint32",
            Kind::Uint64 => "uint64",
            Kind::Float64 => "float64",
            Kind::String => "string",
            Kind::Slice => "slice",
            Kind::Map => "map",
            Kind::Pointer => "ptr",
            Kind::Struct => "struct",
            Kind::Interface => "interface",
        }
    }
}
