//! Archives as text, for other programs: docs/interchange.md has the formats. Text is read from anywhere, so it is
//! trusted no more than an archive is.

mod base64_bytes;
mod etcdctl;
mod export;
mod from_etcdctl;
mod gather;
mod import;
mod json_facts;
mod json_lines;
mod lines;
mod metered;
mod run;
mod shield;
mod sorter;

pub use export::Export;
pub use import::{Import, ImportReport};

/// How records are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextFormat {
    /// A JSON object a line, with all that an archive holds. Written and read.
    JsonLines,
    /// What `etcdctl get -w json` prints: keys and values with their revisions, and the ids of leases. Written and read.
    Etcdctl,
    /// The lines of SHIELD's etcd plugin: keys and values alone. Written and read.
    Shield,
}
