//! The vocabulary of every floor: identifiers, keys, ranges, key-values.
//!
//! Plain values without IO. Any floor may use them.

mod header;
mod ids;
mod key_range;
mod key_value;
mod namespace;

pub use header::Header;
pub use ids::{ClusterId, LeaseId, MemberId, Revision};
pub use key_range::KeyRange;
pub use key_value::KeyValue;
pub(crate) use namespace::Namespace;
