//! Getting a request to a member and its answer back: endpoints, TLS, one HTTP/2 connection per
//! member, the picker, retries and the token.
//!
//! Requests and answers are encoded messages here: what they mean is the floor above's business.
//! Decisions (picker, retry, status) are pure; the IO around them is thin. Used by `client` and `stream`.

mod activity;
mod addresses;
mod answers;
mod auth;
mod budget;
mod bulk;
mod causes;
mod code;
mod connection;
mod dialer;
#[cfg(feature = "discovery")]
mod discovery;
mod distance;
mod duplex;
mod endpoint;
mod exchange;
mod failure;
mod feed;
mod frame;
mod gave_up;
mod health;
mod link;
mod messages;
mod picker;
mod reason;
mod retry;
mod roster;
mod rpc;
mod socket;
mod status;
#[cfg(feature = "tls")]
mod tls;
mod token;
mod transport;

pub(crate) use answers::Answers;
pub use auth::Credentials;
pub(crate) use bulk::Bulk;
pub(crate) use connection::Connection;
pub(crate) use dialer::Dialer;
#[cfg(feature = "discovery")]
pub use discovery::Discovery;
pub(crate) use duplex::Duplex;
pub use endpoint::Endpoint;
pub(crate) use failure::Failure;
pub(crate) use feed::Feed;
pub use health::EndpointHealth;
pub(crate) use link::Windows;
pub(crate) use reason::kind_of_reason;
pub(crate) use retry::RetryClass;
pub(crate) use rpc::Rpc;
#[cfg(feature = "tls")]
pub use tls::TlsConfig;
pub(crate) use token::Token;
pub(crate) use transport::{Call, Limits, Target, Transport};
