use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};

/// Why a lease is no longer held.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LeaseLost {
    /// The server has no such lease any more: it ran out or was revoked, and its keys are gone.
    Gone,
    /// No renewal was answered in time. The server may have the lease for a while yet, but it may give its
    /// keys to others at any moment.
    Expired {
        /// Why the last attempt failed; `None` if it was merely not answered.
        last_failure: Option<Arc<Error>>,
    },
}

impl LeaseLost {
    fn message(&self) -> &'static str {
        match self {
            Self::Gone => "the lease is gone: it ran out at the server or was revoked",
            Self::Expired { .. } => "the lease could not be renewed in time",
        }
    }

    fn last_failure(&self) -> Option<&Arc<Error>> {
        match self {
            Self::Gone => None,
            Self::Expired { last_failure } => last_failure.as_ref(),
        }
    }
}

impl fmt::Display for LeaseLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl StdError for LeaseLost {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.last_failure().map(|failure| &**failure as _)
    }
}

impl From<LeaseLost> for Error {
    /// An error of the kind [`ErrorKind::Lost`].
    fn from(lost: LeaseLost) -> Self {
        let error = Self::new(ErrorKind::Lost, lost.message());
        match lost.last_failure() {
            Some(failure) => error.with_source(Arc::clone(failure)),
            None => error,
        }
    }
}
