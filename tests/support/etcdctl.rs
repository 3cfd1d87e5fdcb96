//! Asking a server by its own tool.

use std::process::{Command, Output};

use super::{Server, process};

impl Server {
    /// Runs `etcdctl` on this server, as root if authentication is on, and gives what it wrote. Its failure
    /// fails the test.
    pub async fn etcdctl(&self, arguments: &[&str]) -> String {
        let output = self.try_etcdctl(arguments).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "etcdctl {arguments:?}: {}\n{stderr}", output.status);
        String::from_utf8(output.stdout).expect("etcdctl writes text")
    }

    /// As [`Server::etcdctl`], for calls that may or should fail.
    pub async fn try_etcdctl(&self, arguments: &[&str]) -> Output {
        let mut command = self.etcdctl_command();
        command.args(arguments);
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true).output().await.expect("etcdctl can be run")
    }

    fn etcdctl_command(&self) -> Command {
        let mut command = process::command(&self.program("etcdctl"));
        // Its own limits, 5 s and 2 s, are short beside other tests.
        command.args(["--endpoints", &self.endpoint(), "--command-timeout", "30s", "--dial-timeout", "30s"]);
        if let Some(tls) = &self.options.tls {
            command.arg("--cacert").arg(tls.ca());
            if self.options.client_certificates {
                command.arg("--cert").arg(&tls.root().cert).arg("--key").arg(&tls.root().key);
            }
        }
        if let Some(password) = self.root_password.get() {
            command.args(["--user", "root", "--password", password]);
        }
        command
    }
}
