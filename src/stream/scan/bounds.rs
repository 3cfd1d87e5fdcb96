//! A range as two bounds: its start, which is in it, and its end, which is not. Pure.

use crate::types::KeyRange;

/// etcd's spelling of the end of all keys.
const NO_END: &[u8] = b"\0";

/// The bounds of a range; `None` is the end of all keys.
pub(super) fn bounds_of(range: &KeyRange) -> (Vec<u8>, Option<Vec<u8>>) {
    let (start, end) = range.to_wire();
    let end = match &end[..] {
        b"" => Some([&start[..], b"\0"].concat()),
        NO_END => None,
        end => Some(end.to_vec()),
    };
    (start.to_vec(), end)
}

pub(super) fn range_of(start: Vec<u8>, end: Option<Vec<u8>>) -> KeyRange {
    match end {
        Some(end) => KeyRange::between(start, end),
        None => KeyRange::from_key(start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_and_its_bounds_hold_the_same_keys() {
        let ranges =
            [KeyRange::key("b"), KeyRange::prefix("b"), KeyRange::between("b", "c"), KeyRange::from_key("b")];
        for range in ranges {
            let (start, end) = bounds_of(&range);
            let again = range_of(start, end);
            for key in ["a", "b", "b\0", "ba", "c", "d"] {
                assert_eq!(
                    again.contains(key.as_bytes()),
                    range.contains(key.as_bytes()),
                    "{key} in {range}"
                );
            }
        }
        assert_eq!(bounds_of(&KeyRange::all()), (b"\0".to_vec(), None));
    }
}
