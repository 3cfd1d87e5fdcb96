use std::time::Duration;

use http::uri::{PathAndQuery, Uri};
use http::{HeaderValue, Method, Request, header};

use super::token::Token;

/// A remote procedure: its path on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rpc(&'static str);

impl Rpc {
    /// `path` is `/package.Service/Method`.
    pub(crate) const fn new(path: &'static str) -> Self {
        Self(path)
    }

    /// `Service/Method`, for people.
    pub(crate) fn name(self) -> &'static str {
        self.0.rsplit_once('.').map_or(self.0, |(_, name)| name)
    }

    /// The head of a request to the peer at `origin`.
    pub(super) fn head(self, origin: &Uri, token: Option<&Token>) -> Result<Request<()>, http::Error> {
        let mut uri = origin.clone().into_parts();
        uri.path_and_query = Some(PathAndQuery::from_static(self.0));
        let mut head = Request::new(());
        *head.method_mut() = Method::POST;
        *head.uri_mut() = Uri::from_parts(uri)?;
        let fields = head.headers_mut();
        fields.insert(header::TE, HeaderValue::from_static("trailers"));
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        // An empty token would be an invalid one: without one the field stays away.
        if let Some(value) = token.and_then(Token::value) {
            fields.insert("token", value.clone());
        }
        Ok(head)
    }
}

/// A time limit as gRPC writes it: at most eight digits and a unit.
///
/// In whole milliseconds, rounded up: the same limit then reads the same in every call, so that HPACK
/// sends it as one byte, where a new value each time would fill the header tables of both ends.
pub(super) fn time_limit(left: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let millis = left.as_nanos().div_ceil(1_000_000);
    let (number, unit) =
        if millis <= MOST { (millis, 'm') } else { (u128::from(left.as_secs()).min(MOST), 'S') };
    HeaderValue::try_from(format!("{number}{unit}")).unwrap_or(HeaderValue::from_static("0m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_limits_are_whole_milliseconds_of_eight_digits_at_most() {
        let shown = |left| time_limit(left).to_str().unwrap().to_owned();
        assert_eq!(shown(Duration::from_micros(4_999_001)), "5000m");
        assert_eq!(shown(Duration::ZERO), "0m");
        assert_eq!(shown(Duration::from_secs(200_000)), "200000S");
        assert_eq!(shown(Duration::MAX), "99999999S");
    }

    #[test]
    fn a_head_names_the_procedure_and_who_asks() {
        let origin = Uri::from_static("http://host:2379/");
        let rpc = Rpc::new("/etcdserverpb.KV/Range");
        let head = rpc.head(&origin, None).unwrap();
        assert_eq!(head.uri(), "http://host:2379/etcdserverpb.KV/Range");
        assert!(!head.headers().contains_key("token"));
        let token = Token::new(1, Some(HeaderValue::from_static("abc.1")));
        assert_eq!(rpc.head(&origin, Some(&token)).unwrap().headers()["token"], "abc.1");
        assert_eq!(rpc.name(), "KV/Range");
    }
}
