//! Free ports on this machine.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

// Below the range that systems draw the ports of outgoing connections from (Linux: 32768 and up): nobody
// takes a member's port while it is down.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A port that was free a moment ago and that nobody else in this process was given.
pub fn free() -> u16 {
    (0..COUNT).map(|_| next()).find(|port| is_free(*port)).expect("a free port")
}

/// Test binaries that run at the same time begin at different places.
fn next() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(start()));
    FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT
}

fn start() -> u16 {
    let [low, high, ..] = std::process::id().wrapping_mul(97).to_le_bytes();
    u16::from_le_bytes([low, high])
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
