use std::sync::{Arc, Mutex};

use super::connection::Connection;
use super::link::Windows;
use crate::util::lock;

/// Connections beside the usual ones, one to a member, for what would hold up requests: large streams
/// with windows of their own.
#[derive(Debug)]
pub(crate) struct Bulk {
    windows: Windows,
    siblings: Mutex<Vec<Arc<Connection>>>,
}

impl Bulk {
    /// None is dialled before it is needed.
    pub(crate) fn new(windows: Windows) -> Self {
        Self { windows, siblings: Mutex::default() }
    }

    /// The one to the same member.
    pub(super) fn beside(&self, connection: &Connection) -> Arc<Connection> {
        let mut siblings = lock(&self.siblings);
        let known = siblings.iter().find(|sibling| sibling.endpoint() == connection.endpoint());
        if let Some(sibling) = known {
            return Arc::clone(sibling);
        }
        let sibling = Arc::new(connection.sibling(self.windows));
        siblings.push(Arc::clone(&sibling));
        sibling
    }
}
