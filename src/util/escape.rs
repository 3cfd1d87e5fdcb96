use std::fmt::{self, Write};

/// Shows bytes without ever sending a control character to a terminal.
///
/// Printable ASCII stays as it is; backslash, quote and everything else become `\\`, `\"`, `\n`,
/// `\x1b` and the like, so distinct bytes always look distinct.
///
/// ```
/// use etcd_ark::Escaped;
///
/// assert_eq!(Escaped(b"/app/\0\xff").to_string(), r"/app/\x00\xff");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().try_for_each(|byte| f.write_char(char::from(byte)))
    }
}
