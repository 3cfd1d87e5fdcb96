//! Where in a key a byte stands. Names of different lengths are alike by their parts and words, not by their depths;
//! binary keys have neither.

use super::level::Level;

/// Separators beyond so many count as letters: what is known of places stays bounded.
const MOST: usize = 16;

/// The place of a byte: in which part between slashes, in which word of that, and where in the word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    part: usize,
    word: usize,
    offset: usize,
}

impl Place {
    /// The place behind this one, where `byte` stands, in keys that are text or are not.
    pub(super) fn behind(self, byte: u8, is_text: bool) -> Self {
        match byte {
            b'/' if is_text && self.part < MOST => Self { part: self.part + 1, word: 0, offset: 0 },
            _ if is_text && byte.is_ascii_punctuation() && self.word < MOST => {
                Self { word: self.word + 1, offset: 0, ..self }
            }
            _ => Self { offset: self.offset + 1, ..self },
        }
    }
}

/// What is known of each place.
#[derive(Clone, Debug, Default)]
pub(super) struct Levels(Vec<Vec<Vec<Level>>>);

impl Levels {
    pub(super) fn get(&self, place: Place) -> Option<&Level> {
        self.0.get(place.part)?.get(place.word)?.get(place.offset)
    }

    pub(super) fn at(&mut self, place: Place) -> &mut Level {
        let words = grown(&mut self.0, place.part);
        let levels = grown(words, place.word);
        grown(levels, place.offset)
    }
}

fn grown<T: Clone + Default>(all: &mut Vec<T>, index: usize) -> &mut T {
    if all.len() <= index {
        all.resize(index + 1, T::default());
    }
    &mut all[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_behind(key: &str, is_text: bool) -> Place {
        key.bytes().fold(Place::default(), |place, byte| place.behind(byte, is_text))
    }

    #[test]
    fn names_of_any_length_are_followed_by_the_same_place() {
        let behind_namespace = place_behind("/registry/pods/kube-system/core", true);
        assert_eq!(behind_namespace, place_behind("/registry/secrets/x/core", true));
        assert_eq!(place_behind("/pods/a/web-7f-", true), place_behind("/pods/b/database-1-", true));
        assert_ne!(place_behind("/pods/a/web", true), place_behind("/pods/web", true));
    }

    #[test]
    fn binary_keys_go_by_depth_and_separators_are_bounded() {
        assert_eq!(place_behind("a/b-c", false), place_behind("abcde", false));
        let many = place_behind(&"/-".repeat(1000), true);
        assert!(many.part == MOST && many.word == MOST);
    }
}
