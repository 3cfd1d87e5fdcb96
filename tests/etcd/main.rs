//! Everything that is tested against real etcd servers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

#[path = "../support/mod.rs"]
mod support;

mod admin_matrix;
mod auth_admin;
mod backup;
mod cluster_admin;
mod compaction;
mod connect;
mod consistency;
mod copy;
mod damage;
mod diff;
#[cfg(feature = "discovery")]
mod discovery;
mod election;
#[cfg(feature = "encrypt")]
mod encrypt;
mod endpoints;
mod failover;
mod faults;
mod follow;
mod keepalive;
mod kv;
mod lease;
mod lease_faults;
mod leases;
mod linearizable;
mod load;
mod lock;
mod maintenance;
mod matrix;
mod metrics;
mod namespace;
mod plan;
mod policies;
mod restore;
mod scan;
mod scan_stuck;
mod scan_ways;
mod services;
mod snapshot;
mod tokens;
mod txn;
mod undo;
mod watch;
mod watch_chaos;
mod watch_faults;
mod watch_sharing;
mod watch_tokens;

use etcd_ark::{Client, Error, ErrorKind, Result};
use support::Server;

/// A client of this server, without credentials.
async fn client_of(server: &Server) -> Client {
    Client::connect([server.endpoint()]).await.unwrap()
}

/// Why a call fails that is repeated until its deadline. That may come in the middle of an attempt, and says so: then the
/// call is made anew.
async fn refusal<T>(call: impl AsyncFn() -> Result<T>) -> Error {
    for _ in 0..10 {
        match call().await {
            Err(error) if error.kind() == ErrorKind::Deadline => {}
            Err(error) => return error,
            Ok(_) => panic!("it succeeds"),
        }
    }
    panic!("there is never an answer in time")
}
