//! Users and what they may do, by `etcdctl`.

use std::sync::{Arc, OnceLock};

use super::Server;

/// Known once authentication is on; the members of a cluster share it.
pub(super) type RootPassword = Arc<OnceLock<String>>;

/// What a role allows on a prefix.
#[derive(Debug, Clone, Copy)]
pub enum Permission {
    Read,
    Write,
    ReadWrite,
}

impl Permission {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadWrite => "readwrite",
        }
    }
}

impl Server {
    /// Adds root and turns authentication on, for the whole cluster; [`Server::etcdctl`] is root then.
    pub async fn enable_auth(&self, root_password: &str) {
        self.etcdctl(&["role", "add", "root"]).await;
        self.etcdctl(&["user", "add", &format!("root:{root_password}")]).await;
        self.etcdctl(&["user", "grant-role", "root", "root"]).await;
        self.etcdctl(&["auth", "enable"]).await;
        self.root_password.set(root_password.to_owned()).expect("authentication was off");
    }

    /// Adds a user and a role of the same name with the grants. The prefix "" is every key.
    pub async fn add_user(&self, name: &str, password: &str, grants: &[(Permission, &str)]) {
        self.etcdctl(&["user", "add", &format!("{name}:{password}")]).await;
        self.etcdctl(&["role", "add", name]).await;
        for (permission, prefix) in grants {
            self.etcdctl(&["role", "grant-permission", "--prefix", name, permission.name(), prefix]).await;
        }
        self.etcdctl(&["user", "grant-role", name, name]).await;
    }
}
