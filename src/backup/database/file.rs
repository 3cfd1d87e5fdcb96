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
        let mut buckets = Tree { file: self, stack: vec![(root, 0)], page: 0 };
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
        Ok(Tree { file: self, stack: vec![(page, 0)], page: 0 })
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
}

impl Tree<'_> {
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
        if self.stack.len() == MAX_DEPTH {
            return Err(damaged("a tree without end", child));
        }
        self.page = child;
        self.stack.push((self.file.page(child)?, 0));
        Ok(())
    }
}
