<<<<<<< HEAD
//! The `bowline` binary: parse, dispatch, print the error and its hints, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    bowline::cli::main()
}
=======
fn main() {}
>>>>>>> bf8913f (template: values, errors, context and the function table)
