//! Archives made by docs/format.md and not by the crate's own code, with any blocks.

use bytes::Bytes;

use crate::frames::{BLOCK, FOOTER, HEADER, INDEX_LEAF, INDEX_ROOT, LEASES, frame, seal};

/// A key and its value.
pub(crate) type Pair = [Bytes; 2];

/// What to make an archive of.
pub(crate) struct Draft {
    /// Major and minor version.
    pub(crate) version: [u8; 2],
    pub(crate) header: Vec<u8>,
    pub(crate) blocks: Vec<Vec<Pair>>,
    /// Types and payloads of frames between blocks and index.
    pub(crate) others: Vec<(u8, Vec<u8>)>,
}

/// A frame before its check is computed, and before anything else is computed from it.
pub(crate) struct Part<'a> {
    pub(crate) kind: u8,
    /// How many of its type there were before.
    pub(crate) nth: usize,
    pub(crate) reserved: &'a mut u8,
    pub(crate) payload: &'a mut Vec<u8>,
}

pub(crate) fn good() -> Draft {
    Draft {
        version: [1, 0],
        header: [number(1, 7), bytes(6, b"forger"), bytes(7, b"\0"), bytes(8, b"\0")].concat(),
        blocks: vec![pairs(&[["a", "1"], ["b", "2"]]), pairs(&[["c", "3"], ["d", "4"]])],
        others: vec![(LEASES, leases(&[-3, 2])), (LEASES, leases(&[4]))],
    }
}

pub(crate) fn pair(key: &'static str, value: &'static str) -> Pair {
    [key, value].map(Bytes::from)
}

