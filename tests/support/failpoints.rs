//! Setting gofail's failpoints in a server started with [`Builder::failpoints`](super::Builder::failpoints).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Server;

impl Server {
    /// Arms a failpoint, as `("raftAfterSave", r#"panic("x")"#)` or `("beforeCommit", r#"sleep("2s")"#)`.
    pub async fn set_failpoint(&self, name: &str, terms: &str) {
        self.gofail("PUT", name, terms).await;
    }

    /// Disarms a failpoint.
    pub async fn clear_failpoint(&self, name: &str) {
        self.gofail("DELETE", name, "").await;
    }

    /// The names of all failpoints.
    pub async fn failpoints(&self) -> Vec<String> {
        let answer = self.gofail("GET", "", "").await;
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        body.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.to_owned()).collect()
    }

    /// HTTP/1.0: an answer ends where its connection ends.
    async fn gofail(&self, method: &str, name: &str, body: &str) -> String {
        let address = ("127.0.0.1", self.ports.failpoints);
        let mut stream = TcpStream::connect(address).await.expect("failpoints are on");
        let request = format!("{method} /{name} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.expect("gofail listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("gofail answers");
        assert!(answer.starts_with("HTTP/1.0 2"), "failpoint {name}: {answer}");
        answer
    }
}
