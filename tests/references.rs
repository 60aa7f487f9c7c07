//! Pages that are made from the program say what the program says.

use std::fs;
use std::path::Path;

/// Compares a page with what makes it; with `BOWLINE_WRITE_PAGES` set it is written instead.
#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
fn holds(page: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    if std::env::var_os("BOWLINE_WRITE_PAGES").is_some() {
        fs::write(&path, wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, wanted, "docs/{page} is not what the program says: run `make pages`");
}

#[test]
fn the_command_line_page_is_the_help() {
    holds("cli.md", &bowline::cli::page());
}

#[test]
fn the_configuration_page_is_the_example() {
    let page = format!(
        "# The configuration file\n\n`bowline run --config FILE` reads it; `bowline config --check FILE` finds every mistake in it, and\n\
         `bowline config --example` prints what follows. Durations are written `500ms`, `30s`, `5m`, `1h`.\n\n```yaml\n{}```\n",
        bowline::daemon::config::EXAMPLE
    );
    holds("config.md", &page);
}
