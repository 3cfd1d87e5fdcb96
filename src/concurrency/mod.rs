//! Locks and elections, by the recipe of etcd's own clients: whoever wants to hold a name puts a key of its own
//! under it, with a lease, and holds it while that key is the one created first.
//!
//! The names and who is next are pure, in `queue`; a `Place` is a key in such a queue. `Client::lock` and the
//! like are written here, so that the facade reads as one type. Nothing in the crate uses this module.

mod election;
mod lock;
mod loss;
mod observe;
mod place;
mod queue;
mod waiting;

pub use election::{Election, Leadership};
pub use lock::LockGuard;
pub use loss::Loss;
pub use observe::LeaderStream;
