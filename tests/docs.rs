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
fn every_test_that_a_page_names_is_there() {
    let tests = ["tests/etcd", "tests/cli"].map(|folder| sources(&root().join(folder)));
    let code = sources(&root().join("src")) + &tests.concat();
    for (page, at_least) in [("docs/resilience.md", 30), ("docs/restore.md", 25)] {
        let named = named_tests(&fs::read_to_string(root().join(page)).unwrap());
        assert!(named.len() >= at_least, "only {} names found in {page}: is the scan broken?", named.len());
        for name in named {
            assert!(code.contains(&format!("fn {name}(")), "{page} names {name}, which is no test");
        }
    }
}

/// The code on a page, without what surrounds it.
fn code_blocks(page: &str) -> String {
    page.split("```").skip(1).step_by(2).collect()
}

/// What is in backticks in the second column of the page's tables: the last part of each name.
fn second_column(page: &str) -> Vec<&str> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.split(" | ").nth(1));
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(|name| name.rsplit(['.', ':']).next().unwrap()).collect()
}

#[test]
fn every_name_that_a_user_of_etcd_client_is_pointed_to_is_used_in_the_pages_code() {
    let page = fs::read_to_string(root().join("docs/from-etcd-client.md")).unwrap();
    // It is compiled: see `src/lib.rs`.
    let code = code_blocks(&page);
    let words: Vec<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let names = second_column(&page);
    assert!(names.len() > 80, "only {} names found: is the scan broken?", names.len());
    for name in names {
        assert!(words.contains(&name), "docs/from-etcd-client.md names {name} but does not use it");
    }
}
