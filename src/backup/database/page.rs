//! Pages of a bbolt file, and what stands on them. Pure; nothing is taken on trust.

use bytes::Bytes;

use super::{slice, u32_at, u64_at};

const HEADER_LEN: usize = 16;
const META_LEN: usize = 64;
const ELEMENT_LEN: usize = 16;
const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const IS_BUCKET: u32 = 1;
/// A bucket's value: the page where its tree begins, and a sequence that etcd does not use.
const BUCKET_LEN: usize = 16;

/// Where the tree begins, as one of the first two pages says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) page_size: u32,
    pub(super) root: u64,
    /// The first page that was never used.
    pub(super) end: u64,
    pub(super) transaction: u64,
}

impl Meta {
    /// Of how many bytes a meta page is made up.
    pub(super) const LEN: usize = HEADER_LEN + META_LEN;

    /// `None` if this is no meta page, or a damaged one.
    pub(super) fn parse(page: &[u8]) -> Option<Self> {
        let meta = page.get(HEADER_LEN..Self::LEN)?;
        let known = u32_at(meta, 0)? == MAGIC && u32_at(meta, 4)? == VERSION;
        let intact = fnv1a(meta.get(..56)?) == u64_at(meta, 56)?;
        let page_size = u32_at(meta, 8)?;
        let plausible = page_size.is_power_of_two() && (1 << 9..=1 << 24).contains(&page_size);
        (known && intact && plausible).then_some(Self {
            page_size,
            root: u64_at(meta, 16)?,
            end: u64_at(meta, 40)?,
            transaction: u64_at(meta, 48)?,
        })
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A page of a tree, with the pages that continue it.
#[derive(Clone, Debug)]
pub(super) struct Page {
    bytes: Bytes,
    is_leaf: bool,
    count: usize,
}

/// What a page leads to.
#[derive(Clone, Debug)]
pub(super) enum Element {
    Child(u64),
    Bucket(Bytes, Bucket),
    Row(Bytes, Bytes),
}

/// A tree within the tree.
#[derive(Clone, Debug)]
pub(super) enum Bucket {
    Root(u64),
    /// So small that it stands where it is named.
    Inline(Bytes),
}

impl Page {
    /// How many pages continue the one that begins so.
    pub(super) fn overflow(bytes: &[u8]) -> Option<u32> {
        u32_at(bytes, 12)
    }

    /// `None` if it is no page of a tree.
    pub(super) fn parse(bytes: Bytes) -> Option<Self> {
        // Two numbers of 16 bits.
        let kind_and_count = u32_at(&bytes, 8)?;
        let (kind, count) = ((kind_and_count & 0xFFFF) as u16, (kind_and_count >> 16) as usize);
        let fits = HEADER_LEN + count * ELEMENT_LEN <= bytes.len();
        (fits && [BRANCH, LEAF].contains(&kind)).then_some(Self { bytes, is_leaf: kind == LEAF, count })
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// `None` if it is damaged, or there are not so many.
    pub(super) fn element(&self, number: usize) -> Option<Element> {
        let at = HEADER_LEN + number * ELEMENT_LEN;
        if number >= self.count {
            return None;
        }
        if !self.is_leaf {
            return u64_at(&self.bytes, at + 8).map(Element::Child);
        }
        let field = |offset| u32_at(&self.bytes, at + offset);
        let (flags, position) = (field(0)?, field(4)? as usize);
        let (key_len, value_len) = (field(8)? as usize, field(12)? as usize);
        let key = slice(&self.bytes, at.checked_add(position)?, key_len)?;
        let value = slice(&self.bytes, (at + position).checked_add(key_len)?, value_len)?;
        if flags & IS_BUCKET == 0 { Some(Element::Row(key, value)) } else { bucket(key, &value) }
    }
}

fn bucket(name: Bytes, value: &Bytes) -> Option<Element> {
    let bucket = match u64_at(value, 0)? {
        0 => Bucket::Inline(slice(value, BUCKET_LEN, value.len().checked_sub(BUCKET_LEN)?)?),
        root => Bucket::Root(root),
    };
    Some(Element::Bucket(name, bucket))
}
