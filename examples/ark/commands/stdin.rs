//! Archives that come through standard input.

use std::fs::File;
use std::io::{self, IsTerminal, Seek};
use std::path::Path;

use tokio::task::spawn_blocking;

use crate::failure::{Exit, Failure};

/// Whether the name of a file stands for standard input.
pub(super) fn is_meant(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// All of it, in a temporary file without a name: an index can't be sought in a pipe. What is encrypted stays so.
pub(super) async fn spooled() -> Result<File, Failure> {
    if io::stdin().is_terminal() {
        return Err(
            Failure::usage("standard input is a terminal").help("pipe the archive in, or name a file")
        );
    }
    let spooled = spawn_blocking(spool).await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    spooled.map_err(|error| {
        Failure::new(Exit::Other, format!("cannot keep standard input in a temporary file: {error}"))
            .help("see to room there, or set TMPDIR")
    })
}

fn spool() -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    file.rewind()?;
    Ok(file)
}
