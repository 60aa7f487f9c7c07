//! Prints: data to stdout, words to stderr, colour only where a terminal reads.

use std::io::Write as _;
use std::path::Path;

use anstream::{eprintln, stdout};
use owo_colors::OwoColorize as _;

use crate::error::Error;

/// Writes data to stdout as it is; a closed pipe ends the program quietly.
pub(super) fn data(text: &str) {
    let mut out = stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Writes bytes to stdout as they are, escape sequences too; a closed pipe ends the program quietly.
pub(super) fn bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Writes a file in one go, readable for all: who reads it meanwhile finds the old one or none.
pub(super) fn file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::new(format!("{}: cannot be written", path.display())).because(error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    let mut file = tempfile::Builder::new().permissions(readable).tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Prints an error, its causes and its hints to stderr.
pub(super) fn error(error: &Error) {
    eprintln!("{} {error}", "error:".red().bold());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    for hint in error.hints() {
        eprintln!("  {} {hint}", "hint:".cyan());
    }
}

/// Writes a line of words to stderr.
pub(super) fn words(line: &str) {
    eprintln!("{line}");
}

/// Form of data that is a table for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people.
    Table,
    /// For machines.
    Json,
    /// For machines and people.
    Yaml,
}

/// Writes a value to stdout; a table has no place here and comes as YAML.
pub(super) fn structured(form: Form, value: &serde_json::Value) {
    match form {
        Form::Json => data(&format!("{value:#}\n")),
        Form::Yaml | Form::Table => data(&crate::yaml::write(value)),
    }
}

/// Whether a person reads stderr.
pub(super) fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}
