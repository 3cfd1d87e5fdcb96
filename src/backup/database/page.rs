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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A leaf with one element, its fields as given.
    fn leaf(flags: u32, position: u32, key_len: u32, value_len: u32) -> Bytes {
        let numbers = [flags, position, key_len, value_len];
        let element: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        [&[0; 8][..], &[2, 0, 1, 0, 0, 0, 0, 0], &element, b"keyvalue"].concat().into()
    }

    #[test]
    fn a_row_is_where_its_element_says() {
        let page = Page::parse(leaf(0, 16, 3, 5)).unwrap();
        assert_eq!(page.len(), 1);
        let Some(Element::Row(key, value)) = page.element(0) else { panic!("{page:?}") };
        assert_eq!((&key[..], &value[..]), (&b"key"[..], &b"value"[..]));
        assert!(page.element(1).is_none());
    }

    #[test]
    fn what_lies_outside_the_page_is_refused() {
        for (position, key_len, value_len) in
            [(16, 3, 6), (17, 3, 5), (u32::MAX, 3, 5), (16, u32::MAX, u32::MAX)]
        {
            assert!(Page::parse(leaf(0, position, key_len, value_len)).unwrap().element(0).is_none());
        }
        assert!(Page::parse(Bytes::from_static(&[0; 16])).is_none(), "neither branch nor leaf");
        assert!(Page::parse(leaf(0, 16, 3, 5).slice(..20)).is_none(), "fewer elements than it says");
    }

    #[test]
    fn a_damaged_meta_page_is_none() {
        let mut page = vec![0; Meta::LEN];
        for (at, number) in
            [(16, u64::from(MAGIC) | u64::from(VERSION) << 32), (24, 4096), (32, 3), (56, 9), (64, 7)]
        {
            page[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let check = fnv1a(&page[16..72]).to_le_bytes();
        page[72..80].copy_from_slice(&check);
        assert_eq!(Meta::parse(&page), Some(Meta { page_size: 4096, root: 3, end: 9, transaction: 7 }));
        for at in 16..Meta::LEN {
            let mut damaged = page.clone();
            damaged[at] ^= 1;
            assert_eq!(Meta::parse(&damaged), None, "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200), kind in 1..3_u8, number in 0..10_usize) {
            let mut bytes = bytes;
            if let Some(place) = bytes.get_mut(8) {
                *place = kind;
            }
            let bytes = Bytes::from(bytes);
            let _ = (Meta::parse(&bytes), Page::overflow(&bytes));
            let _ = Page::parse(bytes).and_then(|page| page.element(number));
        }
    }
}
