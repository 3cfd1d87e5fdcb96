//! What the pages under `docs/` claim about the code.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: PathBuf| {
        if path.is_dir() { sources(&path) } else { fs::read_to_string(path).unwrap_or_default() }
    };
    entries.map(text).collect()
}

/// The words in backticks that look like a test's name: `module::name`, or a name of several words.
fn named_tests(page: &str) -> Vec<String> {
    let quoted = page.split('`').skip(1).step_by(2);
    let names = quoted.filter(|word| word.matches('_').count() > 2 && !word.contains(' '));
    names.map(|word| word.rsplit("::").next().unwrap().to_owned()).collect()
}

#[test]
fn every_test_that_the_resilience_page_names_is_there() {
    let page = fs::read_to_string(root().join("docs/resilience.md")).unwrap();
    let code = sources(&root().join("src")) + &sources(&root().join("tests/etcd"));
    let named = named_tests(&page);
    assert!(named.len() > 30, "only {} names found: is the scan broken?", named.len());
    for name in named {
        assert!(code.contains(&format!("fn {name}(")), "docs/resilience.md names {name}, which is no test");
    }
}
