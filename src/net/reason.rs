use super::code::Code;
use super::status;
use crate::error::ErrorKind;

/// What servers say in an answer's text, such as why a watch was cancelled, in the words of a caller.
pub(crate) fn kind_of_reason(reason: &str) -> ErrorKind {
    let (code, message) = parse(reason).unwrap_or((Code::Unknown, reason));
    status::classify(code, message).0
}

/// Takes apart the form in which Go shows a status: `rpc error: code = NotFound desc = no such key`.
fn parse(reason: &str) -> Option<(Code, &str)> {
    let (name, message) = reason.strip_prefix("rpc error: code = ")?.split_once(" desc = ")?;
    Some((Code::named(name).unwrap_or(Code::Unknown), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_status_in_a_text_means_what_the_status_means() {
        let cases = [
            ("rpc error: code = Unauthenticated desc = etcdserver: invalid auth token", ErrorKind::Auth),
            (
                "rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old",
                ErrorKind::Auth,
            ),
            (
                "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
                ErrorKind::PermissionDenied,
            ),
            ("rpc error: code = PermissionDenied desc = in words unknown", ErrorKind::PermissionDenied),
            ("rpc error: code = Canceled desc = context canceled", ErrorKind::Deadline),
            ("etcdserver: mvcc: required revision has been compacted", ErrorKind::Compacted),
            ("mvcc: watcher range is empty", ErrorKind::Rejected),
            ("", ErrorKind::Rejected),
        ];
        for (reason, kind) in cases {
            assert_eq!(kind_of_reason(reason), kind, "{reason}");
        }
    }
}
