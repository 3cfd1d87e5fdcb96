//! Real etcd servers for tests: of every version, alone or as a cluster, with TLS, users and failpoints.
//!
//! Nothing here uses the crate under test: where a test needs a second opinion it is `etcdctl`'s. A server
//! that cannot be had, started or asked is a panic, never a skipped test.

#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]
#![allow(unreachable_pub, reason = "`pub` is what tests may use")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod auth;
mod binaries;
mod builder;
pub mod clock;
mod cluster;
mod etcdctl;
mod failpoints;
mod ports;
mod process;
mod proxy;
mod random;
pub mod register;
mod server;
mod tls;

pub use auth::Permission;
pub use binaries::{all_versions, binaries, default_version, try_binaries};
pub use builder::Builder;
pub use cluster::Cluster;
pub use ports::free as free_port;
pub use proxy::{Fault, Proxy, Way};
pub use random::Random;
pub use server::Server;
pub use tls::{Identity, Tls};
