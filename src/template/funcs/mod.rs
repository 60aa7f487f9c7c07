//! One table of all functions: name, parameters, family, one line of documentation, body.
//!
//! A family is a file with a `FUNCTIONS` table, named in [`FAMILIES`] below; a later family's function takes the place of
//! an earlier one of the same name (sprig's `slice` that of Go). [`page`] makes `docs/functions.md` from the table.
//!
//! The engine checks arguments against the parameters before it calls a body, with Go's rules and Go's words, so a body
//! may rely on their number and type: [`Value::text`] and [`Value::integer`] read them.

use std::sync::LazyLock;

use super::error::Failure;
use super::exec::State;
use super::value::{Type, Value};

/// A family's table: `"name"(parameters; further) = body, "doc line";`.
macro_rules! functions {
    ($family:literal; $($name:literal($($param:expr),* $(; $further:expr)?) = $body:expr, $doc:literal;)*) => {
        /// The functions of the family.
        pub(super) static FUNCTIONS: &[$crate::template::funcs::Function] = &[$($crate::template::funcs::Function {
            name: $name,
            params: &[$($param),*],
            variadic: functions!(@further $($further)?),
            family: $family,
            doc: $doc,
            body: $body,
        }),*];
    };
    (@further) => { None };
    (@further $kind:expr) => { Some($kind) };
}

mod go;

mod crypto;
mod dates;
mod dicts;
mod encoding;
mod helm;
mod lists;
mod math;
mod network;
mod paths;
mod regex;
mod semver;
mod strings;
mod types;

mod convert;
mod decimal;
mod random;

const ANY: Type = Type::Any;
const BOOL: Type = Type::Bool;
const FLOAT: Type = Type::Float64;
const INT: Type = Type::Int;
const LIST: Type = Type::LIST;
const MAP: Type = Type::MAP;
const STRING: Type = Type::String;

pub use go::FUNCTIONS as GO;

/// All families in the order of `docs/functions.md`.
pub static FAMILIES: &[&[Function]] = &[
    go::FUNCTIONS,
    strings::FUNCTIONS,
    lists::FUNCTIONS,
    dicts::FUNCTIONS,
    math::FUNCTIONS,
    types::FUNCTIONS,
    dates::FUNCTIONS,
    encoding::FUNCTIONS,
    crypto::FUNCTIONS,
    regex::FUNCTIONS,
    semver::FUNCTIONS,
    paths::FUNCTIONS,
    network::FUNCTIONS,
    helm::FUNCTIONS,
];

/// What a function does: it gets the run (for `include`, `lookup`, random and clock) and its arguments.
pub type Body = fn(&mut State<'_>, &[Value]) -> Result<Value, Failure>;

/// A function that templates call by name, or a method of a type.
#[derive(Debug)]
pub struct Function {
    /// Name.
    pub name: &'static str,
    /// Types of the fixed parameters.
    pub params: &'static [Type],
    /// Type of each further argument; `None` when there may be none.
    pub variadic: Option<Type>,
    /// Heading in `docs/functions.md`.
    pub family: &'static str,
    /// One line of documentation.
    pub doc: &'static str,
    /// What it does.
    pub body: Body,
}

impl Function {
    /// How many arguments it takes: at least, and at most if there is a limit.
    pub fn arity(&self) -> (usize, Option<usize>) {
        let fixed = self.params.len();
        (fixed, if self.variadic.is_some() { None } else { Some(fixed) })
    }
}

impl Function {
    /// `and` and `or` evaluate their arguments one by one.
    pub(super) fn is_lazy(&self) -> bool {
        matches!(self.name, "and" | "or")
    }
}

/// The functions that a template may call, by name.
#[derive(Debug, Clone)]
pub struct Functions {
    sorted: Vec<&'static Function>,
}

impl Functions {
    /// A table of the given families; later ones win.
    pub fn new(families: &[&'static [Function]]) -> Self {
        let mut sorted: Vec<&'static Function> = Vec::new();
        for function in families.iter().copied().flatten() {
            match sorted.binary_search_by(|other| other.name.cmp(function.name)) {
                Ok(at) => sorted[at] = function,
                Err(at) => sorted.insert(at, function),
            }
        }
        Functions { sorted }
    }

    /// Go's own functions only.
    pub fn go() -> &'static Self {
        static GO: LazyLock<Functions> = LazyLock::new(|| Functions::new(&[go::FUNCTIONS]));
        &GO
    }

    /// All functions: Go's, sprig's and Helm's.
    pub fn all() -> &'static Self {
        static ALL: LazyLock<Functions> = LazyLock::new(|| Functions::new(FAMILIES));
        &ALL
    }

    /// The function of that name.
    pub fn get(&self, name: &str) -> Option<&'static Function> {
        self.sorted.binary_search_by(|function| function.name.cmp(name)).ok().map(|at| self.sorted[at])
    }

    /// The function whose name is most like the given one, if any comes close.
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        let close = self.iter().map(|function| (strsim::damerau_levenshtein(function.name, name), function.name));
        close.min().filter(|(distance, _)| *distance <= 1 + name.len() / 4).map(|(_, nearest)| nearest)
    }

    /// All functions, by name.
    pub fn iter(&self) -> impl Iterator<Item = &'static Function> + '_ {
        self.sorted.iter().copied()
    }
}

/// The page `docs/functions.md`: all functions by family.
pub fn page() -> String {
    let mut page = String::from(PAGE_HEAD);
    for family in FAMILIES {
        let Some(first) = family.first() else { continue };
        let heading: String = first.family.chars().take(1).flat_map(char::to_uppercase).collect();
        page.push_str(&format!("\n## {heading}{}\n\n", first.family.get(1..).unwrap_or_default()));
        page.push_str("| function | arguments | what it gives |\n|---|---|---|\n");
        let mut functions: Vec<&Function> = family.iter().collect();
        functions.sort_by_key(|function| function.name);
        for function in functions {
            page.push_str(&format!("| `{}` | {} | {} |\n", function.name, signature(function), function.doc));
        }
    }
    page
}

const PAGE_HEAD: &str = "# Template functions

All functions of Helm 4 and of sprig, and those of Go's templates. This page is made from the table in
`src/template/funcs`; a test keeps it so. A function that comes twice (`slice`) is the later one.

Random, time and lookups are those of the run: a render with a seed and a fixed clock gives the same bytes again.
`env` and `expandenv` are absent, as in Helm. Functions that would make more than 1,000,000 numbers or 64 MiB of text
end with an error.
";

/// The types of the arguments: `string, int, any..`.
fn signature(function: &Function) -> String {
    let name = |kind: &Type| match kind {
        Type::Any | Type::Reflect => "any".to_owned(),
        Type::List(Type::Any) => "list".to_owned(),
        Type::Map(Type::Any) => "map".to_owned(),
        other => other.to_string(),
    };
    let fixed = function.params.iter().map(name);
    let further = function.variadic.iter().map(|kind| format!("{}..", name(kind)));
    let all: Vec<String> = fixed.chain(further).collect();
    all.join(", ")
}
