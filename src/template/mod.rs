//! The Go-template engine: Go's text/template language, exactly; it knows text and values, but no files, charts or
//! Kubernetes.
//!
//! ```text
//! text -> lexer -> parser -> Tree (shared, immutable) -> exec -> bytes
//!         tokens             nodes print as Go's        values, functions, limits
//! ```
//!
//! Start at [`Templates`] (parse once) and [`State`] (one run: execute often).
//!
//! ```
//! use bowline::template::{Context, State, Templates, Value, funcs::Functions};
//!
//! let mut templates = Templates::new("gotpl", Functions::go());
//! templates.parse("greeting", "Hello {{ .name | printf \"%q\" }}!").expect("parses");
//! let mut context = Context::default();
//! let mut state = State::new(&templates, &mut context);
//! let data = Value::map([("name", Value::from("Ada"))]);
//! assert_eq!(state.execute("greeting", data).expect("runs"), b"Hello \"Ada\"!");
//! ```
//!
//! Deep templates need a deep stack: run them inside [`on_large_stack`]; elsewhere the depth that a small stack allows
//! is the limit, and an error, never an overflow.

mod debug;
mod error;
pub mod format;
pub mod funcs;
mod types;
mod value;

mod ast;
mod lexer;
mod parser;
mod token;

mod context;
mod exec;
mod limits;
mod set;
mod stack;

mod strconv;

mod certificate;
mod der;
pub(crate) mod json;
mod pretty;
pub(crate) mod regexp;
pub mod semver;
pub mod time;
mod toml;
pub(crate) mod url;
mod words;

pub use context::{Clock, Context, Limits, Lookup, MissingKey, Moment, Random, Seeded};
pub use error::{Error, ErrorKind, Failure, Place};
pub use exec::State;
pub use set::Templates;
pub use stack::on_large_stack;
pub use value::{Integer, Kind, List, MAX_NESTING, Map, Named, Numbers, Object, Text, Type, Under, Value};
