//! Archives as text, and looking into archives.

use std::path::PathBuf;

use clap::{Args as Flags, ValueEnum};
use etcd_ark::KeyValue;
use etcd_ark::backup::TextFormat;
use regex::bytes::Regex;

use super::{Encrypt, Prefix, Target, Unlock, target};
use crate::key::{self, Key};

#[derive(Debug, Flags)]
#[command(
    after_help = "Examples:\n  ark find monday.ark password\n  ark find monday.ark --value --regex 'host: *10\\.0'"
)]
pub(crate) struct Find {
    /// The archive, or - for standard input.
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,
    /// What keys must hold, written as `ark ls` shows keys.
    #[arg(value_parser = key::parser(), required_unless_present = "regex")]
    text: Option<Key>,
    /// Look for this regular expression instead.
    #[arg(long, value_name = "REGEX", conflicts_with = "text")]
    regex: Option<Regex>,
    /// Look into values instead of keys.
    #[arg(long)]
    value: bool,
    #[command(flatten)]
    pub(crate) keys: Prefix,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
}

impl Find {
    pub(crate) fn takes(&self, kv: &KeyValue) -> bool {
        let searched = if self.value { &kv.value } else { &kv.key };
        let text = self.text.as_ref().is_some_and(|Key(text)| holds(searched, text));
        text || self.regex.as_ref().is_some_and(|regex| regex.is_match(searched))
    }
}

fn holds(searched: &[u8], text: &[u8]) -> bool {
    text.is_empty() || searched.windows(text.len()).any(|window| window == text)
}

#[derive(Debug, Flags)]
#[command(after_help = "Examples:\n  ark export monday.ark --format jsonl | zstd > monday.jsonl.zst\n  \
ark export monday.ark --format shield --prefix /app/ -o app.shield")]
pub(crate) struct Export {
    /// The archive, or - for standard input.
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,
    /// How to write it.
    #[arg(long, value_enum)]
    pub(crate) format: TextForm,
    /// The file to create, or - for standard output.
    #[arg(short, long, value_name = "FILE|-", value_parser = target(), default_value = "-")]
    pub(crate) output: Target,
    #[command(flatten)]
    pub(crate) keys: Prefix,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
}

#[derive(Debug, Flags)]
#[command(after_help = "Examples:\n  ark import monday.jsonl --format jsonl -o monday.ark\n  \
bzip2 -d < shield.bz2 | ark import - --format shield --prefix /app/ -o app.ark\n  \
etcdctl get /app/ --prefix -w json | ark import - --format etcdctl --prefix /app/ -o app.ark")]
pub(crate) struct Import {
    /// The text, or - for standard input.
    #[arg(value_name = "FILE|-", value_parser = target())]
    pub(crate) file: Target,
    /// How it is written.
    #[arg(long, value_enum)]
    pub(crate) format: TextForm,
    /// The archive to create, or - for standard output; the result then goes to standard error.
    #[arg(short, long, value_name = "FILE|-", value_parser = target())]
    pub(crate) output: Target,
    /// Of this prefix the text has every key: what `ark restore --mode mirror` clears.
    #[command(flatten)]
    pub(crate) keys: Prefix,
    #[command(flatten)]
    pub(crate) encrypt: Encrypt,
}

/// How archives are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextForm {
    /// JSON lines with all that an archive holds.
    Jsonl,
    /// One JSON object, as `etcdctl get -w json` prints it.
    Etcdctl,
    /// Keys and values, as SHIELD's etcd plugin saves them, decrypted and decompressed.
    Shield,
}

impl From<TextForm> for TextFormat {
    fn from(form: TextForm) -> Self {
        match form {
            TextForm::Jsonl => Self::JsonLines,
            TextForm::Etcdctl => Self::Etcdctl,
            TextForm::Shield => Self::Shield,
        }
    }
}
