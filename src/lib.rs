//! An etcd v3 client that survives real clusters, with consistent, verified backup and restore on top.

#[cfg(feature = "backup")]
pub mod archive;
#[cfg(feature = "backup")]
pub mod backup;
mod client;
mod error;
mod net;
mod pb;
#[cfg(feature = "backup")]
mod store;
mod stream;
mod types;
mod util;

pub use client::{
    Client, ClientBuilder, Compact, CompactResult, Compare, Delete, DeleteResult, Get, GetResult, GrantLease,
    GrantLeaseResult, LeaseTimeToLive, LeaseTimeToLiveResult, LeaseTimes, ListMembers, ListMembersResult,
    Member, MemberInfo, Operation, OperationResult, Put, PutResult, Relation, Request, RevokeLease,
    RevokeLeaseResult, Status, Txn, TxnResult,
};
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "tls")]
pub use net::TlsConfig;
pub use net::{Credentials, Endpoint};
#[cfg(feature = "backup")]
pub use store::PendingFile;
pub use stream::{Scan, ScanPage, ScanStream, SnapshotStream};
pub use types::{ClusterId, Header, KeyRange, KeyValue, LeaseId, MemberId, Revision};
pub use util::Escaped;
