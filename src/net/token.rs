use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderValue;

/// What a request carries to say who is asking.
#[derive(Clone)]
pub(crate) struct Token {
    /// Rises with every authentication: tells whether a refused token is still the newest.
    pub(super) generation: u64,
    /// `None` while the server has authentication off.
    value: Option<HeaderValue>,
    /// When to obtain another although this one still serves; `None` if its end is not known.
    refresh_at: Option<Instant>,
}

impl Token {
    /// `value` as the server gave it; `None` if it has authentication off.
    pub(super) fn new(generation: u64, value: Option<HeaderValue>) -> Self {
        let life = value.as_ref().and_then(|value| life_left(value.to_str().ok()?, SystemTime::now()));
        // At three quarters of its life: time enough for a new one to be obtained.
        let refresh_at = life.map(|life| Instant::now() + life * 3 / 4);
        Self { generation, value, refresh_at }
    }

    pub(super) fn value(&self) -> Option<&HeaderValue> {
        self.value.as_ref()
    }

    pub(super) fn should_be_refreshed(&self, now: Instant) -> bool {
        self.refresh_at.is_some_and(|at| now >= at)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(generation {})", self.generation)
    }
}

/// How long a JWT still lives; `None` for other tokens, whose end only the server knows.
fn life_left(token: &str, now: SystemTime) -> Option<Duration> {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims = str::from_utf8(&claims).ok()?;
    let number = claims.split("\"exp\":").nth(1)?.trim_start();
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(digits.parse().ok()?))?;
    end.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("head.{}.signature", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_jwt_tells_its_end() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let left = |claims| life_left(&jwt(claims), now);
        assert_eq!(left(r#"{"exp":1300,"username":"root"}"#), Some(Duration::from_secs(300)));
        assert_eq!(left(r#"{"revision":4,"exp": 1001}"#), Some(Duration::from_secs(1)));
    }

    #[test]
    fn what_has_no_end_or_is_no_jwt_is_never_refreshed_ahead() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let tokens =
            [jwt(r#"{"exp":999}"#), jwt("{}"), jwt(r#"{"exp":"x"}"#), "abc.17".into(), String::new()];
        assert!(tokens.iter().all(|token| life_left(token, now).is_none()));
    }
}
