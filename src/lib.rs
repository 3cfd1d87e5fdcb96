//! An etcd v3 client that survives real clusters, with consistent, verified backup and restore on top.
//!
//! # The client
//!
//! [`Client`] balances over the members it is given, retries what may be retried, and keeps its
//! token fresh. Requests are values ([`Get`], [`Put`], [`Delete`], [`Txn`] and so on), sent by
//! [`Client::send`]; the usual ones have a method of their own. All methods take `&self`, and a
//! client is cheap to clone.
//!
//! ```no_run
//! use etcd_ark::{Client, Compare, Put, Txn};
//!
//! # async fn example() -> etcd_ark::Result<()> {
//! let client = Client::connect(["http://10.0.0.1:2379", "http://10.0.0.2:2379"]).await?;
//! client.put("/app/config", "on").await?;
//!
//! let claim = Txn::new().when(Compare::absent("/app/owner")).then(Put::new("/app/owner", "me"));
//! println!("mine: {}", client.send(claim).await?.succeeded);
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::builder`] sets credentials, TLS and time limits. [`Client::namespace`] is a view of the keys with one
//! prefix. [`Client::scan`] reads a range of any size at one revision. [`Client::members`] gives the members
//! one by one, for [`Member::status`], [`Member::defragment`], [`Member::snapshot`] and so on. Users, roles,
//! members and alarms are administered by requests, too: [`AddUser`], [`AddMember`], [`ListAlarms`]. The servers'
//! own locks and elections are in [`service`].
//!
//! # Errors
//!
//! There is one [`Error`]. Its [kind](Error::kind) says what to do about it,
//! [`is_retryable`](Error::is_retryable) whether time alone may cure it, and
//! [`may_have_applied`](Error::may_have_applied) whether a write that failed may be there all the same.
//!
//! # Backups
//!
//! With feature `backup`, which is on by default: [`backup::Backup`] saves a range at one revision,
//! [`backup::verify`](fn@backup::verify) checks an archive, [`backup::ArchiveFile`] finds single keys in one, and
//! [`backup::Restore`] writes it, or a part of it, into a live cluster. [`archive`] is the format alone,
//! without IO.
//!
//! # Features
//!
//! - `tls` (default): `https` endpoints, by rustls with ring.
//! - `discovery`: endpoints from DNS SRV records, [`Discovery`].
//! - `backup` (default): archives. Without it the client needs no compression or hashing crates.
//! - `encrypt`: archives in the age format, to recipients or a passphrase.

#[cfg(feature = "backup")]
pub mod archive;
#[cfg(feature = "backup")]
pub mod backup;
mod client;
mod concurrency;
mod error;
mod net;
mod pb;
#[cfg(feature = "backup")]
mod store;
mod stream;
mod types;
mod util;

pub use client::service;
pub use client::{
    Access, AddMember, AddMemberResult, AddRole, AddUser, Alarm, AlarmKind, AuthResult, AuthStatus,
    AuthStatusResult, ChangeMembersResult, ChangePassword, Client, ClientBuilder, Compact, CompactResult,
    Compare, Delete, DeleteResult, DeleteRole, DeleteUser, DisableAuth, DisarmAlarm, DisarmAlarmResult,
    Downgrade, DowngradeResult, EnableAuth, Get, GetResult, GetRole, GetRoleResult, GetStream, GetTail,
    GetUser, GetUserResult, GrantLease, GrantLeaseResult, GrantPermission, GrantRole, HashKvResult,
    HashResult, LeaseTimeToLive, LeaseTimeToLiveResult, LeaseTimes, ListAlarms, ListAlarmsResult, ListLeases,
    ListLeasesResult, ListMembers, ListMembersResult, ListRoles, ListRolesResult, ListUsers, ListUsersResult,
    Member, MemberInfo, Operation, OperationResult, Permission, PromoteMember, Put, PutResult, RaiseAlarm,
    RaiseAlarmResult, Relation, RemoveMember, Request, RevokeLease, RevokeLeaseResult, RevokePermission,
    RevokeRole, SortOrder, SortTarget, Status, StatusDowngrade, Txn, TxnResult, UpdateMember,
};
pub use concurrency::{Election, LeaderStream, Leadership, LockGuard, Loss};
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "discovery")]
pub use net::Discovery;
#[cfg(feature = "tls")]
pub use net::TlsConfig;
pub use net::{Credentials, Endpoint, EndpointHealth};
#[cfg(feature = "backup")]
pub use store::PendingFile;
pub use stream::{
    Event, FollowStream, FollowUpdate, LeaseKeeper, LeaseLost, RevisionEvents, Scan, ScanPage, ScanStream,
    ScanWay, SnapshotStream, Watch, WatchStream, WatchUpdate,
};
pub use types::{ClusterId, Header, KeyRange, KeyValue, LeaseId, MemberId, Revision};
pub use util::Escaped;

/// The page's code, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../docs/from-etcd-client.md")]
struct FromEtcdClient;

/// The README's example, so that it compiles.
#[cfg(all(doctest, feature = "backup"))]
#[doc = include_str!("../README.md")]
struct Readme;
