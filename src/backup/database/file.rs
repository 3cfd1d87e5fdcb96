use bytes::Bytes;
use std::fs::File;

use super::page::{Bucket, Element, Meta, Page};
use super::{damaged, read_at};
use crate::error::Result;

/// Far deeper than a tree of 2^63 bytes: only one that leads back into itself is.
const MAX_DEPTH: usize = 64;

/// A bbolt file.
#[derive(Debug)]
pub(super) struct BoltFile {
    file: File,
    meta: Meta,
}

impl BoltFile {
    pub(super) fn open(mut file: File) -> Result<Self> {
        let first = Meta::parse(&read_at(&mut file, 0, Meta::LEN as u64)?);
        // The second is where the page size says, which the first tells if it is whole. In a snapshot both are.
        let page_size = first.map_or(4096, |meta| meta.page_size);
        let second = Meta::parse(&read_at(&mut file, page_size.into(), Meta::LEN as u64)?);
        let newer = first.into_iter().chain(second).max_by_key(|meta| meta.transaction);
        newer.map(|meta| Self { file, meta }).ok_or_else(|| damaged("no sign of etcd's file format", 0))
    }

    /// A bucket of the root.
    pub(super) fn bucket(&mut self, wanted: &[u8]) -> Result<Tree<'_>> {
        let mut found = None;
        let root = self.page(self.meta.root)?;
        let mut buckets = Tree::from(self, root);
        while let Some(element) = buckets.next_element()? {
            match element {
                Element::Bucket(name, bucket) if name == wanted => found = Some(bucket),
                _ => {}
            }
        }
        let page = match found {
            Some(Bucket::Root(root)) => self.page(root)?,
            Some(Bucket::Inline(page)) => Page::parse(page).ok_or_else(|| damaged("a bucket", 0))?,
            None => return Err(damaged("a bucket of etcd's is missing", self.meta.root)),
        };
        Ok(Tree::from(self, page))
    }

    fn page(&mut self, number: u64) -> Result<Page> {
        let size = u64::from(self.meta.page_size);
        if number >= self.meta.end {
            return Err(damaged("a page beyond the last", number));
        }
        let place = number.saturating_mul(size);
        let mut bytes = read_at(&mut self.file, place, size)?;
        let overflow = Page::overflow(&bytes).ok_or_else(|| damaged("nothing", number))?;
        if overflow > 0 {
            bytes = read_at(&mut self.file, place, (u64::from(overflow) + 1).saturating_mul(size))?;
        }
        Page::parse(bytes).ok_or_else(|| damaged("no part of a tree", number))
    }
}

/// The rows of a tree, ascending.
#[derive(Debug)]
pub(super) struct Tree<'f> {
    file: &'f mut BoltFile,
    /// From the root down: a page, and which of its elements is next.
    stack: Vec<(Page, usize)>,
    page: u64,
    /// How many pages there can be still.
    left: u64,
}

impl<'f> Tree<'f> {
    fn from(file: &'f mut BoltFile, root: Page) -> Self {
        let left = file.meta.end;
        Self { file, stack: vec![(root, 0)], page: 0, left }
    }

    /// The next row: its key and its value.
    pub(super) fn next(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        match self.next_element()? {
            Some(Element::Row(key, value)) => Ok(Some((key, value))),
            Some(_) => Err(damaged("a bucket within a bucket", self.page)),
            None => Ok(None),
        }
    }

    /// The page that was entered last, for messages.
    pub(super) fn page(&self) -> u64 {
        self.page
    }

    fn next_element(&mut self) -> Result<Option<Element>> {
        while let Some((page, next)) = self.stack.last_mut() {
            if *next == page.len() {
                self.stack.pop();
                continue;
            }
            let element = page.element(*next).ok_or_else(|| damaged("an element", self.page))?;
            *next += 1;
            let Element::Child(child) = element else { return Ok(Some(element)) };
            self.enter(child)?;
        }
        Ok(None)
    }

    fn enter(&mut self, child: u64) -> Result<()> {
        if self.stack.len() == MAX_DEPTH || self.left == 0 {
            return Err(damaged("a tree without end", child));
        }
        self.left -= 1;
        self.page = child;
        self.stack.push((self.file.page(child)?, 0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::error::ErrorKind;

    const SIZE: usize = 512;

    /// A file whose root, page 2, is a branch with these children.
    fn file(children: &[u64]) -> File {
        let mut bytes = vec![0; 4 * SIZE];
        for (at, number) in [(16, 0x2_ED0C_DAED), (24, SIZE as u64), (32, 2), (56, 4), (64, 7)] {
            bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(number));
        }
        let check = bytes[16..72].iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        bytes[72..80].copy_from_slice(&check.to_le_bytes());
        bytes[2 * SIZE + 8] = 1;
        bytes[2 * SIZE + 10] = u8::try_from(children.len()).unwrap();
        for (number, child) in children.iter().enumerate() {
            let at = 2 * SIZE + 16 + 16 * number + 8;
            bytes[at..at + 8].copy_from_slice(&child.to_le_bytes());
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file
    }

    #[test]
    fn a_tree_that_leads_nowhere_is_an_error() {
        for (children, why) in [
            (&[2][..], "without end"),
            (&[2, 2], "without end"),
            (&[9], "beyond the last"),
            (&[3], "no part of a tree"),
        ] {
            let error = BoltFile::open(file(children)).unwrap().bucket(b"key").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(why), "{error}");
        }
        let error = BoltFile::open(file(&[])).unwrap().bucket(b"key").unwrap_err();
        assert!(error.to_string().contains("is missing"), "{error}");
    }

    #[test]
    fn another_file_is_none() {
        let error = BoltFile::open(tempfile::tempfile().unwrap()).unwrap_err();
        assert!(error.to_string().contains("no sign"), "{error}");
    }
}
