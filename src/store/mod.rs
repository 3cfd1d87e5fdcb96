//! Where archives live. Knows nothing of their content. Used by `backup`.

mod pending_file;

pub use pending_file::PendingFile;
