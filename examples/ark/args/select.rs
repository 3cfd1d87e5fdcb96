//! Which keys, and under which names.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args as Flags;
use clap::builder::{OsStringValueParser, TypedValueParser};
use etcd_ark::backup::Selection;
use etcd_ark::{Escaped, KeyRange};
use regex::bytes::Regex;

use crate::failure::Failure;
use crate::key::{self, Key};

/// Which keys; what is said by several flags adds up, and what is excluded is not taken.
#[derive(Debug, Flags)]
#[command(next_help_heading = "Which keys")]
pub(crate) struct Select {
    /// Keys that begin with this, written as `ark ls` shows keys; may be repeated.
    #[arg(long, value_name = "PREFIX", value_parser = key::parser())]
    prefix: Vec<Key>,
    /// Keys from START on and below END; may be repeated.
    #[arg(long, num_args = 2, value_names = ["START", "END"], value_parser = key::parser())]
    range: Vec<Key>,
    /// This key; may be repeated.
    #[arg(id = "one_key", long = "only-key", value_name = "KEY", value_parser = key::parser())]
    key: Vec<Key>,
    /// The keys in this file, one a line, as `ark ls` writes them.
    #[arg(long, value_name = "FILE")]
    keys_from: Option<PathBuf>,
    /// Of those, only keys in which this regular expression is found.
    #[arg(long, value_name = "REGEX")]
    matching: Option<Regex>,
    /// No keys that begin with this; may be repeated.
    #[arg(long, value_name = "PREFIX", value_parser = key::parser())]
    exclude: Vec<Key>,
    /// No keys in which this regular expression is found.
    #[arg(long, value_name = "REGEX")]
    exclude_matching: Option<Regex>,
}

/// Which keys, and where they go.
#[derive(Debug, Flags)]
#[command(next_help_heading = "Which keys")]
pub(crate) struct SelectAndMap {
    #[command(flatten)]
    pub(crate) select: Select,
    /// Restore keys that begin with FROM as if they began with TO; may be repeated. A = is written as \x3d.
    #[arg(long, value_name = "FROM=TO", value_parser = map_parser())]
    map: Vec<(Key, Key)>,
}

impl SelectAndMap {
    pub(crate) fn selection(&self) -> Result<Selection, Failure> {
        let selection = self.select.selection()?;
        Ok(self
            .map
            .iter()
            .fold(selection, |selection, (from, to)| selection.rename(from.0.clone(), to.0.clone())))
    }
}

impl Select {
    pub(crate) fn selection(&self) -> Result<Selection, Failure> {
        let prefixes = self.prefix.iter().map(|prefix| KeyRange::prefix(prefix.0.clone()));
        let ranges =
            self.range.chunks_exact(2).map(|ends| KeyRange::between(ends[0].0.clone(), ends[1].0.clone()));
        let keys = self.key.iter().map(|key| KeyRange::key(key.0.clone()));
        let listed = self.keys_from.as_deref().map(read_keys).transpose()?.unwrap_or_default();
        let taken = prefixes.chain(ranges).chain(keys).chain(listed).fold(Selection::new(), Selection::range);
        let excluded = self.exclude.iter().map(|prefix| KeyRange::prefix(prefix.0.clone()));
        let selection = excluded.fold(taken, Selection::exclude);
        let selection = match self.matching.clone() {
            Some(regex) => selection.only(move |key| regex.is_match(key)),
            None => selection,
        };
        Ok(match self.exclude_matching.clone() {
            Some(regex) => selection.only(move |key| !regex.is_match(key)),
            None => selection,
        })
    }

    /// What to say of prefixes that take more than was probably meant, given the prefixes of the keys that were
    /// found: `--prefix /app` takes `/apple/` too.
    pub(crate) fn remarks<'a>(&self, found: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<String> {
        self.prefix.iter().filter_map(|Key(prefix)| remark(prefix, found.clone())).collect()
    }
}

fn remark<'a>(prefix: &[u8], found: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    if prefix.is_empty() || prefix.ends_with(b"/") {
        return None;
    }
    let (mut folder, mut neighbour) = (false, None);
    for key in found {
        match key.strip_prefix(prefix) {
            Some([b'/', ..]) => folder = true,
            Some([_, ..]) => neighbour = neighbour.or(Some(key)),
            _ => {}
        }
    }
    let (shown, neighbour) = (Escaped(prefix), Escaped(neighbour.filter(|_| folder)?));
    Some(format!("--prefix {shown} also takes {neighbour}; if only {shown}/ is meant, say --prefix {shown}/"))
}

fn read_keys(path: &Path) -> Result<Vec<KeyRange>, Failure> {
    let cannot = |why: String| Failure::usage(format!("cannot take keys from {}: {why}", path.display()));
    let text = std::fs::read(path).map_err(|error: io::Error| cannot(error.to_string()))?;
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let keys = lines.map(|line| key::unescape(line).map(|key| KeyRange::key(key.0)));
    let keys: Vec<_> = keys.collect::<Result<_, _>>().map_err(cannot)?;
    if keys.is_empty() { Err(cannot("there are none".into())) } else { Ok(keys) }
}

fn map_parser() -> impl TypedValueParser<Value = (Key, Key)> {
    OsStringValueParser::new().try_map(|text| {
        let bytes = text.as_encoded_bytes();
        let at = bytes.iter().position(|&byte| byte == b'=').ok_or("write it as FROM=TO")?;
        Ok::<_, String>((key::unescape(&bytes[..at])?, key::unescape(&bytes[at + 1..])?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_that_takes_neighbours_is_pointed_out() {
        let found = [&b"/app/"[..], b"/apple/"];
        let told = remark(b"/app", found.into_iter()).unwrap();
        assert!(told.contains("/apple/") && told.contains("--prefix /app/"), "{told}");
        assert_eq!(remark(b"/app/", found.into_iter()), None);
        assert_eq!(remark(b"/app", [&b"/app/"[..], b"/app"].into_iter()), None);
        assert_eq!(remark(b"/app", [&b"/apple/"[..], b"/apps/"].into_iter()), None, "as was meant");
    }
}
