//! A TCP proxy in front of a server that misbehaves on request.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Random, ports};

/// What a proxy does to its connections: those that are open and those to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// All bytes take this much longer, each way. One chunk in a hundred waits for `stall` on top, and what
    /// comes after it waits too, as TCP makes it after a lost packet.
    Slow { each_way: Duration, stall: Duration },
    /// Connections come about, but nothing goes through them. What was sent meanwhile arrives when the fault
    /// ends, as TCP repeats it.
    BlackHole,
    /// As [`Fault::BlackHole`], for connections that come from the member of etcd with this id.
    BlackHoleFrom(u64),
    /// What clients say arrives, what the server says does not; until the fault ends.
    HalfOpen,
    /// New connections are reset at once.
    Refuse,
    /// A connection is reset when the server has said this many bytes over it.
    CutAfter(usize),
    /// So many bytes go through in this direction, all connections together, and then no more.
    StallAfter(Way, u64),
}

/// Listens on a port of its own on 127.0.0.1; without a fault it is not noticed. Dropped, it resets all
/// connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    control: Arc<Control>,
    listening: AbortHandle,
}

#[derive(Debug)]
struct Control {
    fault: watch::Sender<Fault>,
    reset: Notify,
    connections: AtomicU64,
    /// How many of the connections have ended.
    ended: AtomicU64,
    /// Connections with a lower number are.
    forgotten: AtomicU64,
    /// How many went through, each way.
    requests: AtomicU64,
    answers: AtomicU64,
    /// Whether bytes were held back by [`Fault::StallAfter`].
    stalled: watch::Sender<bool>,
}

impl Control {
    fn carried(&self, way: Way) -> &AtomicU64 {
        match way {
            Way::Request => &self.requests,
            Way::Answer => &self.answers,
        }
    }
}

/// From the client, or from the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    Request,
    Answer,
}

impl Proxy {
    /// In front of a port on this machine, where nobody needs to listen yet.
    pub async fn to(target: u16) -> Self {
        let listener = listen().await;
        let port = listener.local_addr().expect("it is bound").port();
        let control = Arc::new(Control {
            fault: watch::Sender::new(Fault::None),
            reset: Notify::new(),
            connections: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            stalled: watch::Sender::new(false),
        });
        let listening = tokio::spawn(serve(listener, target, Arc::clone(&control))).abort_handle();
        Self { port, control, listening }
    }

    /// As [`Proxy::to`], with [`Fault::StallAfter`].
    pub async fn stalling(target: u16, way: Way, bytes: u64) -> Self {
        let proxy = Self::to(target).await;
        proxy.set(Fault::StallAfter(way, bytes));
        proxy
    }

    /// The URL for clients of a server without TLS.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on.
    pub fn set(&self, fault: Fault) {
        self.control.fault.send_replace(fault);
    }

    /// Resets all open connections.
    pub fn reset(&self) {
        self.control.reset.notify_waiters();
    }

    /// Open connections stay open but fall silent for ever; new ones work. What a router does that was
    /// restarted.
    pub fn forget(&self) {
        self.control.forgotten.store(self.connections(), Ordering::Relaxed);
    }

    /// How many connections there have been.
    pub fn connections(&self) -> u64 {
        self.control.connections.load(Ordering::Relaxed)
    }

    /// How many of the connections have ended.
    pub fn ended(&self) -> u64 {
        self.control.ended.load(Ordering::Relaxed)
    }

    /// How many bytes went through, both ways together.
    pub fn bytes(&self) -> u64 {
        [Way::Request, Way::Answer].iter().map(|way| self.control.carried(*way).load(Ordering::Relaxed)).sum()
    }

