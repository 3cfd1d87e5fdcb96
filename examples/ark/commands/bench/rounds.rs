//! The ways in turns.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::figures::{Measured, Pass, Turn, merged};
use super::others::Others;
use super::reading::Reading;
use super::subject::Subject;
use super::way::{Kind, Way, order};
use crate::failure::{Exit, Failure};
use crate::progress::{ProgressLine, Unit};

/// Few keys are read again and again for so long, so that what others notice can be told.
const LEAST: Duration = Duration::from_secs(1);

/// What was measured, and what could not be.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) measured: Vec<Measured>,
    pub(super) missing: Vec<(Kind, String)>,
}

/// Lets each way have its turn in every round, for no longer than this all together.
pub(super) async fn measure(
    subject: &Subject,
    ways: &[Way],
    rounds: u32,
    limit: Duration,
) -> Result<Found, Failure> {
    let turns: Vec<_> = (0..rounds as usize).flat_map(|round| order(ways, round)).collect();
    let share = limit / turns.len().try_into().unwrap_or(u32::MAX);
    let line = ProgressLine::new(Unit::Keys);
    let measured = ways.iter().map(|&way| Measured { way, turns: Vec::new() }).collect();
    let mut found = Found { measured, missing: Vec::new() };
    for (number, &way) in turns.iter().enumerate() {
        if !found.is_missing(way.kind) {
            let title = format!("{way} ({} of {})", number + 1, turns.len());
            let turn = Turning { subject, way, share, line: &line, title: &title };
            found.note(way, turn.take().await)?;
        }
    }
    found.measured.retain(|measured| !measured.turns.is_empty());
    Ok(found)
}

impl Found {
    fn is_missing(&self, kind: Kind) -> bool {
        self.missing.iter().any(|(missing, _)| *missing == kind)
    }

    /// What is not allowed, or not known to the servers, is left out from then on.
    fn note(&mut self, way: Way, outcome: Result<Turn, Failure>) -> Result<(), Failure> {
        match outcome {
            Err(failure) if way.kind.is_needed() => return Err(outrun(failure)),
            Err(failure) => self.missing.push((way.kind, failure.summary())),
            Ok(turn) => {
                let mut measured = self.measured.iter_mut();
                if let Some(measured) = measured.find(|measured| measured.way == way) {
                    measured.turns.push(turn);
                }
            }
        }
        Ok(())
    }
}

/// Compaction may take the revision that all turns are at.
fn outrun(failure: Failure) -> Failure {
    match failure.exit() {
        Exit::SourceChanged => failure.help("to measure, allow less time by --for"),
        _ => failure,
    }
}

/// A turn to be taken.
struct Turning<'a> {
    subject: &'a Subject,
    way: Way,
    share: Duration,
    line: &'a ProgressLine,
    title: &'a str,
}

impl Turning<'_> {
    async fn take(self) -> Result<Turn, Failure> {
        self.line.show_reading(self.title, 0, 0);
        let others = Others::start(self.subject.others.clone(), self.subject.key.clone());
        let began = Instant::now();
        let mut passes = Vec::new();
        while began.elapsed() < LEAST.min(self.share) {
            passes.push(self.read_once(self.share.saturating_sub(began.elapsed())).await?);
        }
        Ok(Turn { pass: merged(&passes), reads: others.end().await })
    }

    /// Reads all keys, or as many as there is time for.
    async fn read_once(&self, left: Duration) -> Result<Pass, Failure> {
        let Self { subject, way, line, title, .. } = *self;
        let (mut pass, began) = (Pass::default(), Instant::now());
        let reading = Reading { subject, way, pass: &mut pass, began, line, title };
        let outcome = timeout(left, reading.read()).await;
        let complete = outcome.is_ok();
        outcome.unwrap_or(Ok(()))?;
        Ok(Pass { time: began.elapsed(), complete, ..pass })
    }
}
