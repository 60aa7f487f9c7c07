//! `make demo`: from a pushed commit to a converged cluster, on a real API server with simulated nodes.
//!
//! ```text
//! demo            tells the story, then stays up to be played with until Ctrl-C
//! demo --check    the same unattended: every step is asserted, everything is ended, the exit code says how it went
//! demo --soak 30  repeats the changing part of the story for 30 minutes and watches the daemon's memory
//! ```
//! `story` holds the steps; the control plane is the tests' own.

#![expect(clippy::print_stdout, reason = "it tells a story")]

#[path = "../common/cluster/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod cluster;
mod story;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use story::Story;

enum Mode {
    Play,
    Check,
    Soak(Duration),
}

fn main() -> ExitCode {
    let start = Instant::now();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match mode(&arguments).and_then(|mode| run(&mode)) {
        Ok(()) => {
            println!("\nthe demo ended well after {} s", start.elapsed().as_secs());
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn mode(arguments: &[String]) -> Result<Mode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => Ok(Mode::Play),
        ["--check"] => Ok(Mode::Check),
        ["--soak", minutes] => {
            Ok(Mode::Soak(Duration::from_secs(60 * minutes.parse::<u64>().context("--soak MINUTES")?)))
        }
        _ => bail!("{arguments:?} is not understood\nhint: --check, --soak MINUTES, or nothing"),
    }
}

fn run(mode: &Mode) -> Result<()> {
    let mut story = Story::begin()?;
    story.first_sync()?;
    match mode {
        Mode::Soak(duration) => soak(&mut story, *duration)?,
        Mode::Play | Mode::Check => {
            story.push()?;
            story.new_namespace("team-blue")?;
            story.hand_edits()?;
            story.revert()?;
            story.look_back()?;
        }
    }
    if matches!(mode, Mode::Play) {
        story.invite();
        wait_for_ctrl_c()?;
    }
    story.end()
}

/// Pushes, edits by hand and reverts until the time is over. Memory may grow while caches fill, then no more.
fn soak(story: &mut Story, duration: Duration) -> Result<()> {
    let start = Instant::now();
    let mut settled = None;
    let mut round = 0;
    while start.elapsed() < duration {
        round += 1;
        story.push()?;
        story.new_namespace(&format!("soak-{round}"))?;
        story.hand_edits()?;
        story.revert()?;
        story.remove_namespace(&format!("soak-{round}"))?;
        let memory = story.memory()?;
        println!("\nround {round}: the daemon holds {memory} KiB after {} s", start.elapsed().as_secs());
        match settled {
            None if round >= 5 => settled = Some(memory),
            Some(settled) if memory > 2 * settled => {
                bail!("memory grew from {settled} KiB after 5 rounds to {memory} KiB after {round}")
            }
            _ => {}
        }
    }
    Ok(())
}

fn wait_for_ctrl_c() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::signal::ctrl_c()).context("Ctrl-C cannot be received")
}
