//! The start of an archive, read alone: what is accepted can be written again, and is then the same.

#![no_main]

use bytes::Bytes;
use etcd_ark::archive::{Encoder, FormatError, Header};
use etcd_ark_fuzz::forge;
use libfuzzer_sys::fuzz_target;

fn parse(start: &[u8]) -> Result<Header, FormatError> {
    let span = Header::span(start)?;
    let end = usize::try_from(span.end).unwrap().min(start.len());
    Header::parse(Bytes::copy_from_slice(&start[..end]))
}

fuzz_target!(|bytes: &[u8]| {
    for start in [bytes.to_vec(), forge::with_checks(bytes)] {
        if let Ok(header) = parse(&start) {
            let (_, written) = Encoder::new(&header).unwrap();
            assert_eq!(parse(&written), Ok(header));
        }
    }
});
