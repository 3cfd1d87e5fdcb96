//! An etcd v3 client that survives real clusters, with consistent, verified backup and restore on top.

#[cfg(feature = "backup")]
pub mod archive;
mod error;
mod pb;
mod types;
mod util;

pub use error::{Error, ErrorKind, Result};
pub use types::{ClusterId, Header, KeyRange, KeyValue, LeaseId, MemberId, Revision};
pub use util::Escaped;
