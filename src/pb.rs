//! The messages generated from `proto/`. Private: no generated type is part of the public API.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
#![allow(dead_code, reason = "the protos are compiled whole; what is unused today is what later floors add")]

/// Users, roles and permissions.
pub(crate) mod authpb {
    include!(concat!(env!("OUT_DIR"), "/authpb.rs"));
}

/// Requests and responses of every etcd service.
pub(crate) mod etcdserverpb {
    include!(concat!(env!("OUT_DIR"), "/etcdserverpb.rs"));
}

/// Key-values and events.
pub(crate) mod mvccpb {
    include!(concat!(env!("OUT_DIR"), "/mvccpb.rs"));
}

/// The election service.
pub(crate) mod v3electionpb {
    include!(concat!(env!("OUT_DIR"), "/v3electionpb.rs"));
}

/// The lock service.
pub(crate) mod v3lockpb {
    include!(concat!(env!("OUT_DIR"), "/v3lockpb.rs"));
}

/// The messages inside an archive's frames.
#[cfg(feature = "backup")]
pub(crate) mod ark {
    include!(concat!(env!("OUT_DIR"), "/ark.v1.rs"));
}
