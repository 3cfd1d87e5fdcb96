//! Any bytes, as they are and with checks that agree: no panic, no hang, and every way of reading says the same.

#![no_main]

use etcd_ark_fuzz::{forge, readers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece, archive)) = bytes.split_first() else { return };
    readers::compare(archive, piece.into(), &[]);
    let mended = forge::with_checks(archive);
    if mended != archive {
        readers::compare(&mended, piece.into(), &[]);
    }
});
