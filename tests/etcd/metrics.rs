//! What servers count.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Server;

/// The sum of the samples whose name and labels begin so and hold `label`.
pub(crate) async fn sum(server: &Server, name: &str, label: &str) -> u64 {
    let mut web = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    web.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
    let mut page = String::new();
    web.read_to_string(&mut page).await.unwrap();
    let samples = page.lines().filter(|line| line.starts_with(name) && line.contains(label));
    samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}
