//! What an archive holds beside keys and leases: users and roles, members and alarms, the options of the
//! backup. A reader that does not know these frames may skip them.

mod auth;
mod list;
mod members;
mod options;

use bytes::Bytes;

use super::error::{Fault, FormatError};
use super::index::{FrameEntry, IndexRoot};
use super::layout::FrameType;
use super::wire::Malformed;

pub use auth::{Auth, AuthState, Role, RolePermission, User};
pub use members::{Members, RaisedAlarm, SavedMember};
pub use options::{BackupOption, Options};

/// One kind of facts, which has a frame of its own.
pub(crate) trait Facts: Sized {
    const FRAME: FrameType;

    fn decode(payload: &Bytes) -> Result<Self, Malformed>;

    /// Where the archive has its frame, if it has one.
    fn entry(root: &IndexRoot) -> Option<&FrameEntry> {
        Self::entries(root).next()
    }

    /// Where the archive has its frames.
    fn entries(root: &IndexRoot) -> impl Iterator<Item = &FrameEntry> {
        root.frames().iter().filter(|entry| entry.frame == Self::FRAME.byte())
    }

    /// Reads the frame from the bytes that its entry names.
    fn parse(bytes: Bytes, entry: &FrameEntry) -> Result<Self, FormatError> {
        let malformed = |Malformed| Fault::Malformed { what: Self::FRAME.name() }.at(entry.offset);
        Self::decode(&entry.payload(bytes)?).map_err(malformed)
    }
}
