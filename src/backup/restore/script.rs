//! What a restore is going to do, written down while it is planned.
//!
//! It follows the archive's records in the order of the target's keys. What can be counted is counted: a restore into
//! an empty cluster is one step. Beyond a few mebibytes it goes to a temporary file, so that memory is bounded.

use std::io::{self, BufReader, Read, Seek, Write};

use bytes::Bytes;
use tempfile::SpooledTempFile;

use crate::error::{Error, ErrorKind, Result};
use crate::types::Revision;

const IN_MEMORY: usize = 4 << 20;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// This many records are left out.
    Pass(u64),
    /// This many records are put, of keys that the target does not hold.
    Create(u64),
    /// One record is put over what the target has held since this revision.
    Update(Revision),
    /// This key, which the target has held since this revision, is deleted: the archive has no record of it.
    Delete(Bytes, Revision),
}

const PASS: u8 = 0;
const CREATE: u8 = 1;
const UPDATE: u8 = 2;
const DELETE: u8 = 3;

/// Takes steps down.
#[derive(Debug)]
pub(super) struct ScriptWriter {
    file: SpooledTempFile,
    /// Not written yet: more of the same may follow.
    last: Step,
}

impl Default for ScriptWriter {
    fn default() -> Self {
        Self { file: SpooledTempFile::new(IN_MEMORY), last: Step::Pass(0) }
    }
}

impl ScriptWriter {
    pub(super) fn push(&mut self, step: Step) -> Result<()> {
        match (&mut self.last, &step) {
            (Step::Pass(count), Step::Pass(more)) | (Step::Create(count), Step::Create(more)) => {
                *count += more;
                Ok(())
            }
            _ => self.write(step),
        }
    }

    fn write(&mut self, next: Step) -> Result<()> {
        let last = std::mem::replace(&mut self.last, next);
        self.file.write_all(&encode(&last)).map_err(cannot_keep)
    }

    pub(super) fn finish(mut self) -> Result<Script> {
        self.write(Step::Pass(0))?;
        Ok(Script { file: self.file })
    }
}

/// Steps that can be read more than once.
#[derive(Debug)]
pub(super) struct Script {
    file: SpooledTempFile,
}

impl Script {
    /// From the first step on.
    pub(super) fn steps(&mut self) -> Result<Steps<'_>> {
        self.file.rewind().map_err(cannot_keep)?;
        Ok(Steps { reader: BufReader::new(&mut self.file) })
    }
}

#[derive(Debug)]
pub(super) struct Steps<'a> {
    reader: BufReader<&'a mut SpooledTempFile>,
}

impl Steps<'_> {
    pub(super) fn next(&mut self) -> Result<Option<Step>> {
        let mut kind = [0];
        if self.reader.read(&mut kind).map_err(cannot_keep)? == 0 {
            return Ok(None);
        }
        decode(kind[0], &mut self.reader).map(Some).map_err(cannot_keep)
    }
}

fn encode(step: &Step) -> Vec<u8> {
    let with = |kind: u8, number: u64| [&[kind][..], &number.to_le_bytes()].concat();
    match step {
        Step::Pass(count) => with(PASS, *count),
        Step::Create(count) => with(CREATE, *count),
        Step::Update(revision) => with(UPDATE, revision.0.cast_unsigned()),
        Step::Delete(key, revision) => {
            let number = with(DELETE, revision.0.cast_unsigned());
            [&number, &(key.len() as u64).to_le_bytes()[..], key].concat()
        }
    }
}

fn decode(kind: u8, from: &mut impl Read) -> io::Result<Step> {
    let number = read_number(from)?;
    Ok(match kind {
        PASS => Step::Pass(number),
        CREATE => Step::Create(number),
        UPDATE => Step::Update(Revision(number.cast_signed())),
        _ => Step::Delete(read_key(from)?, Revision(number.cast_signed())),
    })
}

fn read_number(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn read_key(from: &mut impl Read) -> io::Result<Bytes> {
    let mut key = Vec::new();
    let len = read_number(from)?;
    from.take(len).read_to_end(&mut key)?;
    Ok(key.into())
}

fn cannot_keep(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot keep the plan in a temporary file; see to room there, or set TMPDIR")
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..9u64).prop_map(Step::Pass),
            (1..9u64).prop_map(Step::Create),
            (1..99i64).prop_map(|revision| Step::Update(Revision(revision))),
            ("[a-z]{1,9}", 1..99i64).prop_map(|(key, revision)| Step::Delete(key.into(), Revision(revision))),
        ]
    }

    /// Counted steps one by one.
    fn spread(steps: &[Step]) -> Vec<Step> {
        let one = |step: &Step| match step {
            Step::Pass(count) => vec![Step::Pass(1); usize::try_from(*count).unwrap()],
            Step::Create(count) => vec![Step::Create(1); usize::try_from(*count).unwrap()],
            other => vec![other.clone()],
        };
        steps.iter().flat_map(one).collect()
    }

    fn read(script: &mut Script) -> Vec<Step> {
        let mut steps = script.steps().unwrap();
        std::iter::from_fn(|| steps.next().unwrap()).collect()
    }

    proptest! {
        #[test]
        fn what_was_taken_down_is_read_as_often_as_one_likes(steps in prop::collection::vec(step(), 0..50)) {
            let mut writer = ScriptWriter::default();
            for step in &steps {
                writer.push(step.clone()).unwrap();
            }
            let mut script = writer.finish().unwrap();
            for _ in 0..2 {
                prop_assert_eq!(spread(&read(&mut script)), spread(&steps));
            }
        }
    }

    #[test]
    fn what_can_be_counted_is_one_step() {
        let mut writer = ScriptWriter::default();
        for _ in 0..1000 {
            writer.push(Step::Create(1)).unwrap();
        }
        assert_eq!(read(&mut writer.finish().unwrap()), [Step::Pass(0), Step::Create(1000)]);
    }
}
