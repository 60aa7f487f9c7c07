//! The `bowline` binary: parse, dispatch, print the error and its hints, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    bowline::cli::main()
}
