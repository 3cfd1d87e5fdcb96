use std::cell::Cell;
use std::io::{self, Read};

/// A reader that gives up where a part is too long: a parser may hold all of it.
pub(super) struct Metered<'a, R> {
    reader: R,
    left: &'a Cell<u64>,
}

impl<'a, R: Read> Metered<'a, R> {
    /// Reads until `left`, which is set anew for each part, is used up.
    pub(super) fn new(reader: R, left: &'a Cell<u64>) -> Self {
        Self { reader, left }
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buf)?;
        let left = self.left.get().checked_sub(read as u64);
        self.left.set(left.ok_or(io::ErrorKind::FileTooLarge)?);
        Ok(read)
    }
}
