//! gRPC's status codes, and how an answer tells one.

use http::{HeaderMap, StatusCode};

use super::failure::Failure;

/// How a server says that a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Ok,
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

/// By their numbers on the wire.
const CODES: [Code; 17] = [
    Code::Ok,
    Code::Cancelled,
    Code::Unknown,
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::ResourceExhausted,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
    Code::Unauthenticated,
];

impl Code {
    /// The code that Go shows by this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = if name == "Canceled" { "Cancelled" } else { name };
        CODES.into_iter().find(|code| format!("{code:?}") == name)
    }
}

/// How the call went, by an answer's trailers, or by its head if that is all there is. `None` if they
/// do not tell.
pub(super) fn outcome(fields: &HeaderMap) -> Option<Result<(), Failure>> {
    let number = fields.get("grpc-status")?.to_str().ok().and_then(|text| text.parse::<usize>().ok());
    let code = number.and_then(|number| CODES.get(number).copied()).unwrap_or(Code::Unknown);
    if code == Code::Ok {
        return Some(Ok(()));
    }
    let message = fields.get("grpc-message").map(|text| percent_decoded(text.as_bytes()));
    Some(Err(Failure::Server { code, message: message.unwrap_or_default() }))
}

/// What an answer that is not gRPC's means, such as a proxy's.
pub(super) fn not_grpc(status: StatusCode) -> Failure {
    let code = match status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    Failure::Server { code, message: format!("the peer speaks no gRPC: it answered HTTP {status}") }
}

/// Messages are percent-encoded; what is not is taken as it is.
fn percent_decoded(text: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| after.get(..2).and_then(hex_byte)).flatten();
        decoded.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digits =
        str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: &str, message: &str) -> Option<Result<(), Failure>> {
        let fields = [("grpc-status", status), ("grpc-message", message)];
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let parsed = fields.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        outcome(&parsed.collect())
    }

    fn error(code: Code, message: &str) -> Option<Result<(), Failure>> {
        Some(Err(Failure::Server { code, message: message.into() }))
    }

    #[test]
    fn numbers_are_codes() {
        assert_eq!(told("0", ""), Some(Ok(())));
        assert_eq!(told("14", "no leader"), error(Code::Unavailable, "no leader"));
        assert_eq!(told("16", ""), error(Code::Unauthenticated, ""));
        assert_eq!(told("17", "new"), error(Code::Unknown, "new"));
        assert_eq!(told("x", ""), error(Code::Unknown, ""));
        assert_eq!(told("", "without a status"), None);
    }

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(told("2", "a%20b%C3%A9%25"), error(Code::Unknown, "a bé%"));
        for odd in ["%", "50%", "%zz", "%+1", "%2"] {
            assert_eq!(told("2", odd), error(Code::Unknown, odd));
        }
    }

    #[test]
    fn what_is_not_grpc_is_told_by_its_http_status() {
        let Failure::Server { code, message } = not_grpc(StatusCode::NOT_FOUND) else { panic!() };
        assert_eq!(code, Code::Unimplemented);
        assert!(message.contains("404"), "{message}");
    }
}
