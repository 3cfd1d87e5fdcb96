mod check;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};

use self::check::SnapshotCheck;
use crate::client::{Member, decode};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Answers, Call, RetryClass, Rpc, Target, Windows};
use crate::pb::etcdserverpb::SnapshotResponse;

const SNAPSHOT: Rpc = Rpc::new("/etcdserverpb.Maintenance/Snapshot");
/// The longest silence in the middle of a snapshot.
const STALL: Duration = Duration::from_secs(30);

impl Member {
    /// Streams the member's database file, as `etcdctl snapshot save` writes it: the file, then the
    /// SHA-256 of it.
    ///
    /// The digest is checked while streaming, and delivered only if it is right: what was received
    /// is a good snapshot exactly if the stream ends without an error. The bytes come over a
    /// connection of their own. With authentication on, the user needs the root role.
    ///
    /// # Errors
    ///
    /// When opening, as [`Member::status`]. From the stream, which ends with its first error:
    /// [`ErrorKind::Corrupt`] if the digest is wrong or the data is cut short,
    /// [`ErrorKind::Unavailable`] if the connection breaks, [`ErrorKind::Deadline`] after 30 s of
    /// silence.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; both future and stream may be dropped at any time.
    pub async fn snapshot(&self) -> Result<SnapshotStream> {
        let transport = self.transport();
        let call = Call {
            rpc: SNAPSHOT,
            class: RetryClass::Read,
            target: Target::Exactly(Arc::clone(self.connection())),
            deadline: Instant::now() + transport.request_timeout(),
        };
        let connection = self.connection().sibling(Windows::BULK);
        let answers = transport.open(&connection, &call, Bytes::new()).await?;
        Ok(SnapshotStream::new(answers))
    }
}

/// A snapshot's bytes, in order. Made by [`Member::snapshot`].
pub struct SnapshotStream {
    chunks: BoxStream<'static, Result<Bytes>>,
}

impl SnapshotStream {
    fn new(answers: Answers) -> Self {
        let first = Some((answers, SnapshotCheck::new()));
        let chunks = stream::unfold(first, |state| async {
            let (mut answers, mut check) = state?;
            match next_chunk(&mut answers, &mut check).await {
                Ok(None) => None,
                Ok(Some(chunk)) => Some((Ok(chunk), Some((answers, check)))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Self { chunks: chunks.boxed() }
    }
}

async fn next_chunk(answers: &mut Answers, check: &mut SnapshotCheck) -> Result<Option<Bytes>> {
    let corrupt = |fault| Error::new(ErrorKind::Corrupt, "the snapshot is not good").with_source(fault);
    let Some(answer) = answers.next(STALL).await? else {
        return check.finish().map(|()| None).map_err(corrupt);
    };
    let message: SnapshotResponse = decode(answer)?;
    check.accept(message.remaining_bytes, &message.blob).map_err(corrupt)?;
    Ok(Some(message.blob))
}

impl Stream for SnapshotStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.poll_next_unpin(cx)
    }
}

impl fmt::Debug for SnapshotStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotStream").finish_non_exhaustive()
    }
}
