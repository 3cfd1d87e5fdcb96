//! The archive format: one self-contained backup at one revision, as `docs/format.md` specifies it.
//!
//! Everything here is pure computation on bytes, without IO, clock or threads: a [`Cutter`] gathers
//! records into blocks, [`RawBlock::seal`] hashes and compresses them (on any thread), an
//! [`Encoder`] puts the archive together; a [`Decoder`] takes it apart front to back, and the
//! chain [`Footer`], [`IndexRoot`], [`IndexLeaf`], [`Block`] finds single keys in a source that can seek.
//!
//! Input is never trusted: whatever the bytes, reading them ends in a typed [`FormatError`] or in
//! records that are exactly those that were written, and holds no more than one frame in memory.

#![warn(clippy::indexing_slicing)]

mod block;
mod checker;
mod cutter;
mod decoder;
mod encoder;
mod error;
mod facts;
mod fixed;
mod footer;
mod frame;
mod hash;
mod header;
mod index;
mod intact;
mod layout;
mod lease;
mod ledger;
mod lost;
mod opened;
mod record;
mod salvage;
mod structure;
#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests may fail by panicking")]
mod tests;
mod wire;

pub use block::{Block, Compression, RawBlock, SealedBlock};
pub(crate) use cutter::BlockEnds;
pub use cutter::Cutter;
pub use decoder::{Accepted, Decoder, Event};
pub use encoder::Encoder;
pub use error::{EncodeError, Fault, FormatError};
pub(crate) use facts::Facts;
pub use facts::{
    Auth, AuthState, BackupOption, Members, Options, RaisedAlarm, Role, RolePermission, SavedMember, User,
};
pub use footer::{Footer, Summary};
#[cfg(feature = "encrypt")]
pub(crate) use frame::AGE_MAGIC;
pub use frame::Frame;
pub use hash::Root;
pub(crate) use hash::{ContentRoot, content_hash, state_hash};
pub use header::Header;
pub(crate) use index::BlockOrder;
pub use index::{BlockEntry, FrameEntry, IndexLeaf, IndexRoot, LeafEntry};
pub(crate) use intact::{CheckedFrame, Intact};
pub use layout::{MAX_LEASES_PER_FRAME, MAX_RECORD_BYTES};
pub use lease::Lease;
pub use lost::LostKeys;
pub use opened::Opened;
pub use record::Records;
pub use salvage::{Salvage, Salvaged};
pub(crate) use structure::Structure;
