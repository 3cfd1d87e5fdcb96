use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long an address is tried alone before the next one is tried beside it: a silent one must not use up the
/// connect timeout of a name that has others.
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the first address of the name that accepts. The next one is tried once one has failed, or has
/// been silent for a while.
pub(super) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    first_of(lookup_host((host, port)).await?).await
}

async fn first_of(mut addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts = FuturesUnordered::new();
    let mut last_failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        match addresses.next() {
            Some(address) => attempts.push(TcpStream::connect(address)),
            None if attempts.is_empty() => return Err(last_failure),
            None => {}
        }
        match timeout(HEAD_START, attempts.next()).await {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(failure))) => last_failure = failure,
            Ok(None) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    async fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    async fn refusing() -> SocketAddr {
        listening().await.1
    }

    /// Its queue is full: what else connects hears nothing.
    async fn silent() -> (Vec<TcpStream>, TcpListener, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
            queue.push(stream.unwrap());
        }
        (queue, listener, address)
    }

    #[tokio::test]
    async fn addresses_that_refuse_or_are_silent_are_passed_over() {
        let (_queue, _listener, silent) = silent().await;
        let (_listener, good) = listening().await;
        let began = Instant::now();
        let stream = first_of([refusing().await, silent, refusing().await, good].into_iter()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(began.elapsed() >= HEAD_START, "the silent address was not tried");
    }

    #[tokio::test]
    async fn the_last_failure_is_told_and_what_is_late_is_still_taken() {
        let (queue, listener, silent) = silent().await;
        let error = first_of([refusing().await, refusing().await].into_iter()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}");
        assert_eq!(first_of(std::iter::empty()).await.unwrap_err().kind(), io::ErrorKind::NotFound);

        let late = tokio::spawn(async move { first_of([silent, refusing().await].into_iter()).await });
        tokio::time::sleep(HEAD_START * 2).await;
        for _ in &queue {
            listener.accept().await.unwrap();
        }
        assert_eq!(late.await.unwrap().unwrap().peer_addr().unwrap(), silent);
    }
}
