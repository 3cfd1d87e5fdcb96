use etcd_ark::backup::Export;

use super::sink::Sink;
use super::unlock;
use crate::args::{Export as Arguments, Target};
use crate::failure::Failure;
use crate::human;
use crate::output::Output;

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut archive = unlock::open(&arguments.file, &arguments.unlock).await?;
    let mut sink = Sink::open_text(&arguments.output).await?;
    let export = match arguments.keys.given() {
        Some(range) => Export::new(arguments.format.into()).range(range),
        None => Export::new(arguments.format.into()),
    };
    let records = export.write_to(&mut archive, &mut sink).await?;
    sink.commit().await?;
    match &arguments.output {
        Target::File(path) => {
            let line = format!("{} keys written to {}\n", human::count(records), path.display());
            Output::Stderr.write(line.as_bytes()).map(drop)
        }
        Target::Stream => Ok(()),
    }
}
