use super::in_order::InOrder;
use super::records::{Index, Records};
use super::structure::check_structure;
use crate::archive::{CheckedFrame, Footer, Header, IndexRoot, Intact};
use crate::error::Result;
use crate::types::KeyRange;

/// Blocks that are hashed while others are read.
const CHECKING: usize = 4;

/// Reads the whole archive: every byte must be the one that was written. What a block holds is not looked at.
pub(super) async fn check_intact(records: &Records, header: &Header, footer: &Footer) -> Result<()> {
    check_structure(records, footer).await?;
    let Index::Whole(root) = records.index() else { return Ok(()) };
    let preamble = records.source().read(Intact::PREAMBLE).await?;
    records.parsed(Intact::check_known(&preamble, header, root))?;
    check_frames(records, root).await?;
    let mut intact = Intact::new(&preamble, root, footer);
    check_blocks(records, &mut intact).await?;
    records.parsed(intact.finish(footer))
}

async fn check_frames(records: &Records, root: &IndexRoot) -> Result<()> {
    for entry in root.frames() {
        let bytes = records.source().read(entry.span()).await?;
        records.parsed(entry.payload(bytes))?;
    }
    Ok(())
}

async fn check_blocks(records: &Records, intact: &mut Intact) -> Result<()> {
    let (mut entries, mut checking) = (records.entries(KeyRange::all()), InOrder::of(CHECKING));
    while let Some(entry) = entries.next().await? {
        let bytes = records.source().read(entry.span()).await?;
        let oldest = checking.push(move || CheckedFrame::of_block(bytes, &entry)).await?;
        oldest.map_or(Ok(()), |block| records.parsed(block.and_then(|block| intact.block(block))))?;
    }
    while let Some(block) = checking.next().await? {
        records.parsed(block.and_then(|block| intact.block(block)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use crate::archive::{Compression, Cutter, Encoder, Header, Lease, Options};
    use crate::backup::open::ArchiveFile;
    use crate::error::Result;
    use crate::types::{KeyValue, LeaseId, Revision};

    /// An archive of several blocks, and where its frames begin.
    fn archive() -> (Vec<u8>, Vec<usize>) {
        let (mut encoder, start) = Encoder::new(&Header::default()).unwrap();
        let mut parts = vec![start.to_vec()];
        let mut cutter = Cutter::new();
        let mut blocks: Vec<_> = (0..6).filter_map(|number| cutter.push(&record(number)).unwrap()).collect();
        blocks.extend(cutter.finish());
        assert!(blocks.len() > 1);
        for block in blocks {
            parts.push(encoder.append(block.seal(Compression::default())).unwrap().to_vec());
        }
        let lease =
            Lease { id: LeaseId(7), granted_ttl: Default::default(), remaining_ttl: Default::default() };
        parts.push(encoder.leases(&[lease]).unwrap().to_vec());
        parts.push(encoder.options(&Options::default()).unwrap().to_vec());
        parts.push(encoder.finish().unwrap().0.to_vec());
        let begin = |at: &mut usize, part: &Vec<u8>| Some(std::mem::replace(at, *at + part.len()));
        let begins = parts.iter().scan(0, begin).collect();
        (parts.concat(), begins)
    }

    fn record(number: u8) -> KeyValue {
        let value = vec![number; 600_000].into();
        let key = vec![b'a' + number].into();
        KeyValue {
            key,
            value,
            create_revision: Revision(1),
            mod_revision: Revision(1),
            version: 1,
            lease: None,
        }
    }

    async fn checked(bytes: Vec<u8>) -> Result<()> {
        ArchiveFile::from_reader(Cursor::new(bytes)).await?.check_intact().await
    }

    #[tokio::test]
    async fn every_byte_that_is_not_the_one_that_was_written_is_noticed() {
        let (good, begins) = archive();
        checked(good.clone()).await.unwrap();
        for at in 0..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            assert!(checked(flipped).await.is_err(), "byte {at}");
        }
        for (number, at) in begins.into_iter().enumerate() {
            let with_more = [&good[..at], &b"more"[..], &good[at..]].concat();
            assert!(checked(with_more).await.is_err(), "before part {number}");
            assert!(checked(good[..at].to_vec()).await.is_err(), "cut off before part {number}");
        }
    }

    /// The check of a frame can be made to agree by whoever changes it; the archive root can't, short of a new footer.
    #[tokio::test]
    async fn a_block_whose_check_was_made_to_agree_is_noticed() {
        let (mut forged, begins) = archive();
        let block = &mut forged[begins[1]..begins[2]];
        let (covered, check) = block.split_last_chunk_mut::<32>().unwrap();
        *covered.last_mut().unwrap() ^= 1;
        *check = blake3::hash(covered).into();
        let error = checked(forged).await.unwrap_err();
        assert!(format!("{error:?}").contains("the archive root"), "{error:?}");
    }
}
