use std::time::Duration;

use etcd_ark::archive::{Compression, Cutter, Decoder, Encoder, Event, Header};
use etcd_ark::backup::verify;
use etcd_ark::{KeyValue, Revision};
use rustix::time::{ClockId, clock_gettime};

use crate::values;

const LEVEL: i32 = 1;
const ROUNDS: usize = 5;
/// What blocks have on average.
const BLOCK: usize = 256 << 10;
/// As programs read files.
const PIECE: usize = 1 << 20;

fn records(bytes: usize, value_bytes: usize) -> Vec<KeyValue> {
    let record = |number: usize| KeyValue {
        key: values::key(number).into(),
        value: values::value(number, value_bytes).into(),
        create_revision: Revision(number as i64 + 2),
        mod_revision: Revision(number as i64 + 2),
        version: 1,
        lease: None,
    };
    (0..bytes / value_bytes.max(1)).map(record).collect()
}

fn encode(records: &[KeyValue], compression: Compression) -> Result<Vec<u8>, etcd_ark::Error> {
    let (mut encoder, start) = Encoder::new(&Header::default())?;
    let (mut out, mut cutter) = (start.to_vec(), Cutter::new());
    for record in records {
        if let Some(block) = cutter.push(record)? {
            out.extend_from_slice(&encoder.append(block.seal(compression))?);
        }
    }
    if let Some(block) = cutter.finish() {
        out.extend_from_slice(&encoder.append(block.seal(compression))?);
    }
    out.extend_from_slice(&encoder.finish()?.0);
    Ok(out)
}

/// How many records there are, after every byte was checked.
fn decode(archive: &[u8]) -> Result<usize, etcd_ark::Error> {
    let (mut decoder, mut records) = (Decoder::new(), 0);
    for piece in archive.chunks(PIECE) {
        decoder.feed(piece);
        while let Some(event) = decoder.next_event()? {
            if let Event::Block(block) = event {
                records += block.record_count() as usize;
            }
        }
    }
    decoder.finish()?;
    Ok(records)
}

/// What the format asks for of each block, and nothing else: zstd, with a context and an output that are kept.
fn compress_blocks(plain: &[u8]) -> Result<Vec<Vec<u8>>, std::io::Error> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    let mut out = vec![0; 2 * BLOCK];
    let compress = |block| {
        let len = compressor.compress_to_buffer(block, &mut out[..])?;
        Ok(out[..len].to_vec())
    };
    plain.chunks(BLOCK).map(compress).collect()
}

fn decompress_blocks(blocks: &[Vec<u8>]) -> Result<usize, std::io::Error> {
    let mut decompressor = zstd::bulk::Decompressor::new()?;
    let mut out = vec![0; BLOCK];
    blocks.iter().map(|block| decompressor.decompress_to_buffer(block, &mut out[..])).sum()
}

/// And the hashes: of records and of their content, and of frames.
fn hash_blocks(plain: &[u8], blocks: &[Vec<u8>]) -> Vec<blake3::Hash> {
    let twice = plain.chunks(BLOCK).flat_map(|block| [block, block]);
    twice.chain(blocks.iter().map(Vec::as_slice)).map(blake3::hash).collect()
}

/// Processor time so far, of all threads.
fn processor() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// The processor time of the cheapest of a few rounds, in seconds, and what came of it.
fn timed<T>(work: impl Fn() -> T) -> (f64, T) {
    let once = |_| {
        let before = processor();
        let result = work();
        (processor().saturating_sub(before).as_secs_f64(), result)
    };
    let cheapest = (0..ROUNDS).map(once).min_by(|(one, _), (other, _)| one.total_cmp(other));
    cheapest.unwrap_or_else(|| unreachable!("there are rounds"))
}

pub async fn measure(bytes: usize, value_bytes: usize) -> Result<(), String> {
    let records = records(bytes, value_bytes);
    let told = |error: etcd_ark::Error| error.to_string();
    let failed = |error: std::io::Error| error.to_string();
    let plain = encode(&records, Compression::None).map_err(told)?;

    let (encode, archive) = timed(|| encode(&records, Compression::Zstd(LEVEL)));
    let archive = archive.map_err(told)?;
    let (compress, zstd) = timed(|| zstd::bulk::compress(&plain, LEVEL));
    let zstd = zstd.map_err(failed)?;
    let (decode, decoded) = timed(|| decode(&archive));
    let (decompress, decompressed) = timed(|| zstd::bulk::decompress(&zstd, plain.len()));
    let (compress_blocks, blocks) = timed(|| compress_blocks(&plain));
    let blocks = blocks.map_err(failed)?;
    let (decompress_blocks, raw_bytes) = timed(|| decompress_blocks(&blocks));
    let (hash, hashes) = timed(|| hash_blocks(&plain, &blocks));
    let handle = tokio::runtime::Handle::current();
    let (verify, report) = tokio::task::block_in_place(|| timed(|| handle.block_on(verify(&archive[..]))));

    let good = decoded.map_err(told)? == records.len() && report.map_err(told)?.is_good();
    let good = good && raw_bytes.map_err(failed)? == plain.len() && hashes.len() == 3 * blocks.len();
    if !good || decompressed.map_err(failed)? != plain {
        return Err("what came back is not what went in".to_owned());
    }
    let figures = [
        ("encode", encode),
        ("compress", compress),
        ("compress_blocks", compress_blocks),
        ("decode", decode),
        ("decompress", decompress),
        ("decompress_blocks", decompress_blocks),
        ("verify", verify),
        ("hash", hash),
    ];
    let figures: String =
        figures.iter().map(|(name, seconds)| format!(r#", "{name}": {seconds:.4}"#)).collect();
    println!(r#"{{"bytes": {}, "archive_bytes": {}{figures}}}"#, plain.len(), archive.len());
    Ok(())
}
