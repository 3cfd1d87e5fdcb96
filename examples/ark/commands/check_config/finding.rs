use etcd_ark::Error;

use crate::failure::{Exit, Failure};
use crate::human::Printable;
use crate::output::Report;

/// What was found about one setting.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    field: String,
    pub(super) verdict: Verdict,
    reason: String,
    exit: Exit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    Bad,
    Unchecked,
}

impl Finding {
    fn new(field: impl Into<String>, verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { field: field.into(), verdict, reason: reason.into(), exit: Exit::Other }
    }

    pub(super) fn good(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new(field, Verdict::Good, reason)
    }

    pub(super) fn bad(field: impl Into<String>, exit: Exit, reason: impl Into<String>) -> Self {
        Self { exit, ..Self::new(field, Verdict::Bad, reason) }
    }

    pub(super) fn unchecked(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new(field, Verdict::Unchecked, reason)
    }

    pub(super) fn failed(field: impl Into<String>, failure: &Failure) -> Self {
        Self::bad(field, failure.exit(), failure.summary())
    }

    pub(super) fn error(field: impl Into<String>, error: Error) -> Self {
        Self::failed(field, &error.into())
    }

    /// The exit code that it asks for.
    pub(super) fn exit(&self) -> Option<Exit> {
        (self.verdict == Verdict::Bad).then_some(self.exit)
    }

    pub(super) fn line(&self) -> String {
        let mark = match self.verdict {
            Verdict::Good => '✓',
            Verdict::Bad => '✗',
            Verdict::Unchecked => '?',
        };
        format!("{mark} {}: {}\n", self.field, Printable(self.reason.as_bytes()))
    }

    pub(super) fn describe(&self) -> Report {
        let result = match self.verdict {
            Verdict::Good => "good",
            Verdict::Bad => "bad",
            Verdict::Unchecked => "unchecked",
        };
        Report::default().text("field", &self.field).text("result", result).text("reason", &self.reason)
    }
}
