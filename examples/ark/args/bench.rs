use std::num::NonZeroUsize;
use std::time::Duration;

use clap::{Args as Flags, value_parser};

use super::{Prefix, duration};

#[derive(Debug, Flags)]
#[command(
    after_help = "Examples:\n  ark bench\n  ark bench --prefix /registry/ --for 5m --concurrency 2,16 -w json"
)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) keys: Prefix,
    /// How many parts of the keys to read at once: each of these is measured, with commas in between.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1,4,8")]
    pub(crate) concurrency: Vec<NonZeroUsize>,
    /// How long all of it may take.
    ///
    /// It is shared out evenly: a way to read that does not come to the end of the keys in its share is stopped, and
    /// what it has read tells its rate.
    #[arg(long = "for", value_name = "DURATION", default_value = "1m", value_parser = duration())]
    pub(crate) limit: Duration,
    /// How many turns each way has, up to 1,000; medians are shown.
    #[arg(long, value_name = "COUNT", default_value = "3", value_parser = value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
}
