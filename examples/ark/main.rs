//! `ark`: consistent, verified backup and restore of etcd.
//!
//! Results go to standard output, everything else to standard error; see `ark --help` for exit codes.

mod args;
mod commands;
mod connect;
mod consent;
mod duration;
mod failure;
mod human;
mod interrupt;
mod key;
mod output;
mod password;
mod progress;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use args::Args;
use failure::{Exit, Failure};
use interrupt::HeldBack;
use tokio::runtime::Runtime;

/// How long work on other threads may go on after the command is over: enough to remove a temporary file, too
/// short to notice where a read from a terminal never ends.
const GRACE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let outcome = run(Args::from_command_line());
    outcome.unwrap_or_else(|failure| failure.report())
}

fn run(args: Args) -> Result<ExitCode, Failure> {
    let held_back = HeldBack::new().map_err(|error| not_started(&error))?;
    let runtime = Runtime::new().map_err(|error| not_started(&error))?;
    let outcome = runtime.block_on(async {
        let mut interrupts = held_back.listen().map_err(|error| not_started(&error))?;
        commands::run(args, &mut interrupts).await
    });
    runtime.shutdown_timeout(GRACE);
    outcome
}

fn not_started(error: &io::Error) -> Failure {
    Failure::new(Exit::Other, format!("cannot start: {error}"))
}
