use std::path::PathBuf;

use clap::Args as Flags;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::Unlock;
use super::select::Select;

#[derive(Debug, Flags)]
#[command(
    after_help = "Examples:\n  ark diff monday.ark tuesday.ark\n  ark diff monday.ark cluster --prefix /app/\n  \
ark diff http://10.0.0.1:2379 http://10.1.0.1:2379"
)]
pub(crate) struct Diff {
    /// An archive, `cluster` for the one at --endpoints, or the endpoints of another.
    #[arg(value_name = "A", value_parser = side())]
    pub(crate) left: Side,
    /// The same.
    #[arg(value_name = "B", value_parser = side())]
    pub(crate) right: Side,
    /// Show the values too, not their lengths alone.
    #[arg(long)]
    pub(crate) values: bool,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    #[command(flatten)]
    pub(crate) select: Select,
}

/// What is compared.
#[derive(Clone, Debug)]
pub(crate) enum Side {
    Archive(PathBuf),
    /// The endpoints' own if none are named.
    Cluster(Option<Vec<String>>),
}

fn side() -> impl TypedValueParser<Value = Side> {
    OsStringValueParser::new().map(|text| match text.to_str() {
        Some("cluster") => Side::Cluster(None),
        Some(list) if list.contains("://") => {
            Side::Cluster(Some(list.split(',').map(str::to_owned).collect()))
        }
        _ => Side::Archive(text.into()),
    })
}
