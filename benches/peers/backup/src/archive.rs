use std::time::Duration;

use etcd_ark::archive::{Compression, Cutter, Decoder, Encoder, Event, Header};
use etcd_ark::backup::verify;
use etcd_ark::{KeyValue, Revision};
use rustix::time::{ClockId, clock_gettime};

use crate::values;

const LEVEL: i32 = 1;
const ROUNDS: usize = 5;
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
    let handle = tokio::runtime::Handle::current();
    let (verify, report) = tokio::task::block_in_place(|| timed(|| handle.block_on(verify(&archive[..]))));

    let good = decoded.map_err(told)? == records.len() && report.map_err(told)?.is_good();
    if !good || decompressed.map_err(failed)? != plain {
        return Err("what came back is not what went in".to_owned());
    }
    let (bytes, archive_bytes) = (plain.len(), archive.len());
    println!(
        r#"{{"bytes": {bytes}, "archive_bytes": {archive_bytes}, "encode": {encode:.4}, "compress": {compress:.4}, "decode": {decode:.4}, "decompress": {decompress:.4}, "verify": {verify:.4}}}"#
    );
    Ok(())
}
