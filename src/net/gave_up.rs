use std::time::Instant;

use super::causes::Causes;
use super::failure::Failure;
use super::retry::Trial;
use super::rpc::Rpc;
use super::status::Remedy;
use crate::error::{CallContext, Error, ErrorKind};

/// A call's last failure and how far it got.
#[derive(Debug)]
pub(crate) struct GaveUp {
    failure: Failure,
    endpoint: Option<String>,
    attempts: u32,
    may_have_applied: bool,
    /// How earlier attempts failed.
    earlier: Causes,
}

impl GaveUp {
    /// `failure` is the last attempt's, at `endpoint`; `earlier` are those before it.
    pub(super) fn after(trial: &Trial, endpoint: String, failure: Failure, mut earlier: Causes) -> Self {
        earlier.take(&endpoint, &failure);
        Self {
            failure,
            earlier,
            endpoint: Some(endpoint),
            attempts: trial.attempts(),
            may_have_applied: trial.may_have_applied(),
        }
    }

    /// A failure of one attempt at something that changes nothing.
    pub(super) fn at(endpoint: impl Into<String>, failure: Failure) -> Self {
        Self { endpoint: Some(endpoint.into()), attempts: 1, ..Self::before_any(failure) }
    }

    /// A failure that no attempt of the call itself had a part in.
    pub(super) fn before_any(failure: Failure) -> Self {
        Self { failure, endpoint: None, attempts: 0, may_have_applied: false, earlier: Causes::default() }
    }

    pub(super) fn says(&self, text: &str) -> bool {
        self.failure.says(text)
    }

    pub(super) fn wants_fresh_token(&self) -> bool {
        self.failure.remedy() == Remedy::Reauthenticate
    }

    pub(super) fn may_have_applied(&self) -> bool {
        self.may_have_applied
    }

    /// The same end of a call that may have been carried out before.
    pub(super) fn maybe_applied(self, before: bool) -> Self {
        Self { may_have_applied: self.may_have_applied || before, ..self }
    }

    pub(super) fn into_error(self, rpc: Rpc, began: Instant) -> Error {
        let call = CallContext {
            rpc: rpc.name(),
            endpoint: self.endpoint,
            attempts: self.attempts,
            elapsed: began.elapsed(),
            earlier: (!self.earlier.is_empty()).then(|| self.earlier.to_string()),
        };
        let kind = self.failure.kind();
        Error::new(kind, explain(kind, &self.failure)).with_call(call).maybe_applied(self.may_have_applied)
    }
}

/// The failure, and what to do about it where that is not plain.
fn explain(kind: ErrorKind, failure: &Failure) -> String {
    let advice = match kind {
        ErrorKind::Auth if failure.says("user name is empty") => "the cluster wants a user and password",
        ErrorKind::Auth => "check user and password",
        ErrorKind::NoSpace => "compact, defragment each member, then disarm the alarm",
        _ => return failure.to_string(),
    };
    format!("{failure}; {advice}")
}
