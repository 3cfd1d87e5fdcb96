//! Archives as text, for other programs: docs/interchange.md has the formats. Text is read from anywhere, so it is
//! trusted no more than an archive is.

mod base64_bytes;
mod etcdctl;
mod export;
mod gather;
mod import;
mod json_lines;
mod lines;
mod run;
mod shield;
mod sorter;

pub use export::Export;
pub use import::{Import, ImportReport};

/// How records are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextFormat {
    /// A JSON object a line, with everything about a record, and leases. Written and read.
    JsonLines,
    /// What `etcdctl get -w json` prints. Written only.
    Etcdctl,
    /// The lines of SHIELD's etcd plugin: keys and values alone. Written and read.
    Shield,
}
