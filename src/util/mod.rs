//! Small helpers without a domain of their own. Any floor may use them.

mod escape;
mod lock;
mod random;
mod secret;

pub use escape::Escaped;
pub(crate) use lock::lock;
pub(crate) use random::{random_fraction, random_u64};
pub(crate) use secret::Secret;
