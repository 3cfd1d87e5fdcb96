//! Progress on a terminal: how much is done, how fast it goes, how long it will take. Nothing elsewhere.

use std::fmt::Write;
use std::io::{Write as _, stderr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use etcd_ark::backup::{Phase, Progress};
use indicatif::{BinaryBytes, ProgressBar, ProgressState, ProgressStyle};
use tokio::io::AsyncRead;

use crate::human;

/// Often enough to look alive while a server takes its time.
const TICK: Duration = Duration::from_millis(200);

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Bytes,
    Keys,
}

impl Unit {
    fn template(self, total_known: bool) -> &'static str {
        match (self, total_known) {
            (Self::Bytes, false) => "{prefix} {spinner} {binary_bytes}, {binary_bytes_per_sec}, {elapsed}",
            (Self::Bytes, true) => {
                "{prefix} {percent:>3}% {wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left"
            }
            (Self::Keys, false) => "{prefix} {spinner} {human_pos} keys, {msg}, {rate}, {elapsed}",
            (Self::Keys, true) => {
                "{prefix} {percent:>3}% {wide_bar} {human_pos} of {human_len} keys, {msg}, {rate}, {eta} left"
            }
        }
    }

    fn style(self, total_known: bool) -> ProgressStyle {
        // The templates are constants: one that is none would show as a plain bar.
        let style = ProgressStyle::with_template(self.template(total_known));
        style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("rate", write_rate)
    }
}

fn write_rate(state: &ProgressState, out: &mut dyn Write) {
    // A rate that can't be written is missing from the line.
    let _ = write!(out, "{} keys/s", human::rate(state.per_sec()));
}

/// A line on standard error, if that is a terminal; gone when it is dropped.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    bar: ProgressBar,
    unit: Unit,
    restarts: AtomicU32,
}

impl ProgressLine {
    pub(crate) fn new(unit: Unit) -> Self {
        let bar = ProgressBar::new_spinner().with_style(unit.style(false));
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self { bar, unit, restarts: AtomicU32::new(0) }
    }

    /// Shows how far the phase has come; rate and time left are of the phase.
    pub(crate) fn show(&self, progress: Progress) {
        if self.restarts.swap(progress.restarts, Ordering::Relaxed) < progress.restarts {
            self.tell_restart(progress.restarts);
        }
        self.begin(phase_name(progress.phase), progress.total_keys);
        self.bar.set_message(BinaryBytes(progress.bytes).to_string());
        self.bar.set_position(progress.keys);
    }

    /// Says why it all begins again, even if standard error is no terminal.
    fn tell_restart(&self, restarts: u32) {
        self.bar.reset();
        let text = "note: the cluster compacted the revision that was being read; beginning anew";
        // Nothing is lost if nobody can read it.
        self.bar.suspend(|| drop(writeln!(stderr(), "{text} (restart {restarts})")));
    }

    /// Shows the bytes that are read through it.
    pub(crate) fn watch<R: AsyncRead + Unpin>(
        &self,
        reader: R,
        total: Option<u64>,
    ) -> impl AsyncRead + Unpin + use<R> {
        self.begin("verifying", total);
        self.bar.wrap_async_read(reader)
    }

    /// Shows bytes as they come.
    pub(crate) fn add_bytes(&self, count: u64, total: Option<u64>) {
        self.begin("saving", total);
        self.bar.inc(count);
    }

    /// Shows what is read in one of several ways.
    pub(crate) fn show_reading(&self, way: &str, keys: u64, bytes: u64) {
        self.begin(way, None);
        self.bar.set_message(BinaryBytes(bytes).to_string());
        self.bar.set_position(keys);
    }

    fn begin(&self, phase: &str, total: Option<u64>) {
        if self.bar.prefix() != phase {
            self.bar.reset();
            self.bar.set_prefix(phase.to_owned());
        }
        if total != self.bar.length() {
            self.bar.set_style(self.unit.style(total.is_some()));
            total.map_or_else(|| self.bar.unset_length(), |total| self.bar.set_length(total));
        }
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Fetching => "fetching",
        Phase::Reading => "reading",
        Phase::Verifying => "verifying",
        Phase::Comparing => "comparing",
        Phase::Writing => "writing",
        _ => "working",
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