    /// Waits until bytes are held back by [`Fault::StallAfter`].
    pub async fn stalled(&self) {
        let mut stalled = self.control.stalled.subscribe();
        stalled.wait_for(|stalled| *stalled).await.expect("the sender is in `control`");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// A port may be taken between being found free and being used.
async fn listen() -> TcpListener {
    loop {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", ports::free())).await {
            return listener;
        }
    }
}

async fn serve(listener: TcpListener, target: u16, control: Arc<Control>) {
    // Its connections end with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let number = control.connections.fetch_add(1, Ordering::Relaxed);
        let connection = Connection { number, control: Arc::clone(&control), source: OnceLock::new() };
        connections.spawn(async move {
            connection.carry(client, target).await;
            connection.control.ended.fetch_add(1, Ordering::Relaxed);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// One connection through the proxy.
struct Connection {
    number: u64,
    control: Arc<Control>,
    /// The member of etcd that opened it, once it has said so.
    source: OnceLock<u64>,
}

impl Connection {
    async fn carry(&self, mut client: TcpStream, target: u16) {
        let reset = self.control.reset.notified();
        let refused = *self.control.fault.borrow() == Fault::Refuse;
        let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await else {
            return hang_up(&client);
        };
        if refused || client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
            return hang_up(&client);
        }
        let closed_by_both = {
            let (from_client, to_client) = client.split();
            let (from_server, to_server) = server.split();
            let requests = self.pump(Way::Request, from_client, to_server);
            let answers = self.pump(Way::Answer, from_server, to_client);
            tokio::select! {
                both = async { tokio::try_join!(requests, answers) } => both.is_ok(),
                () = reset => false,
            }
        };
        if !closed_by_both {
            hang_up(&client);
            hang_up(&server);
        }
    }

    async fn pump(&self, way: Way, from: ReadHalf<'_>, to: WriteHalf<'_>) -> io::Result<()> {
        let (line, due) = mpsc::channel(1024);
        tokio::try_join!(self.take(way, from, line), deliver(to, due)).map(drop)
    }

    async fn take(
        &self,
        way: Way,
        mut from: ReadHalf<'_>,
        line: mpsc::Sender<(Instant, Vec<u8>)>,
    ) -> io::Result<()> {
        let (mut carried, mut head) = (0, Vec::new());
        loop {
            let mut chunk = vec![0; 16 << 10];
            let length = from.read(&mut chunk).await?;
            chunk.truncate(length);
            if way == Way::Request {
                self.look_for_source(&mut head, &chunk);
            }
            let fault = self.gate(way).await;
            if length == 0 {
                return Ok(());
            }
            let left = fault.limit(way).map(|limit| limit.saturating_sub(carried));
            if left.is_some_and(|left| left < length) {
                chunk.truncate(left.unwrap_or_default());
                let _ = line.send((Instant::now(), chunk)).await;
                // Time for the last bytes to be seen before the reset.
                sleep(Duration::from_millis(1)).await;
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            carried += length;
            self.control.carried(way).fetch_add(length.try_into().unwrap_or_default(), Ordering::Relaxed);
            // What cannot be delivered any more is the other half's error.
            let _ = line.send((Instant::now() + fault.delay(), chunk)).await;
        }
    }

    /// Waits until bytes get through, and tells what happens to them then.
    async fn gate(&self, way: Way) -> Fault {
        if self.number < self.control.forgotten.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let mut fault = self.control.fault.subscribe();
        let open = fault.wait_for(|fault| !self.holds(*fault, way)).await;
        *open.expect("the sender is in `control`")
    }

    fn holds(&self, fault: Fault, way: Way) -> bool {
        match fault {
            Fault::BlackHole => true,
            Fault::BlackHoleFrom(id) => self.source.get() == Some(&id),
            Fault::HalfOpen => way == Way::Answer,
            Fault::StallAfter(stalling, bytes) => {
                let stalls = way == stalling && self.control.carried(way).load(Ordering::Relaxed) >= bytes;
                if stalls {
                    self.control.stalled.send_replace(true);
                }
                stalls
            }
            _ => false,
        }
    }

    /// Members name themselves in the head of each request to another. Only the first request matters: what
    /// connects for one process serves no other.
    fn look_for_source(&self, head: &mut Vec<u8>, chunk: &[u8]) {
        const NAME: &[u8] = b"\r\nX-Server-From: ";
        const LONGEST_ID: usize = 16;
        if self.source.get().is_some() {
            return;
        }
        head.extend(chunk);
        let found = head.windows(NAME.len()).position(|window| window == NAME);
        let value = found.map(|at| &head[at + NAME.len()..]);
        let end = value.and_then(|value| value.iter().position(|&byte| byte == b'\r'));
        if let (Some(value), Some(end)) = (value, end) {
            let id = str::from_utf8(&value[..end]).ok().and_then(|id| u64::from_str_radix(id, 16).ok());
            let _ = self.source.set(id.expect("an id"));
        }
        // What the next chunk may complete.
        head.drain(..head.len().saturating_sub(NAME.len() + LONGEST_ID));
    }
}

impl Fault {
    fn limit(self, way: Way) -> Option<usize> {
        match self {
            Self::CutAfter(bytes) if way == Way::Answer => Some(bytes),
            _ => None,
        }
    }

    fn delay(self) -> Duration {
        match self {
            Self::Slow { each_way, stall } if Random::new().percent(1) => each_way + stall,
            Self::Slow { each_way, .. } => each_way,
            _ => Duration::ZERO,
        }
    }
}

/// In the order in which they came, each when it is due.
async fn deliver(mut to: WriteHalf<'_>, mut due: mpsc::Receiver<(Instant, Vec<u8>)>) -> io::Result<()> {
    while let Some((at, chunk)) = due.recv().await {
        sleep_until(at).await;
        to.write_all(&chunk).await?;
    }
    to.shutdown().await
}

/// By a reset, where closing alone would send what is left and say goodbye.
fn hang_up(stream: &TcpStream) {
    // Fails for a connection that is gone, which is as good.
    let _ = stream.set_zero_linger();
}
