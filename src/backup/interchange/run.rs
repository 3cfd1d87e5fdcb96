//! Sorted records that do not fit into memory: an archive in a temporary file, compressed and checked as all are.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, Write};

use bytes::Bytes;

use crate::archive::{Compression, Cutter, Decoder, Encoder, Event, Header, RawBlock, Records};
use crate::error::{Error, ErrorKind, Result};
use crate::types::KeyValue;

const READ_BYTES: usize = 64 << 10;

/// A run in the making.
pub(super) struct RunWriter {
    file: BufWriter<File>,
    cutter: Cutter,
    encoder: Encoder,
    last_key: Bytes,
}

impl RunWriter {
    pub(super) fn create() -> Result<Self> {
        let mut file = BufWriter::new(tempfile::tempfile().map_err(cannot_keep)?);
        let (encoder, start) = Encoder::new(&Header::default())?;
        file.write_all(&start).map_err(cannot_keep)?;
        Ok(Self { file, cutter: Cutter::new(), encoder, last_key: Bytes::new() })
    }

    /// Whether records from this key on can be added.
    pub(super) fn ends_below(&self, key: &[u8]) -> bool {
        self.last_key < key
    }

    pub(super) fn push(&mut self, kv: &KeyValue) -> Result<()> {
        self.last_key.clone_from(&kv.key);
        match self.cutter.push(kv)? {
            Some(block) => self.append(block),
            None => Ok(()),
        }
    }

    fn append(&mut self, block: RawBlock) -> Result<()> {
        let bytes = self.encoder.append(block.seal(Compression::default()))?;
        self.file.write_all(&bytes).map_err(cannot_keep)
    }

    pub(super) fn finish(mut self) -> Result<Run> {
        if let Some(last) = std::mem::take(&mut self.cutter).finish() {
            self.append(last)?;
        }
        let (end, _) = self.encoder.finish()?;
        self.file.write_all(&end).map_err(cannot_keep)?;
        let mut file = self.file.into_inner().map_err(|error| cannot_keep(error.into_error()))?;
        file.rewind().map_err(cannot_keep)?;
        Ok(Run { file, decoder: Decoder::new(), blocks: VecDeque::new(), buffer: vec![0; READ_BYTES] })
    }
}

/// A run that is read back.
pub(super) struct Run {
    file: File,
    decoder: Decoder,
    blocks: VecDeque<Records>,
    buffer: Vec<u8>,
}

impl Run {
    pub(super) fn next(&mut self) -> Result<Option<KeyValue>> {
        loop {
            if let Some(kv) = self.blocks.front_mut().and_then(Iterator::next) {
                return Ok(Some(kv));
            }
            self.blocks.pop_front();
            if self.blocks.is_empty() && !self.read()? {
                return Ok(None);
            }
        }
    }

    /// `false` at the end.
    fn read(&mut self) -> Result<bool> {
        let read = self.file.read(&mut self.buffer).map_err(cannot_keep)?;
        self.decoder.feed(self.buffer.get(..read).unwrap_or_default());
        while let Some(event) = self.decoder.next_event()? {
            if let Event::Block(block) = event {
                self.blocks.push_back(block.records());
            }
        }
        Ok(read > 0)
    }
}

fn cannot_keep(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot sort the records in a temporary file").with_source(error)
}
