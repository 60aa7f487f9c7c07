//! `make bench`: what bowline costs, each figure beside its limit or its peer in the same run.
//!
//! ```text
//! bench                    1,000 units of 4 objects, in namespaces and in folders
//! bench --units 100        a smaller size; every ratio is printed as well
//! bench --idle 600         seconds without a change, of which the requests are counted
//! ```
//! `loop` sends the bare writes, `daemon` runs the real binary and reads its numbers, `story` measures.

#![expect(clippy::print_stdout, reason = "it prints a table")]

#[path = "../common/cluster/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod cluster;
mod daemon;
mod limit;
mod repository;
mod story;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// What is asked for.
struct Options {
    units: usize,
    samples: usize,
    idle: Duration,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match options(&arguments).and_then(|options| story::run(&options)) {
        Ok(table) => {
            println!("{table}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Result<Options> {
    let mut options = Options { units: 1000, samples: 20, idle: Duration::from_secs(60) };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value: usize =
            rest.next().with_context(|| format!("{name} needs a number"))?.parse().with_context(|| name.clone())?;
        match name.as_str() {
            "--units" => options.units = value.max(10),
            "--samples" => options.samples = value.max(1),
            "--idle" => options.idle = Duration::from_secs(value as u64),
            other => bail!("{other} is not understood\nhint: --units N, --samples N, --idle SECONDS"),
        }
    }
    Ok(options)
}
