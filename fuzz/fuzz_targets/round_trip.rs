//! What was written is read, by every way of reading.

#![no_main]

use etcd_ark::archive::{Decoder, Event};
use etcd_ark_fuzz::{model::Model, readers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|model: Model| {
    let archive = model.archive();
    let (mut records, mut leases, mut header) = (Vec::new(), Vec::new(), None);
    let mut decoder = Decoder::new();
    decoder.feed(&archive);
    while let Some(event) = decoder.next_event().unwrap() {
        match event {
            Event::Header(read) => header = Some(read),
            Event::Block(block) => records.extend(block.records()),
            Event::Leases(some) => leases.extend(some),
            Event::Index(_) | Event::End(_) => {}
            other => panic!("not written: {other:?}"),
        }
    }
    let summary = decoder.finish().unwrap();
    assert_eq!((summary.file_len, summary.records), (archive.len() as u64, records.len() as u64));
    assert_eq!(header, Some(model.header()));
    assert_eq!(leases, model.leases());
    assert!(records == model.records(), "other records");
    readers::compare(&archive, model.piece.into(), &model.ranges);
});
