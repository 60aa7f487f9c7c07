//! Semantic versions and their constraints, as Masterminds' library has them.

use std::any::Any;
use std::cmp::Ordering;

use super::convert::{argument, text};
use super::{Failure, Function, STRING};
use crate::template::exec::State;
use crate::template::semver::{Constraint, Version};
use crate::template::value::{Integer, Named, Object, Type, Under, Value};

type Result<T = Value> = std::result::Result<T, Failure>;

functions! { "semver";
    "semver"(STRING) = |_, a| Ok(pointer(Version::parse(&text(a, 0))?)), "Reads a version: `.Major`, `.Minor`, `.Patch`, `.Prerelease` ..";
    "semverCompare"(STRING, STRING) = compare, "Whether a version, the second argument, fits a constraint.";
}

fn compare(_: &mut State<'_>, a: &[Value]) -> Result {
    let constraint = Constraint::parse(&text(a, 0))?;
    Ok(constraint.check(&Version::parse(&text(a, 1))?).into())
}

static POINTER: Named = Named { name: "*semver.Version", under: Under::Pointer, methods: pointer_methods::FUNCTIONS };
static PLAIN: Named = Named { name: "semver.Version", under: Under::Struct, methods: methods::FUNCTIONS };

/// A version as a template value.
struct Held {
    version: Version,
    kind: &'static Named,
}

fn pointer(version: Version) -> Value {
    Value::object(Held { version, kind: &POINTER })
}

/// What methods that change a version give: a struct, not a pointer.
fn plain(mut version: Version) -> Value {
    version.original = format!("{}{version}", if version.original.starts_with('v') { "v" } else { "" });
    Value::object(Held { version, kind: &PLAIN })
}

fn held(a: &[Value], at: usize) -> Version {
    let held = match argument(a, at) {
        Value::Object(object) => object.as_any().downcast_ref::<Held>().map(|held| held.version.clone()),
        _ => None,
    };
    held.unwrap_or_else(|| Version {
        major: 0,
        minor: 0,
        patch: 0,
        prerelease: String::new(),
        metadata: String::new(),
        original: String::new(),
    })
}

mod methods {
    use super::*;

    fn number(number: u64) -> Result {
        Ok(Value::Integer(Integer::Uint64(number)))
    }

    fn changed(a: &[Value], change: impl FnOnce(&mut Version)) -> Result {
        let mut version = held(a, 0);
        change(&mut version);
        Ok(plain(version))
    }

    fn reset(version: &mut Version) {
        version.prerelease.clear();
        version.metadata.clear();
    }

    functions! { "methods of semver.Version";
        "IncMajor"() = |_, a| changed(a, |version| {
            reset(version);
            (version.major, version.minor, version.patch) = (version.major.wrapping_add(1), 0, 0);
        }), "The next major version.";
        "IncMinor"() = |_, a| changed(a, |version| {
            reset(version);
            (version.minor, version.patch) = (version.minor.wrapping_add(1), 0);
        }), "The next minor version.";
        "IncPatch"() = |_, a| changed(a, |version| {
            // A pre-release comes before its release, which is the next patch then.
            if version.prerelease.is_empty() {
                version.patch = version.patch.wrapping_add(1);
            }
            reset(version);
        }), "The next patch version.";
        "Major"() = |_, a| number(held(a, 0).major), "The first number.";
        "Metadata"() = |_, a| Ok(held(a, 0).metadata.into()), "What follows `+`.";
        "Minor"() = |_, a| number(held(a, 0).minor), "The second number.";
        "Patch"() = |_, a| number(held(a, 0).patch), "The third number.";
        "Prerelease"() = |_, a| Ok(held(a, 0).prerelease.into()), "What follows `-`.";
        "SetMetadata"(STRING) = |_, a| {
            Version::parse(&format!("1.0.0+{}", text(a, 1))).map_err(|_| Failure::new("invalid metadata string"))?;
            changed(a, |version| version.metadata = text(a, 1).into_owned())
        }, "With other metadata.";
        "SetPrerelease"(STRING) = |_, a| {
            Version::parse(&format!("1.0.0-{}", text(a, 1))).map_err(|_| Failure::new("invalid prerelease string"))?;
            changed(a, |version| version.prerelease = text(a, 1).into_owned())
        }, "As another pre-release.";
        "String"() = |_, a| Ok(held(a, 0).to_string().into()), "The version in full.";
    }
}

/// What only pointers to a version can do.
mod pointer_methods {
    use super::*;

    // Types are told apart by name; a table cannot refer to a type that refers to it.
    const VERSION: Type = Type::Named(&Named { name: "*semver.Version", under: Under::Pointer, methods: &[] });

    fn order(a: &[Value]) -> Ordering {
        held(a, 0).compare(&held(a, 1))
    }

    functions! { "methods of *semver.Version";
        "Compare"(VERSION) = |_, a| Ok(Value::Int(order(a) as i64)), "-1, 0 or 1.";
        "Equal"(VERSION) = |_, a| Ok(order(a).is_eq().into()), "Whether they are of the same precedence.";
        "GreaterThan"(VERSION) = |_, a| Ok(order(a).is_gt().into()), "Whether it is newer.";
        "GreaterThanEqual"(VERSION) = |_, a| Ok(order(a).is_ge().into()), "Whether it is not older.";
        "LessThan"(VERSION) = |_, a| Ok(order(a).is_lt().into()), "Whether it is older.";
        "LessThanEqual"(VERSION) = |_, a| Ok(order(a).is_le().into()), "Whether it is not newer.";
        "Original"() = |_, a| Ok(held(a, 0).original.into()), "The text that was read.";
    }
}

impl Object for Held {
    fn type_of(&self) -> Type {
        Type::Named(self.kind)
    }

    fn method(&self, name: &str) -> Option<&'static Function> {
        self.type_of().method(name).or_else(|| methods::FUNCTIONS.iter().find(|method| method.name == name))
    }

    fn string(&self) -> Option<String> {
        Some(self.version.to_string())
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Held>().is_some_and(|other| self.version == other.version)
    }

    fn to_json(&self) -> std::result::Result<serde_json::Value, Failure> {
        Ok(self.version.to_string().into())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
