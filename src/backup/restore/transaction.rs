//! The transactions that make a batch's changes. Pure.
//!
//! Repeating one does no harm: a guarded change finds its own earlier success, another does the same once more.

use super::batch::{Change, Target};
use crate::client::{Compare, Delete, Get, Put, Relation, Txn};
use crate::types::{KeyRange, Revision};

/// With a comparison for each guarded key; all of these keys are read if one of them fails.
pub(super) fn key_by_key(batch: &[Change]) -> Txn {
    batch.iter().fold(Txn::new().idempotent(), |txn, change| {
        let key = change.key.clone();
        let txn = making(txn, change);
        match change.guard {
            Some(seen) => txn
                .when(Compare::mod_revision(key.clone(), Relation::Equal, seen))
                .otherwise(Get::new(KeyRange::key(key))),
            None => txn,
        }
    })
}

/// With one comparison: nothing lies from the first key to the last. A server reads what does lie there, so this
/// is for stretches that were found empty. `None` if not all changes are of keys that must not exist.
pub(super) fn into_vacancy(batch: &[Change]) -> Option<Txn> {
    if batch.iter().any(|change| change.guard != Some(Revision(0))) {
        return None;
    }
    let keys = || batch.iter().map(|change| &change.key);
    let (first, last) = (keys().min()?, keys().max()?);
    let stretch = KeyRange::between(first.clone(), [last, &b"\0"[..]].concat());
    Some(batch.iter().fold(Txn::new().idempotent().when(Compare::absent(stretch)), making))
}

fn making(txn: Txn, change: &Change) -> Txn {
    let key = change.key.clone();
    match &change.to {
        Target::Put { value, lease } => txn.then(Put::new(key, value.clone()).lease(*lease)),
        Target::Gone => txn.then(Delete::new(KeyRange::key(key))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, guard: Option<i64>) -> Change {
        let to = Target::Put { value: "v".into(), lease: None };
        Change { key: key.to_owned().into(), to, guard: guard.map(Revision) }
    }

    #[test]
    fn only_keys_that_must_not_exist_fill_a_gap() {
        assert!(into_vacancy(&[change("a", Some(0)), change("b", Some(0))]).is_some());
        assert!(into_vacancy(&[change("a", Some(0)), change("b", Some(7))]).is_none(), "one is to be seen");
        assert!(into_vacancy(&[change("a", Some(0)), change("b", None)]).is_none(), "one is put in any case");
        assert!(into_vacancy(&[]).is_none());
    }
}