pub(crate) fn pairs(pairs: &[[&'static str; 2]]) -> Vec<Pair> {
    pairs.iter().map(|[key, value]| pair(key, value)).collect()
}

impl Draft {
    pub(crate) fn bent(&self, bend: impl FnMut(Part<'_>)) -> Vec<u8> {
        let [major, minor] = self.version;
        let mut out =
            Writer { archive: Vec::new(), checks: Vec::new(), listed: Vec::new(), kinds: Vec::new(), bend };
        out.archive.extend_from_slice(&[&b"\x89ARK\r\n\x1a\n"[..], &[major, 0, minor, 0]].concat());
        let mut archive_root = [b"etcd-ark v1 archive root\n", &out.archive[..]].concat();
        let mut state_root = b"etcd-ark v1 state root\n".to_vec();
        let mut content_root = b"etcd-ark v1 content root\n".to_vec();

        out.put(HEADER, self.header.clone());
        let mut leaf = Vec::new();
        for (ordinal, records) in self.blocks.iter().enumerate() {
            let (offset, block) = out.put(BLOCK, block(ordinal as u64, records));
            let (state, content) = (&block[32..64], &block[64..96]);
            state_root.extend_from_slice(state);
            content_root.extend_from_slice(content);
            let [first, last] = [&records[0][0][..], &records[records.len() - 1][0]];
            let numbers = [offset, block.len() as u64, u32_at(&block, 20), u32_at(&block, 24)];
            let numbers = (1..).zip(numbers).flat_map(|(field, value)| number(field, value));
            let others =
                (5..).zip([first, last, state, content]).flat_map(|(field, value)| bytes(field, value));
            leaf.extend(bytes(1, &numbers.chain(others).collect::<Vec<_>>()));
        }
        for (kind, payload) in &self.others {
            out.put(*kind, payload.clone());
        }
        let (offset, leaf) = out.put(INDEX_LEAF, leaf);
        let keys = || self.blocks.iter().flatten().map(|[key, _]| &key[..]);
        let [first, last] = [keys().next(), keys().last()].map(Option::unwrap_or_default);
        let check = &leaf[leaf.len() - 32..];
        let entry = [
            number(1, offset),
            number(2, leaf.len() as u64),
            bytes(3, first),
            bytes(4, last),
            bytes(5, check),
        ];
        let root = [bytes(1, &entry.concat()), out.listed.clone()].concat();
        let (offset, root) = out.put(INDEX_ROOT, root);

        let records = self.blocks.iter().flatten();
        let content: usize = records.clone().flatten().map(Bytes::len).sum();
        let file_len = out.archive.len() + 212;
        let counts =
            [offset, records.count() as u64, self.blocks.len() as u64, content as u64, file_len as u64];
        let mut footer = counts.map(u64::to_le_bytes).concat();
        footer.extend_from_slice(&root[root.len() - 32..]);
        archive_root.extend_from_slice(&out.checks);
        for root in [state_root, content_root, archive_root] {
            footer.extend_from_slice(blake3::hash(&root).as_bytes());
        }
        out.put(FOOTER, footer);
        out.archive
    }

    pub(crate) fn unbent(&self) -> Vec<u8> {
        self.bent(|_| {})
    }
}

struct Writer<F> {
    archive: Vec<u8>,
    checks: Vec<u8>,
    /// The index root's entries for frames.
    listed: Vec<u8>,
    kinds: Vec<u8>,
    bend: F,
}

impl<F: FnMut(Part<'_>)> Writer<F> {
    /// Where the frame begins, and the frame as it was bent.
    fn put(&mut self, kind: u8, mut payload: Vec<u8>) -> (u64, Vec<u8>) {
        let nth = self.kinds.iter().filter(|before| **before == kind).count();
        self.kinds.push(kind);
        let mut reserved = 0;
        (self.bend)(Part { kind, nth, reserved: &mut reserved, payload: &mut payload });
        let mut covered = frame(kind, &payload);
        covered.truncate(covered.len() - 32);
        covered[7] = reserved;
        let sealed = seal(covered);
        let offset = self.archive.len() as u64;
        self.archive.extend_from_slice(&sealed);
        let check = &sealed[sealed.len() - 32..];
        self.checks.extend_from_slice(check);
        if ![BLOCK, INDEX_LEAF, INDEX_ROOT, FOOTER].contains(&kind) {
            let entry =
                [number(1, kind.into()), number(2, offset), number(3, sealed.len() as u64), bytes(4, check)];
            self.listed.extend(bytes(2, &entry.concat()));
        }
        (offset, sealed)
    }
}

pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
    out
}

pub(crate) fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

pub(crate) fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

pub(crate) fn leases(ids: &[i64]) -> Vec<u8> {
    ids.iter().flat_map(|id| bytes(1, &[number(1, id.cast_unsigned()), number(2, 60)].concat())).collect()
}

/// A record with these fields between key and value.
pub(crate) fn record([key, value]: &Pair, between: &[u8]) -> Vec<u8> {
    let fields = [&bytes(1, key), between, &bytes(5, value)].concat();
    [varint(fields.len() as u64), fields].concat()
}

pub(crate) fn block(ordinal: u64, records: &[Pair]) -> Vec<u8> {
    let content: Vec<_> = records.iter().flatten().flat_map(sized).collect();
    let mut payload = ordinal.to_le_bytes().to_vec();
    payload.extend_from_slice(&[0; 76]);
    payload[12..16].copy_from_slice(&u32::try_from(records.len()).unwrap().to_le_bytes());
    payload[52..84].copy_from_slice(blake3::hash(&content).as_bytes());
    let raw: Vec<_> = records.iter().flat_map(|pair| record(pair, &number(2, 5))).collect();
    set_raw(&mut payload, &raw);
    payload
}

pub(crate) fn sized(part: &Bytes) -> Vec<u8> {
    [&u32::try_from(part.len()).unwrap().to_le_bytes()[..], &part[..]].concat()
}

/// Puts other raw bytes into a block, and what is computed of them but the content hash.
pub(crate) fn set_raw(payload: &mut Vec<u8>, raw: &[u8]) {
    payload[8..12].copy_from_slice(&u32::try_from(raw.len()).unwrap().to_le_bytes());
    payload[20..52].copy_from_slice(blake3::hash(raw).as_bytes());
    payload.truncate(84);
    payload.extend_from_slice(raw);
}

fn u32_at(bytes: &[u8], at: usize) -> u64 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()).into()
}
