//! A way to the server that stops carrying bytes at a chosen point, so that a command stands still in the middle
//! of its work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::Server;

/// A port that leads to a server. Dropped with the test's runtime.
pub(crate) struct Proxy {
    port: u16,
    gate: Arc<Gate>,
}

/// Which bytes are counted and held back.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Direction {
    ToClient,
    ToServer,
}

#[derive(Debug)]
struct Gate {
    left: AtomicUsize,
    stalled: watch::Sender<bool>,
    open: watch::Sender<bool>,
}

impl Proxy {
    /// Carries so many bytes in the direction, all connections together, and then no more.
    pub(crate) async fn start(server: &Server, direction: Direction, bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stalled, open) = (watch::Sender::new(false), watch::Sender::new(false));
        let gate = Arc::new(Gate { left: AtomicUsize::new(bytes), stalled, open });
        tokio::spawn(serve(listener, server.port(), direction, Arc::clone(&gate)));
        Self { port, gate }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until bytes are held back.
    pub(crate) async fn stalled(&self) {
        self.gate.stalled.subscribe().wait_for(|stalled| *stalled).await.unwrap();
    }

    /// Carries everything from now on.
    pub(crate) fn resume(&self) {
        self.gate.open.send_replace(true);
    }
}

async fn serve(listener: TcpListener, to: u16, direction: Direction, gate: Arc<Gate>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let held_back = |way| (way == direction).then(|| Arc::clone(&gate));
        tokio::spawn(carry(from_client, to_server, held_back(Direction::ToServer)));
        tokio::spawn(carry(from_server, to_client, held_back(Direction::ToClient)));
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, gate: Option<Arc<Gate>>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if let Some(gate) = &gate {
            gate.pass(count).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
}

impl Gate {
    async fn pass(&self, bytes: usize) {
        let spend = |left: usize| left.checked_sub(bytes);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_err() {
            self.left.store(0, Ordering::Relaxed);
            self.stalled.send_replace(true);
            self.open.subscribe().wait_for(|open| *open).await.unwrap();
        }
    }
}
