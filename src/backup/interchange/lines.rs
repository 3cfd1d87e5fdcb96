//! Text line by line, with a limit.

use std::io::{BufRead, Read};

use crate::error::{Error, ErrorKind, Result};

/// The longest line: the largest record in base64, and what stands around it.
pub(super) const MAX_LINE_BYTES: u64 = 64 << 20;

/// The lines of a text, and how many there were.
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, number: 0, line: Vec::new() }
    }

    /// The next line without its end; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>> {
        self.line.clear();
        let read = self.reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut self.line);
        if read.map_err(cannot_read)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.pop() != Some(b'\n') {
            return Err(self.without_end());
        }
        Ok(Some(self.line.strip_suffix(b"\r").unwrap_or(&self.line)))
    }

    /// Programs that write lines end the last one too.
    fn without_end(&self) -> Error {
        if self.line.len() as u64 + 1 == MAX_LINE_BYTES {
            return self.refuse("it is longer than 64 MiB, which no record needs");
        }
        self.refuse(
            "it has no line end, so the text was cut off there; if it is known to be complete, add a line end",
        )
    }

    /// What is wrong with the line that was given last.
    pub(super) fn refuse(&self, why: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::Corrupt, format!("line {}: {why}", self.number))
    }
}

pub(super) fn cannot_read(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot read the text").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> (Vec<Vec<u8>>, Option<String>) {
        let (mut lines, mut all) = (Lines::new(text), Vec::new());
        loop {
            match lines.next() {
                Ok(Some(line)) => all.push(line.to_vec()),
                Ok(None) => return (all, None),
                Err(error) => return (all, Some(error.to_string())),
            }
        }
    }

    #[test]
    fn line_ends_of_both_kinds_are_taken_off() {
        assert_eq!(read(b"a\n\nb\r\n"), (vec![b"a".to_vec(), vec![], b"b".to_vec()], None));
        assert_eq!(read(b""), (vec![], None));
    }

    #[test]
    fn a_text_that_was_cut_is_told_by_its_line() {
        let (lines, error) = read(b"a\nb");
        assert_eq!(lines, [b"a"]);
        assert!(error.unwrap().contains("line 2: it has no line end"));
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut lines = Lines::new(std::io::BufReader::new(std::io::repeat(b'x')));
        assert!(lines.next().unwrap_err().to_string().contains("longer than"));
    }
}
