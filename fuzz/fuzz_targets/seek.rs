//! Archives whose hashes agree and whose content may be anything: what is found by index is what is read front to
//! back.

#![no_main]

use etcd_ark_fuzz::{forge::Forgery, readers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|forgery: Forgery| {
    readers::compare(&forgery.archive(), forgery.piece.into(), &forgery.ranges);
});
