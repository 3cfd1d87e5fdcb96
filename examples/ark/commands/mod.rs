//! What the command does, a file each.

mod applying;
mod backup;
mod bench;
mod check_config;
mod copy;
mod describe;
mod diff;
mod export;
mod find;
mod get;
mod import;
mod info;
#[cfg(feature = "encrypt")]
mod keygen;
mod ls;
mod origin;
mod plan;
mod restore;
mod saved_undo;
mod sink;
mod snapshot;
mod squeeze;
mod stdin;
mod undo;
mod unlock;
mod users;
mod verify;

use std::process::ExitCode;

use crate::args::{Args, Command, Snapshot};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupts;

pub(crate) async fn run(args: Args, interrupts: &mut Interrupts) -> Result<ExitCode, Failure> {
    let Args { command, connection, write_out: format } = args;
    let outcome = match command {
        Command::Diff(args) => {
            return interrupts.end(diff::run(args, &connection, format), read_only).await;
        }
        Command::Backup(args) => backup::run(args, &connection, format, interrupts).await,
        Command::Restore(args) => restore::run(args, &connection, format, interrupts).await,
        Command::Undo(args) => undo::run(args, &connection, format, interrupts).await,
        Command::Copy(args) => copy::run(args, &connection, format, interrupts).await,
        Command::CheckConfig(args) => {
            return interrupts.end(check_config::run(args, &connection, format), read_only).await;
        }
        Command::Bench(args) => interrupts.end(bench::run(args, &connection, format), read_only).await,
        Command::Plan(args) => interrupts.end(plan::run(args, &connection, format), read_only).await,
        Command::Snapshot(Snapshot::Save(args)) => {
            snapshot::save(args, &connection, format, interrupts).await
        }
        #[cfg(feature = "encrypt")]
        Command::Keygen(args) => keygen::run(args, format).await,
        Command::Verify(args) => interrupts.end(verify::run(args, &connection, format), read_only).await,
        Command::Info(args) => interrupts.end(info::run(args, format), read_only).await,
        Command::Ls(args) => interrupts.end(ls::run(args, format), read_only).await,
        Command::Find(args) => interrupts.end(find::run(args, format), read_only).await,
        Command::Export(args) => interrupts.end(export::run(args), read_only).await,
        Command::Import(args) => import::run(args, format, interrupts).await,
        Command::Get(args) => interrupts.end(get::run(args, format), read_only).await,
    };
    outcome.map(|()| ExitCode::SUCCESS)
}

/// The interruption of a command that changes nothing.
fn read_only() -> Failure {
    Failure::new(Exit::Interrupted, "interrupted")
}
