//! The command, run as its users run it, on real etcd servers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

#[path = "../support/mod.rs"]
mod support;

mod ark;

mod against;
mod auth;
mod bench;
mod check_config;
mod connect;
mod copy;
mod damage;
mod diff;
#[cfg(feature = "encrypt")]
mod encrypt;
mod examples;
mod files;
mod interchange;
mod interrupt;
mod keys;
mod kill;
mod plan;
mod policies;
mod restore;
mod scenario;
mod snapshot;
mod terminal;
mod undo;
mod usage;
mod whole_way;
