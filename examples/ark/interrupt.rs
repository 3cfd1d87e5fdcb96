//! ctrl-C and SIGTERM: the command ends in good order instead of dying.

use std::io::{self, IsTerminal, Write};

use nix::sys::signal::{SigSet, Signal as Number};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// The signals that ask a command to end, kept waiting: one that came between a handler and its listener would
/// be lost.
#[derive(Debug)]
pub(crate) struct HeldBack(SigSet);

impl HeldBack {
    /// To be called before other threads begin, which inherit it: else a signal would come to one of them.
    pub(crate) fn new() -> io::Result<Self> {
        let signals = SigSet::from_iter([Number::SIGINT, Number::SIGTERM]);
        signals.thread_block()?;
        Ok(Self(signals))
    }

    /// On the same thread, within a runtime.
    pub(crate) fn listen(self) -> io::Result<Interrupts> {
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        self.0.thread_unblock()?;
        Ok(Interrupts { interrupt, terminate })
    }
}

/// Who listens for them, from the command's start on.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
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
