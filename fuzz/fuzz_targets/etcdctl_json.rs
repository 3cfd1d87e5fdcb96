//! Any text as what etcdctl prints: no panic, and what is accepted comes back the same.

#![no_main]

use etcd_ark::backup::TextFormat;
use etcd_ark_fuzz::text;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| text::check(bytes, TextFormat::Etcdctl));
