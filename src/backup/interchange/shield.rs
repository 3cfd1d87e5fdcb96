//! The lines of SHIELD's etcd plugin: `base64(key) : base64(value)`, and nothing else.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

const SEPARATOR: &[u8] = b" : ";

/// A key and its value, or why it is none. Says nothing of what stands in the line: it may be a secret.
pub(super) fn parse(line: &[u8]) -> Result<(Bytes, Bytes), String> {
    if line.is_empty() {
        return Err("it is empty, where a key and a value should be".to_owned());
    }
    let at = line.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
    let (key, rest) = at.and_then(|at| line.split_at_checked(at)).ok_or(
        "it has no \" : \" between key and value; the text was cut, or is no SHIELD archive, or is still compressed",
    )?;
    let value = rest.get(SEPARATOR.len()..).unwrap_or_default();
    Ok((decode("key", key)?, decode("value", value)?))
}

fn decode(what: &str, text: &[u8]) -> Result<Bytes, String> {
    let decoded = BASE64_STANDARD.decode(text);
    decoded.map(Bytes::from).map_err(|error| format!("its {what} is not base64: {error}"))
}

/// With the line's end.
pub(super) fn line(key: &[u8], value: &[u8]) -> String {
    format!("{} : {}\n", BASE64_STANDARD.encode(key), BASE64_STANDARD.encode(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        for (key, value) in [(&b"a"[..], &b""[..]), (b"\0\xff\n", b" : "), (b"", b"x")] {
            let line = line(key, value);
            let (read_key, read_value) = parse(line.trim_end_matches('\n').as_bytes()).unwrap();
            assert_eq!((&read_key[..], &read_value[..]), (key, value));
        }
    }

    #[test]
    fn what_is_damaged_is_told() {
        let cases: [(&[u8], &str); 6] = [
            (b"", "is empty"),
            (b"YQ==", "no \" : \""),
            (b"YQ==:YQ==", "no \" : \""),
            (b"YQ= : YQ==", "key is not base64"),
            (b"YQ== : YQ", "value is not base64"),
            (b"YQ== : YR==", "value is not base64"),
        ];
        for (line, told) in cases {
            let error = parse(line).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
