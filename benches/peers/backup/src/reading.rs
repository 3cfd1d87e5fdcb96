use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use etcd_ark::KeyRange;
use etcd_ark::backup::{ArchiveFile, Identities};

use crate::values;

/// Keys and prefixes that are looked for; what is told is the median.
const LOOKS: usize = 200;
/// Far apart, and never the same twice.
const STRIDE: usize = 7_919;
/// Of the prefixes that `values::key` makes.
const KEYS_OF_A_PREFIX: usize = 1000;

/// A file, and how much was read from it.
struct Counting(File, Arc<AtomicUsize>);

impl Read for Counting {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buf)?;
        self.1.fetch_add(read, Ordering::Relaxed);
        Ok(read)
    }
}

impl Seek for Counting {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// An archive, and how it is opened.
struct Shelf {
    path: String,
    identities: Identities,
    read: Arc<AtomicUsize>,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What one look took: seconds and bytes.
type Cost = (f64, usize);

impl Shelf {
    async fn open(&self) -> Result<ArchiveFile> {
        let file = Counting(File::open(&self.path)?, Arc::clone(&self.read));
        Ok(ArchiveFile::from_reader_with(file, &self.identities).await?)
    }

    async fn cost<T>(&self, work: impl Future<Output = Result<T>>) -> Result<(Cost, T)> {
        let (before, began) = (self.read.load(Ordering::Relaxed), Instant::now());
        let result = work.await?;
        Ok(((began.elapsed().as_secs_f64(), self.read.load(Ordering::Relaxed) - before), result))
    }
}

/// The keys that were found in a range.
async fn count(archive: &mut ArchiveFile, range: KeyRange) -> Result<usize> {
    let (mut records, mut found) = (archive.records(range), 0);
    while let Some(kvs) = records.next_block().await? {
        found += kvs.len();
    }
    Ok(found)
}

fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    costs[costs.len() / 2]
}

/// Every look at an archive that was just opened, as a command does it.
async fn looks(shelf: &Shelf, keys: usize) -> Result<[(&'static str, Cost); 4]> {
    let (mut one_key, mut one_prefix) = (Vec::new(), Vec::new());
    for look in 0..LOOKS {
        let key = values::key(look * STRIDE % keys);
        let get = async { Ok(shelf.open().await?.get(key).await?) };
        let (cost, found) = shelf.cost(get).await?;
        one_key.push(cost);
        let prefix = KeyRange::prefix(values::prefix(look * STRIDE % keys));
        let list = async { count(&mut shelf.open().await?, prefix).await };
        let (list_cost, listed) = shelf.cost(list).await?;
        one_prefix.push(list_cost);
        assert!(found.is_some() && listed == KEYS_OF_A_PREFIX.min(keys), "look {look} found something else");
    }
    let (all, counted) = shelf.cost(async { count(&mut shelf.open().await?, KeyRange::all()).await }).await?;
    let (verify, report) = shelf.cost(async { Ok(shelf.open().await?.verify().await?) }).await?;
    assert!(counted == keys && report.is_good(), "the archive is not the one that was made");
    Ok([("key", median(one_key)), ("prefix", median(one_prefix)), ("all", all), ("verify", verify)])
}

pub async fn measure(path: &str, identity: Option<&String>, keys: usize) -> Result<()> {
    let identities = match identity {
        Some(path) => Identities::new().file(&std::fs::read_to_string(path)?)?,
        None => Identities::new(),
    };
    let shelf = Shelf { path: path.to_owned(), identities, read: Arc::default() };
    let figures = looks(&shelf, keys).await?.map(|(name, (seconds, bytes))| {
        format!(r#""{name}": {{"seconds": {seconds:.6}, "bytes": {bytes}}}"#)
    });
    println!("{{{}}}", figures.join(", "));
    Ok(())
}
