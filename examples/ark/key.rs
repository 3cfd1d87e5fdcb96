//! Keys on the command line: written as `ark ls` shows them.

use clap::builder::{OsStringValueParser, TypedValueParser};

/// A key or prefix, which may hold any bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) Vec<u8>);

/// Takes arguments that are not UTF-8 too.
pub(crate) fn parser() -> impl TypedValueParser<Value = Key> {
    OsStringValueParser::new().try_map(|text| unescape(text.as_encoded_bytes()))
}

/// The reverse of [`etcd_ark::Escaped`]: a backslash begins an escape, everything else stands for itself.
pub(crate) fn unescape(text: &[u8]) -> Result<Key, String> {
    let mut key = Vec::new();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        key.push(if byte == b'\\' { escape(&mut rest)? } else { byte });
    }
    Ok(Key(key))
}

/// Takes what follows a backslash.
fn escape(rest: &mut &[u8]) -> Result<u8, String> {
    let (&letter, after) =
        rest.split_first().ok_or("a single \\ at the end; the character itself is \\\\")?;
    *rest = after;
    match letter {
        b'\\' | b'"' | b'\'' => Ok(letter),
        b'n' => Ok(b'\n'),
        b'r' => Ok(b'\r'),
        b't' => Ok(b'\t'),
        b'x' => hexadecimal(rest).ok_or_else(|| "\\x wants two hexadecimal digits, as in \\x00".into()),
        other => Err(format!(
            "unknown escape \\{}; known are \\\\ \\\" \\' \\n \\r \\t \\xNN, and \\\\ is the character \\ itself",
            other.escape_ascii()
        )),
    }
}

fn hexadecimal(rest: &mut &[u8]) -> Option<u8> {
    let (digits, after) = rest.split_at_checked(2)?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(digits[0])? * 16 + digit(digits[1])?;
    *rest = after;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use etcd_ark::Escaped;

    use super::*;

    #[test]
    fn every_byte_comes_back_as_it_was_shown() {
        let all: Vec<u8> = (0..=255).collect();
        let shown = Escaped(&all).to_string();
        assert_eq!(unescape(shown.as_bytes()), Ok(Key(all)));
    }

    #[test]
    fn other_text_stands_for_itself() {
        assert_eq!(unescape("/app/é".as_bytes()), Ok(Key("/app/é".into())));
    }

    #[test]
    fn half_an_escape_is_refused() {
        for text in [r"a\", r"a\x", r"a\x1", r"a\xzz", r"a\q"] {
            assert!(unescape(text.as_bytes()).is_err(), "{text}");
        }
    }
}
