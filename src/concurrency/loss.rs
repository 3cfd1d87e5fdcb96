use std::error::Error as StdError;
use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::stream::LeaseLost;

/// Why a lock or a leadership is no longer held.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Loss {
    /// The lease that it was held with is lost.
    Lease(LeaseLost),
    /// Its key is gone: the lease ran out or was revoked, or someone deleted the key.
    Deleted,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lease(lost) => lost.fmt(f),
            Self::Deleted => f.write_str("the key that it was held with is gone"),
        }
    }
}

impl StdError for Loss {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Lease(lost) => lost.source(),
            Self::Deleted => None,
        }
    }
}

impl From<Loss> for Error {
    /// An error of the kind [`ErrorKind::Lost`].
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Lease(lost) => lost.into(),
            Loss::Deleted => Self::new(ErrorKind::Lost, loss.to_string()),
        }
    }
}
