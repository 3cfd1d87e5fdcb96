//! Where an archive or a snapshot goes: a file that has its name only when it is complete, or standard output.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use etcd_ark::PendingFile;
use tokio::fs::File;
use tokio::io::AsyncWrite;

use crate::args::Target;
use crate::failure::{Exit, Failure};
use crate::output::Output;

#[derive(Debug)]
pub(super) enum Sink {
    File(PendingFile),
    Stdout(File),
}

impl Sink {
    /// Fails where nothing good could come of it, before anything is read from a server.
    pub(super) async fn open(target: &Target) -> Result<Self, Failure> {
        match target {
            Target::Stream if io::stdout().is_terminal() => {
                Err(Failure::usage("standard output is a terminal").help("redirect it, or name a file"))
            }
            _ => Self::open_text(target).await,
        }
    }

    /// As [`Sink::open`], for what a terminal may show.
    pub(super) async fn open_text(target: &Target) -> Result<Self, Failure> {
        match target {
            Target::File(path) => Ok(Self::File(PendingFile::create(path).await?)),
            Target::Stream => stdout().map(Self::Stdout).map_err(|error| {
                Failure::new(Exit::Other, format!("cannot write to standard output: {error}"))
            }),
        }
    }

    pub(super) async fn commit(self) -> Result<(), Failure> {
        match self {
            Self::File(file) => Ok(file.commit().await?),
            Self::Stdout(_) => Ok(()),
        }
    }

    fn writer(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        match self {
            Self::File(file) => Pin::new(file),
            Self::Stdout(file) => Pin::new(file),
        }
    }
}

/// A descriptor of its own: the library's standard output would look for line ends in what is written.
fn stdout() -> io::Result<File> {
    let descriptor = io::stdout().as_fd().try_clone_to_owned()?;
    Ok(File::from_std(descriptor.into()))
}

/// Where the result goes, given where the data goes.
pub(super) fn output(target: &Target) -> Output {
    match target {
        Target::File(_) => Output::Stdout,
        Target::Stream => Output::Stderr,
    }
}

/// What to say of an interrupted command that had begun to write there.
pub(super) fn interrupted(target: &Target) -> Failure {
    let what = match target {
        Target::File(path) => format!("interrupted; {} was not created", path.display()),
        Target::Stream => "interrupted; what went to standard output is incomplete".to_owned(),
    };
    Failure::new(Exit::Interrupted, what)
}

impl AsyncWrite for Sink {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writer().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_shutdown(cx)
    }
}
