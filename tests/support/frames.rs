//! Frames, made by docs/format.md and not by the crate's own code.

pub(crate) const HEADER: u8 = 0x81;
pub(crate) const BLOCK: u8 = 0x82;
pub(crate) const LEASES: u8 = 0x83;
pub(crate) const AUTH: u8 = 0x07;
pub(crate) const MEMBERS: u8 = 0x08;
pub(crate) const OPTIONS: u8 = 0x09;
pub(crate) const INDEX_LEAF: u8 = 0x84;
pub(crate) const INDEX_ROOT: u8 = 0x85;
pub(crate) const FOOTER: u8 = 0x86;

pub(crate) fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut covered = b"\xf7AFR".to_vec();
    covered.extend_from_slice(&[kind, 0, 0, 0]);
    covered.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    covered.extend_from_slice(payload);
    seal(covered)
}

/// Gives a frame header and payload their check, whatever they are.
pub(crate) fn seal(mut covered: Vec<u8>) -> Vec<u8> {
    let check = blake3::hash(&covered);
    covered.extend_from_slice(check.as_bytes());
    covered
}
