use etcd_ark::PendingFile;
use etcd_ark::backup::generate_identity;
use tokio::io::AsyncWriteExt;

use crate::args::Keygen;
use crate::failure::{Exit, Failure};
use crate::output::{Format, Output, Report};

pub(super) async fn run(arguments: Keygen, format: Format) -> Result<(), Failure> {
    let mut file = PendingFile::create(&arguments.output).await?;
    let (content, recipient) = generate_identity();
    file.write_all(content.as_bytes())
        .await
        .map_err(|error| Failure::new(Exit::Other, format!("cannot write the identity: {error}")))?;
    file.commit().await?;
    let report = Report::default().text("path", arguments.output.display()).text("recipient", recipient);
    Output::Stdout.print(&report, format)
}
