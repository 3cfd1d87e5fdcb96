//! Whether archives can go where they are to go.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use nix::sys::statvfs::statvfs;

use super::finding::Finding;
use crate::failure::Exit;
use crate::human;

/// `needed` is what the cluster's data takes, if that is known: an archive is smaller, most of the time.
pub(super) fn check(folder: &Path, needed: Option<u64>) -> Finding {
    let field = format!("store {}", folder.display());
    let free = try_writing(folder).and_then(|()| Ok(statvfs(folder)?));
    match free.map(|stat| stat.blocks_available().saturating_mul(stat.fragment_size())) {
        Err(error) => Finding::bad(field, Exit::Usage, format!("can't be written to: {error}")),
        Ok(free) if needed.is_some_and(|needed| needed > free) => {
            let needed = human::bytes(needed.unwrap_or_default());
            let what = format!("{} free, but the cluster's data takes {needed}", human::bytes(free));
            Finding::bad(field, Exit::Other, what)
        }
        Ok(free) => Finding::good(field, format!("can be written to; {} free", human::bytes(free))),
    }
}

/// By a file that is removed again.
fn try_writing(folder: &Path) -> io::Result<()> {
    let probe: PathBuf = folder.join(format!(".ark-check-{}.part", process::id()));
    File::create_new(&probe)?.sync_all()?;
    std::fs::remove_file(&probe)
}
