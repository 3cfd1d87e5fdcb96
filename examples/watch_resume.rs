//! Prints what changes under a prefix. Stopped and started again, it goes on where it was: it keeps the next
//! revision in a file.
//!
//! ```sh
//! cargo run --example watch_resume -- app/ /tmp/app.revision http://127.0.0.1:2379
//! ```

use std::env;
use std::path::Path;
use std::process::ExitCode;

use etcd_ark::{Client, ErrorKind, Escaped, Event, KeyRange, Revision, Watch, WatchUpdate};
use futures_util::TryStreamExt;
use tokio::fs;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "usage: watch_resume PREFIX FILE [ENDPOINT]";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (prefix, file, endpoint) = match &arguments[..] {
        [prefix, file] => (prefix, file, "http://127.0.0.1:2379"),
        [prefix, file, endpoint] => (prefix, file, endpoint.as_str()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let Err(error) = watch(prefix, Path::new(file), endpoint).await else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

async fn watch(prefix: &str, file: &Path, endpoint: &str) -> Result<()> {
    let client = Client::connect([endpoint]).await?;
    let mut watch = Watch::new(KeyRange::prefix(prefix.to_owned()));
    if let Some(revision) = stored(file).await? {
        watch = watch.from(revision);
    }
    let mut updates = client.watch(watch);
    // Before the first change, so that what changes while nobody watches is not missed.
    store(file, updates.started().await?).await?;
    loop {
        match updates.try_next().await {
            Ok(Some(WatchUpdate::Events(changes))) => {
                changes.events.iter().for_each(|event| print(changes.revision, event))
            }
            Ok(_) => {}
            Err(error) => {
                if error.kind() == ErrorKind::Compacted {
                    eprintln!("changes were dropped from the history; remove the file to go on from now");
                }
                return Err(error.into());
            }
        }
        // After the work, so that a crash repeats it and does not skip it.
        if let Some(next) = updates.next_revision() {
            store(file, next).await?;
        }
    }
}

fn print(revision: Revision, event: &Event) {
    let key = Escaped(event.key());
    match event {
        Event::Put { kv, .. } => println!("{revision} put {key} {}", Escaped(&kv.value)),
        _ => println!("{revision} delete {key}"),
    }
}

async fn stored(file: &Path) -> Result<Option<Revision>> {
    if !fs::try_exists(file).await? {
        return Ok(None);
    }
    Ok(Some(Revision(fs::read_to_string(file).await?.trim().parse()?)))
}

/// By a new file that takes the old one's place: a crash leaves one of the two.
async fn store(file: &Path, next: Revision) -> Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, format!("{next}\n")).await?;
    Ok(fs::rename(new, file).await?)
}
