//! ctrl-C and SIGTERM: the command ends in good order instead of dying.

use std::io::{self, IsTerminal, Write};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// The signals that ask a command to end, from its start on.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    pub(crate) fn new() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { interrupt, terminate })
    }

    /// Does the work, or drops it when a signal comes; what then to say is asked after it is dropped.
    pub(crate) async fn end<T>(
        &mut self,
        work: impl Future<Output = Result<T, Failure>>,
        interrupted: impl FnOnce() -> Failure,
    ) -> Result<T, Failure> {
        tokio::select! {
            outcome = work => return outcome,
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        if io::stderr().is_terminal() {
            // Past the ^C that the terminal shows, and past a question without an answer.
            let _ = writeln!(io::stderr());
        }
        Err(interrupted())
    }
}
