use std::error::Error as StdError;
use std::fmt;
use std::iter;
use std::time::Duration;

use super::code::Code;
use super::status::{self, Remedy};
use crate::error::ErrorKind;

/// How one attempt failed, told where it happened: a library's status code would have lost it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection came about.
    Dial(String),
    /// No connection came about within the connect timeout, which is this long.
    SlowDial(Duration),
    /// This attempt's time ran out before there was a connection.
    NotConnected,
    /// There was a connection, but the request never went onto it.
    NotSent(String),
    /// The connection broke after the request had, or may have, left.
    Lost(String),
    /// This attempt's time ran out.
    TimedOut,
    /// The answer is larger than the client accepts.
    AnswerTooLarge(String),
    /// The answer is no message of the expected type.
    Malformed(String),
    /// The server answered with an error.
    Server { code: Code, message: String },
}

impl Failure {
    /// What can be done about it.
    pub(crate) fn remedy(&self) -> Remedy {
        match self {
            Self::Dial(_) | Self::SlowDial(_) | Self::NotConnected | Self::NotSent(_) => Remedy::TryElsewhere,
            Self::Lost(_) | Self::TimedOut => Remedy::Ambiguous,
            // The server has done its part; asking again would give the same answer.
            Self::AnswerTooLarge(_) | Self::Malformed(_) => Remedy::Final,
            Self::Server { code, message } => status::classify(*code, message).1,
        }
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Dial(_) | Self::SlowDial(_) | Self::NotSent(_) | Self::Lost(_) => ErrorKind::Unavailable,
            Self::NotConnected | Self::TimedOut => ErrorKind::Deadline,
            Self::AnswerTooLarge(_) => ErrorKind::TooLarge,
            Self::Malformed(_) => ErrorKind::Protocol,
            Self::Server { code, message } => status::classify(*code, message).0,
        }
    }

    /// Whether it is a server's answer with this text.
    pub(crate) fn says(&self, text: &str) -> bool {
        matches!(self, Self::Server { message, .. } if message.contains(text))
    }

    /// Whether a write may have been carried out although it failed this way.
    pub(crate) fn may_have_applied(&self) -> bool {
        let answered = matches!(self, Self::AnswerTooLarge(_) | Self::Malformed(_));
        answered || matches!(self.remedy(), Remedy::Ambiguous | Remedy::Futile)
    }

    /// Whether the member that it comes from can't serve. That a member answers with an error is no sign of
    /// it, unless the error says so.
    pub(crate) fn shows_ill_health(&self) -> bool {
        self.kind() == ErrorKind::Unavailable && self.remedy() != Remedy::Final
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(cause) => write!(f, "cannot connect: {cause}"),
            Self::SlowDial(timeout) => {
                write!(f, "cannot connect: no connection within the connect timeout of {timeout:?}")
            }
            Self::NotConnected => f.write_str("no connection in time"),
            Self::NotSent(cause) => write!(f, "request not sent: {cause}"),
            Self::Lost(cause) => write!(f, "connection lost: {cause}"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::AnswerTooLarge(cause) => write!(f, "answer too large: {cause}"),
            Self::Malformed(cause) => write!(f, "answer not understood: {cause}"),
            Self::Server { code, message } if message.is_empty() => write!(f, "server answered {code:?}"),
            Self::Server { message, .. } => f.write_str(message),
        }
    }
}

impl StdError for Failure {}

/// An error and its causes on one line.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let causes = iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
