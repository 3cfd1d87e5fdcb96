use super::Member;
use crate::client::request::header;
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{HashKvRequest, HashKvResponse, HashRequest, HashResponse};
use crate::types::{Header, Revision};

const HASH: Rpc = Rpc::new("/etcdserverpb.Maintenance/Hash");
const HASH_KV: Rpc = Rpc::new("/etcdserverpb.Maintenance/HashKV");

impl Member {
    /// Hashes the history that the member holds, up to a revision; `None` is its newest.
    ///
    /// Two members hold the same exactly if their hashes are equal, provided that compacted and hashed
    /// revisions are, too: so name the revision, and compare those. The member reads its whole database.
    ///
    /// # Errors
    ///
    /// As [`Member::status`]; [`ErrorKind::Compacted`](crate::ErrorKind::Compacted) and
    /// [`ErrorKind::FutureRevision`](crate::ErrorKind::FutureRevision) for revisions that the member no longer or
    /// not yet has, [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) for any but root once
    /// authentication is on.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn hash_kv(&self, revision: impl Into<Option<Revision>>) -> Result<HashKvResult> {
        let message = HashKvRequest { revision: revision.into().unwrap_or_default().0 };
        let timeout = self.transport().request_timeout();
        HashKvResult::from_wire(self.ask(HASH_KV, RetryClass::Read, &message, timeout).await?)
    }

    /// Hashes the member's whole database, users and leases included, as it happens to be: etcd's own tests
    /// use it. To compare members there is [`Member::hash_kv`].
    ///
    /// # Errors
    ///
    /// As [`Member::status`]; [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) for any but
    /// root once authentication is on.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn hash(&self) -> Result<HashResult> {
        let timeout = self.transport().request_timeout();
        let wire: HashResponse = self.ask(HASH, RetryClass::Read, &HashRequest {}, timeout).await?;
        Ok(HashResult { header: header(wire.header)?, hash: wire.hash })
    }
}

/// The answer to [`Member::hash_kv`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashKvResult {
    /// The member itself, and its revision.
    pub header: Header,
    /// The hash.
    pub hash: u32,
    /// The revision before which history was compacted; `None` if it never was.
    pub compact_revision: Option<Revision>,
    /// The revision up to which history was hashed; `None` from servers before 3.6.
    pub hash_revision: Option<Revision>,
}

impl HashKvResult {
    fn from_wire(wire: HashKvResponse) -> Result<Self> {
        // Servers say -1 where nothing was compacted.
        let some = |revision: i64| (revision > 0).then_some(Revision(revision));
        Ok(Self {
            header: header(wire.header)?,
            hash: wire.hash,
            compact_revision: some(wire.compact_revision),
            hash_revision: some(wire.hash_revision),
        })
    }
}

/// The answer to [`Member::hash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashResult {
    /// The member itself.
    pub header: Header,
    /// The hash.
    pub hash: u32,
}
