//! The floors of the architecture: a file uses only what lies on floors below its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. Modules of one floor are strangers to each other, but for the ground floor's.
const FLOORS: [&[&str]; 5] = [
    &["error", "pb", "types", "util"],
    &["archive", "net", "store"],
    &["client"],
    &["stream"],
    &["backup", "concurrency"],
];

fn floor(module: &str) -> usize {
    let holds = |floor: &&[&str]| floor.contains(&module);
    FLOORS.iter().position(holds).unwrap_or_else(|| panic!("src/{module} is on no floor: add it to FLOORS"))
}

fn may_use(module: &str, used: &str) -> bool {
    module == used || floor(used) < floor(module) || (floor(module) == 0 && floor(used) == 0)
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.into_iter().chain(folders.iter().flat_map(|folder| sources(folder))).collect()
}

/// The module that a file belongs to: the first part of its path under `src/`.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix(src()).unwrap();
    inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The modules named after `crate::`, those in braces too.
fn used_modules(text: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let after_crate = text.split("crate::").skip(1);
    let names = after_crate.flat_map(|rest| match rest.strip_prefix('{') {
        Some(list) => {
            let list = list.split("};").next().unwrap_or_default();
            list.split(',').map(|item| name(item.trim())).collect()
        }
        None => vec![name(rest)],
    });
    // Names in upper case are the crate's re-exports, used by documentation.
    names.filter(|name| name.starts_with(char::is_lowercase)).collect()
}

#[test]
fn every_file_uses_only_floors_below_its_own() {
    let mut seen = 0;
    for file in sources(&src()) {
        let module = module_of(&file);
        if module == "lib" {
            continue;
        }
        for used in used_modules(&fs::read_to_string(&file).unwrap()) {
            assert!(
                may_use(&module, &used),
                "{} uses crate::{used}, which is not below {module}",
                file.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} uses found: is the scan broken?");
}

#[test]
fn the_rule_refuses_what_it_should() {
    assert!(may_use("backup", "archive") && may_use("client", "net") && may_use("types", "util"));
    assert!(!may_use("client", "stream") && !may_use("archive", "net") && !may_use("net", "client"));
    assert_eq!(
        used_modules("use crate::{net, stream::Scan};\nuse crate::client::Client;"),
        ["net", "stream", "client"]
    );
}
