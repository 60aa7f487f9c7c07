//! The command line: one file per verb; its `Args` doc comments are the help text and the reference page.
//!
//! Data goes to stdout through `output.rs`, words go to stderr. The environment is read here and nowhere else.

mod apply;
mod approve;
mod chart_show;
mod charts;
mod check;
mod columns;
mod completions;
mod config;
mod connect;
mod diff;
mod eval;
mod facts;
mod health;
mod history;
mod index;
mod lint;
mod output;
mod package;
mod pass;
mod plan;
mod pull;
mod push;
mod reference;
mod render;
mod repository;
mod run;
mod search;
mod show;
mod status;
mod template;
mod undelete;
mod version;
mod world;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;
use crate::failpoint;

pub use reference::page;

/// A GitOps reconciler for Kubernetes: daemon, command line and CI check in one.
#[derive(Debug, Parser)]
#[command(name = "bowline", version, disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Eval(eval::Args),
    Template(Box<template::Args>),
    Index(index::Args),
    Pull(pull::Args),
    Push(push::Args),
    Search(search::Args),
    Lint(lint::Args),
    Show(chart_show::Args),
    Package(package::Args),
    Health(health::Args),
    Render(render::Args),
    Run(run::Args),
    Apply(apply::Args),
    Plan(plan::Args),
    Diff(diff::Args),
    Status(status::Args),
    History(history::Args),
    Approve(approve::Args),
    Undelete(undelete::Args),
    Config(config::Args),
    Completions(completions::Args),
    Version(version::Args),
}

/// Revisions of a unit that are kept, as the daemon does when its configuration says nothing.
const HISTORY: u64 = 10;

/// How a command that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Exit code 0.
    Done,
    /// Exit code 1: it ran, and what it looked at is not in order.
    Failed,
    /// Exit code 2: `plan` and `diff` found changes.
    Changes,
}

/// Parses the arguments, runs the verb, prints an error with its causes and hints.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // 2 says that a plan has changes: a mistyped option must not look like one in CI.
            let exit = if error.use_stderr() { ExitCode::from(1) } else { ExitCode::SUCCESS };
            // Nobody reads any more: there is nobody to tell.
            let _ = error.print();
            return exit;
        }
    };
    let armed = connect::environment("BOWLINE_FAIL_AT").map_or(Ok(()), |text| failpoint::arm(&text));
    match armed.and_then(|()| dispatch(args.command)) {
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::Failed) => ExitCode::from(1),
        Ok(Exit::Changes) => ExitCode::from(2),
        Err(error) => {
            output::error(&error);
            ExitCode::from(1)
        }
    }
}

fn dispatch(command: Command) -> Result<Exit, Error> {
    match command {
        Command::Check(args) => check::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Template(args) => template::run(&args),
        Command::Index(args) => index::run(&args),
        Command::Pull(args) => pull::run(&args),
        Command::Push(args) => push::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Show(args) => chart_show::run(&args),
        Command::Package(args) => package::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Run(args) => block_on(run::run(&args))?,
        Command::Apply(args) => block_on(apply::run(&args))?,
        Command::Plan(args) => block_on(plan::run(&args))?,
        Command::Diff(args) => block_on(diff::run(&args))?,
        Command::Status(args) => block_on(status::run(&args))?,
        Command::History(args) => block_on(history::run(&args))?,
        Command::Approve(args) => block_on(approve::run(&args))?,
        Command::Undelete(args) => block_on(undelete::run(&args))?,
        Command::Config(args) => config::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Version(args) => version::run(&args),
    }
}

/// Runs an async verb on a multi-threaded runtime.
fn block_on<F: Future>(future: F) -> Result<F::Output, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new("cannot start the async runtime").because(error))?;
    Ok(runtime.block_on(future))
}
