//! The one error of the public API.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::types::Revision;

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type BoxError = Box<dyn StdError + Send + Sync>;

/// What went wrong, in terms of what a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Something of that name or id is there already: a lease, a user, an output file.
    AlreadyExists,
    /// The server does not know who is asking: no credentials, wrong ones, or an expired token.
    Auth,
    /// The revision that was asked for is no longer in the server's history.
    Compacted,
    /// The caller's own input can't work: a bad endpoint, an empty range, an unreadable certificate.
    Config,
    /// The cluster holds keys that the operation was told not to touch.
    Conflict,
    /// An archive or a snapshot is damaged or incomplete.
    Corrupt,
    /// The time allowed for the call ran out.
    Deadline,
    /// The member has not reached the revision that was asked for.
    FutureRevision,
    /// A local file could not be read or written.
    Io,
    /// What it rested on is lost: a [lease](crate::LeaseLost), a lock or a leadership.
    Lost,
    /// The server's database is full.
    NoSpace,
    /// What the request names does not exist: a lease, a member, a user.
    NotFound,
    /// The user is known but lacks the right.
    PermissionDenied,
    /// The peer broke the protocol, or does not speak it at all.
    Protocol,
    /// The server refused the request for a reason that repeating it won't change.
    Rejected,
    /// The server does not know this call yet; the message names the version of etcd that does.
    ServerTooOld,
    /// The server is overloaded and asks for patience.
    Throttled,
    /// The request or the answer exceeds a size limit.
    TooLarge,
    /// No member could be reached, or none was able to serve the request.
    Unavailable,
    /// The server does not know this call and is of another kind, or an archive needs a newer program.
    Unsupported,
}

/// Why an operation failed.
///
/// [`Error::kind`] says what to do about it; `Display` says what happened, where, and after how many
/// attempts; `source()` holds the cause beneath, which `Display` does not repeat.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    may_have_applied: bool,
    compacted_at: Option<Revision>,
    call: Option<CallContext>,
    source: Option<BoxError>,
}

/// The call in which an error arose.
#[derive(Clone, Debug)]
pub(crate) struct CallContext {
    pub(crate) rpc: &'static str,
    pub(crate) endpoint: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
    /// How other attempts failed, where it differs from the last.
    pub(crate) earlier: Option<String>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            may_have_applied: false,
            compacted_at: None,
            call: None,
            source: None,
        }))
    }

    #[must_use]
    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    #[must_use]
    pub(crate) fn with_call(mut self, call: CallContext) -> Self {
        self.0.call = Some(call);
        self
    }

    #[must_use]
    pub(crate) fn maybe_applied(mut self, maybe: bool) -> Self {
        self.0.may_have_applied = maybe;
        self
    }

    #[must_use]
    pub(crate) fn with_compacted_at(mut self, revision: Revision) -> Self {
        self.0.compacted_at = Some(revision);
        self
    }

    /// The same error, its message led by what was being done.
    #[must_use]
    pub(crate) fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message);
        self
    }

    /// The same error, of a call that came with this version of etcd.
    #[must_use]
    pub(crate) fn needs_version(mut self, version: &str) -> Self {
        self.0.kind = ErrorKind::ServerTooOld;
        self.0.message = format!("the server is too old, etcd {version} is needed: {}", self.0.message);
        self
    }

    /// What went wrong, in terms of what a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later without anyone changing anything.
    ///
    /// For a write, look at [`Error::may_have_applied`] as well before repeating it.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        use ErrorKind::{Deadline, FutureRevision, Throttled, Unavailable};
        matches!(self.0.kind, Deadline | FutureRevision | Throttled | Unavailable)
    }

    /// Whether a write that failed may have taken effect all the same.
    ///
    /// `false` means that it certainly did not. Reads never change anything and always say `false`.
    #[must_use]
    pub fn may_have_applied(&self) -> bool {
        self.0.may_have_applied
    }

    /// For a watch that ended with [`ErrorKind::Compacted`]: the oldest revision that could still be read then.
    /// Read the keys at that revision or a newer one, and watch from the one after it.
    #[must_use]
    pub fn compacted_at(&self) -> Option<Revision> {
        self.0.compacted_at
    }

    /// The endpoint that gave the last answer, or failed to.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.0.call.as_ref()?.endpoint.as_deref()
    }

    /// The call that failed, such as `KV/Range`.
    #[must_use]
    pub fn rpc(&self) -> Option<&'static str> {
        Some(self.0.call.as_ref()?.rpc)
    }

    /// How the attempts before the last one failed, and where: the last few ways, each once. `None` if they
    /// all failed as the last one did.
    #[must_use]
    pub fn earlier_failures(&self) -> Option<&str> {
        self.0.call.as_ref()?.earlier.as_deref()
    }

    /// How often the call was attempted; 0 if it never got that far.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.call.as_ref().map_or(0, |call| call.attempts)
    }

    /// How long the call took, all attempts together.
    #[must_use]
    pub fn elapsed(&self) -> Option<Duration> {
        Some(self.0.call.as_ref()?.elapsed)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if self.0.may_have_applied {
            f.write_str("; the write may have taken effect all the same")?;
        }
        self.0.call.as_ref().map_or(Ok(()), |call| write!(f, " ({call})"))
    }
}

impl fmt::Display for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rpc)?;
        if let Some(endpoint) = &self.endpoint {
            write!(f, " at {endpoint}")?;
        }
        let plural = if self.attempts == 1 { "" } else { "s" };
        write!(f, ", {} attempt{plural}, {:.1?}", self.attempts, self.elapsed)?;
        self.earlier.as_ref().map_or(Ok(()), |earlier| write!(f, "; before: {earlier}"))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("may_have_applied", &self.0.may_have_applied)
            .field("call", &self.0.call)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.0.source.as_deref()?)
    }
}
