use super::records::{Index, Records};
use crate::archive::{Footer, Structure};
use crate::error::Result;

/// Reads all of the index and holds it against the footer.
pub(super) async fn check_structure(records: &Records, footer: &Footer) -> Result<()> {
    let mut structure = Structure::new();
    if let Index::Whole(root) = records.index() {
        for entry in root.leaves() {
            let leaf = records.read_leaf(entry).await?;
            structure.leaf(entry, &leaf).map_err(|error| records.named(error))?;
        }
    }
    structure.finish(footer).map_err(|error| records.named(error))
}
