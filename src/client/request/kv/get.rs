use bytes::Bytes;

use super::super::{Request, WireCall, decode, header};
use super::get_stream::Limits;
use super::{stripped, wire_range};
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{RangeRequest, RangeResponse, range_request};
use crate::types::{Header, KeyRange, KeyValue, Namespace, Revision};

const RANGE: Rpc = Rpc::new("/etcdserverpb.KV/Range");

/// Reads the keys of a range.
///
/// By default linearizable, at the newest revision, ascending, without a limit. The whole answer is held in
/// memory; for large ranges use [`Client::scan`](crate::Client::scan).
#[derive(Clone, Debug)]
pub struct Get {
    range: KeyRange,
    revision: Option<Revision>,
    limit: u32,
    serializable: bool,
    keys_only: bool,
    count_only: bool,
    sort: (SortTarget, SortOrder),
    mod_revisions: Bounds,
    create_revisions: Bounds,
}

/// The lowest and the highest revision that passes; 0 is no bound, as on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bounds {
    min: Revision,
    max: Revision,
}

/// By what a [`Get`] sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortTarget {
    /// The key.
    Key,
    /// How often the key was put since it was created.
    Version,
    /// The revision that created the key.
    CreateRevision,
    /// The revision of the key's last put.
    ModRevision,
    /// The value.
    Value,
}

/// Which comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortOrder {
    /// The lowest.
    Ascending,
    /// The highest.
    Descending,
}

impl Get {
    /// Reads this range; a bare key is exactly that key.
    #[must_use]
    pub fn new(range: impl Into<KeyRange>) -> Self {
        Self {
            range: range.into(),
            revision: None,
            limit: 0,
            serializable: false,
            keys_only: false,
            count_only: false,
            sort: (SortTarget::Key, SortOrder::Ascending),
            mod_revisions: Bounds::default(),
            create_revisions: Bounds::default(),
        }
    }

    /// Reads as of this revision instead of the newest.
    #[must_use]
    pub fn at(self, revision: Revision) -> Self {
        Self { revision: Some(revision), ..self }
    }

    /// Returns at most this many keys, the first ones in the order asked for; 0 is no limit.
    #[must_use]
    pub fn limit(self, limit: u32) -> Self {
        Self { limit, ..self }
    }

    /// Lets any member answer from what it has, without asking the others: faster, and perhaps old.
    #[must_use]
    pub fn serializable(self) -> Self {
        Self { serializable: true, ..self }
    }

    /// Leaves the values out. On 3.7 servers the lease is then missing too.
    #[must_use]
    pub fn keys_only(self) -> Self {
        Self { keys_only: true, ..self }
    }

    /// Returns the count alone.
    #[must_use]
    pub fn count_only(self) -> Self {
        Self { count_only: true, ..self }
    }

    /// Returns the keys in this order. Default: by key, ascending. For any other the server reads the
    /// whole range, whatever the limit.
    #[must_use]
    pub fn sort_by(self, target: SortTarget, order: SortOrder) -> Self {
        Self { sort: (target, order), ..self }
    }

    /// Leaves out keys whose last put was before this revision. Like the other bounds: the server
    /// reads the whole range all the same, the limit counts what is left, the count does not.
    #[must_use]
    pub fn min_mod_revision(mut self, revision: Revision) -> Self {
        self.mod_revisions.min = revision;
        self
    }

    /// Leaves out keys whose last put was after this revision.
    #[must_use]
    pub fn max_mod_revision(mut self, revision: Revision) -> Self {
        self.mod_revisions.max = revision;
        self
    }

    /// Leaves out keys that were created before this revision.
    #[must_use]
    pub fn min_create_revision(mut self, revision: Revision) -> Self {
        self.create_revisions.min = revision;
        self
    }

    /// Leaves out keys that were created after this revision.
    #[must_use]
    pub fn max_create_revision(mut self, revision: Revision) -> Self {
        self.create_revisions.max = revision;
        self
    }

    /// Whether the server can answer in parts.
    pub(super) fn streams(&self) -> bool {
        let bounds = [self.mod_revisions, self.create_revisions];
        self.sort == (SortTarget::Key, SortOrder::Ascending) && bounds == [Bounds::default(); 2]
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { keys: self.limit.into(), count_only: self.count_only }
    }

    pub(in crate::client) fn message(&self, namespace: &Namespace) -> Result<RangeRequest> {
        let (key, range_end) = wire_range(&self.range, namespace)?;
        let (target, order) = wire_sort(self.sort);
        Ok(RangeRequest {
            key,
            range_end,
            limit: self.limit.into(),
            revision: self.revision.map_or(0, |revision| revision.0),
            serializable: self.serializable,
            keys_only: self.keys_only,
            count_only: self.count_only,
            sort_target: target.into(),
            sort_order: order.into(),
            min_mod_revision: self.mod_revisions.min.0,
            max_mod_revision: self.mod_revisions.max.0,
            min_create_revision: self.create_revisions.min.0,
            max_create_revision: self.create_revisions.max.0,
        })
    }
}

/// The answer to a [`Get`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetResult {
    /// Who answered, at which revision.
    pub header: Header,
    /// The keys, in the order asked for.
    pub kvs: Vec<KeyValue>,
    /// Whether the limit left keys out.
    pub more: bool,
    /// How many keys the range holds, whatever the limit and the bounds on revisions.
    pub count: u64,
}

impl GetResult {
    pub(in crate::client) fn from_wire(wire: RangeResponse, namespace: &Namespace) -> Result<Self> {
        Ok(Self {
            header: header(wire.header)?,
            kvs: stripped(wire.kvs, namespace)?,
            more: wire.more,
            count: wire.count.try_into().unwrap_or_default(),
        })
    }
}

impl Request for Get {
    type Response = GetResult;

    fn call(&self, namespace: &Namespace) -> Result<WireCall> {
        Ok(WireCall::new(RANGE, RetryClass::Read, &self.message(namespace)?))
    }

    fn decode(&self, answer: Bytes, namespace: &Namespace) -> Result<GetResult> {
        GetResult::from_wire(decode(answer)?, namespace)
    }
}

/// Without an order servers apply the limit before they sort, so every sort has one; but by key,
/// ascending, is how keys lie, and asking for it would have servers up to 3.6 read the whole range.
fn wire_sort(sort: (SortTarget, SortOrder)) -> (range_request::SortTarget, range_request::SortOrder) {
    use range_request::{SortOrder as Order, SortTarget as Target};
    let target = match sort.0 {
        SortTarget::Key => Target::Key,
        SortTarget::Version => Target::Version,
        SortTarget::CreateRevision => Target::Create,
        SortTarget::ModRevision => Target::Mod,
        SortTarget::Value => Target::Value,
    };
    let order = match sort {
        (SortTarget::Key, SortOrder::Ascending) => Order::None,
        (_, SortOrder::Ascending) => Order::Ascend,
        (_, SortOrder::Descending) => Order::Descend,
    };
    (target, order)
}
