use bytes::Bytes;

use super::Facts;
use super::list::{Budget, ascends, name};
use crate::archive::layout::FrameType;
use crate::archive::wire::{Malformed, Reader, bytes_tag, put_bytes, put_message};

/// How a backup was made, for people: nothing needs it to read the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The options, ascending by name.
    pub options: Vec<BackupOption>,
}

/// An option of a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupOption {
    /// Its name; never empty.
    pub name: String,
    /// What it was set to.
    pub value: String,
}

impl Options {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for BackupOption { name, value } in &self.options {
            let mut message = Vec::new();
            put_bytes(&mut message, bytes_tag(1), name.as_bytes());
            put_bytes(&mut message, bytes_tag(2), value.as_bytes());
            put_message(&mut out, bytes_tag(1), &message);
        }
        out
    }
}

impl Facts for Options {
    const FRAME: FrameType = FrameType::Options;

    fn decode(payload: &Bytes) -> Result<Self, Malformed> {
        let (mut options, mut budget) = (Self::default(), Budget::default());
        let mut fields = Reader::new(payload);
        while let Some((number, value)) = fields.field()? {
            if number == 1 {
                budget.add(&mut options.options, BackupOption::decode(value.slice()?)?)?;
            }
        }
        ascends(&options.options, |option| option.name.clone())?;
        Ok(options)
    }
}

impl BackupOption {
    fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let mut option = Self::default();
        let mut fields = Reader::new(message);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => option.name = name(&value)?,
                2 => option.value = value.string()?,
                _ => {}
            }
        }
        if option.name.is_empty() { Err(Malformed) } else { Ok(option) }
    }
}
