//! The reference page of the command line, made from the same definitions as the help.

use std::fmt::Write as _;

use clap::CommandFactory as _;

/// Writes `docs/cli.md`: every verb with its words, arguments and options. A test holds the file against it.
pub fn page() -> String {
    let mut text = String::from(
        "# The command line\n\nMade from the program's own help; `bowline VERB --help` shows the same.\n\n\
         Data goes to stdout, words go to stderr. Exit code 0: done; 1: something is wrong; 2: `plan` and `diff` found \
         changes, or the arguments are not understood.\n",
    );
    let command = super::Args::command();
    for verb in command.get_subcommands() {
        let _ = write!(text, "\n## {}\n\n", verb.get_name());
        let about = verb.get_long_about().or(verb.get_about()).map(ToString::to_string).unwrap_or_default();
        let _ = write!(text, "{}\n\n| | |\n|---|---|\n", about.trim());
        for argument in verb.get_arguments().filter(|argument| argument.get_id() != "help") {
            let _ = writeln!(text, "| `{}` | {} |", usage(argument), words(argument));
        }
    }
    text
}

/// `--poll <TIME>`, `<UNIT>`.
fn usage(argument: &clap::Arg) -> String {
    let values: Vec<String> =
        argument.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>")).collect();
    let takes_value = argument.get_action().takes_values();
    let mut parts = Vec::new();
    if let Some(short) = argument.get_short() {
        parts.push(format!("-{short}"));
    }
    if let Some(long) = argument.get_long() {
        parts.push(format!("--{long}"));
    }
    let mut usage = parts.join(", ");
    if takes_value {
        if !usage.is_empty() {
            usage.push(' ');
        }
        usage.push_str(&values.join(" "));
    }
    usage
}

fn words(argument: &clap::Arg) -> String {
    let mut words = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let possible: Vec<String> =
        argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if argument.get_action().takes_values() && !possible.is_empty() {
        let _ = write!(words, ": {}", possible.join(", "));
    }
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if argument.get_action().takes_values() && !defaults.is_empty() {
        let _ = write!(words, "; default {}", defaults.join(", "));
    }
    words.replace('|', "\\|").replace('\n', " ")
}
