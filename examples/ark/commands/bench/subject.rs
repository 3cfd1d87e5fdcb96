//! What is measured: the keys of a range, at one revision.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use etcd_ark::{Client, Get, KeyRange, Member, Revision};
use futures_util::future::join_all;

use crate::args::Connection;
use crate::connect::connect_apart;
use crate::failure::{Exit, Failure};

/// As for the pages of a backup. The first has the server count all keys.
pub(super) const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// No page, not even one of 1,000 keys, needs more memory than this.
const LARGEST_ANSWER: usize = 256 << 20;

#[derive(Debug)]
pub(super) struct Subject {
    /// Whose reading is measured.
    pub(super) client: Client,
    /// Who goes about other things meanwhile.
    pub(super) others: Client,
    pub(super) range: KeyRange,
    pub(super) revision: Revision,
    pub(super) keys: u64,
    /// The first of them.
    pub(super) key: Bytes,
    /// A member that tells how it is, and how many bytes its database has.
    pub(super) member: Option<(Member, u64)>,
    /// Of the members that tell.
    pub(super) versions: BTreeSet<String>,
}

impl Subject {
    pub(super) async fn open(range: KeyRange, connection: &Connection) -> Result<Self, Failure> {
        let (client, others) = connect_apart(connection, LARGEST_ANSWER).await?;
        let first = Get::new(range.clone()).limit(1).keys_only();
        let first = client.send_within(first, PAGE_TIMEOUT).await?;
        let (revision, keys) = (first.header.revision, first.count);
        let key = first.kvs.into_iter().next().ok_or_else(|| nothing_there(&range))?.key;
        let (mut member, mut versions) = (None, BTreeSet::new());
        let ask = async |member: Member| member.status().await.ok().map(|status| (member, status));
        for (asked, status) in join_all(client.members().into_iter().map(ask)).await.into_iter().flatten() {
            versions.insert(status.version);
            member.get_or_insert((asked, status.db_size));
        }
        Ok(Self { client, others, range, revision, keys, key, member, versions })
    }
}

fn nothing_there(range: &KeyRange) -> Failure {
    let failure =
        Failure::new(Exit::Other, format!("there is nothing to measure: the cluster holds none of {range}"));
    failure.help("give another --prefix, or none for all keys")
}
