//! How fast the cluster can be read, and what others notice of it. Nothing is written.

mod advice;
mod figures;
mod others;
mod reading;
mod report;
mod rounds;
mod subject;
mod way;

use self::advice::Advice;
use self::subject::Subject;
use crate::args::{Bench as Arguments, Connection};
use crate::failure::{Exit, Failure};
use crate::output::{Format, Output};

pub(super) async fn run(
    arguments: Arguments,
    connection: &Connection,
    format: Format,
) -> Result<(), Failure> {
    let subject = Subject::open(arguments.keys.range(), connection).await?;
    let ways = way::all(&arguments.concurrency);
    let found = rounds::measure(&subject, &ways, arguments.rounds, arguments.limit).await?;
    let advice = Advice::of(&found.measured, subject.keys).ok_or_else(too_short)?;
    match format {
        Format::Simple => Output::Stdout.write(report::text(&subject, &found, &advice).as_bytes()).map(drop),
        Format::Json => Output::Stdout.print(&report::all(&subject, &found, &advice), format),
    }
}

fn too_short() -> Failure {
    Failure::new(Exit::Other, "not one page came in the time that each way had")
        .help("allow more time by --for")
}
