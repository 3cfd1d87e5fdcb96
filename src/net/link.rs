use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, Reason, SendStream};
use http::Request;
use http::uri::{Scheme, Uri};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::activity::Activity;
use super::failure::{Failure, chain};
use super::frame::Framed;
use super::socket::Socket;

/// A ping this often while somebody waits for the peer. etcd closes connections that ping more often
/// than every 5 s, and any that ping while no request is under way.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a ping may stay unanswered before the connection counts as lost.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for a connection that is doubted: its peer has just answered over another one.
const DOUBT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a closed connection may take to tell why.
const END_TIMEOUT: Duration = Duration::from_millis(100);
/// More than etcd's longest answer has in its head and trailers: an error's text.
const MAX_HEADER_BYTES: u32 = 64 << 10;

/// HTTP/2 flow-control windows: how many bytes a member may send before we have read them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    stream: u32,
    connection: u32,
}

impl Windows {
    /// For requests that share a connection.
    pub(crate) const SHARED: Self = Self { stream: 8 << 20, connection: 16 << 20 };
    /// For one bulk stream: fills a path of 32 MiB in flight.
    pub(crate) const BULK: Self = Self { stream: 32 << 20, connection: 64 << 20 };

    /// For so many bulk streams at once, none of which can hold up another.
    pub(crate) fn of(stream: u32, streams: u32) -> Self {
        const LARGEST: u32 = (1 << 31) - 1;
        Self { stream: stream.min(LARGEST), connection: stream.saturating_mul(streams).min(LARGEST) }
    }
}

/// An open HTTP/2 connection. Shared: every exchange has a clone.
#[derive(Clone)]
pub(crate) struct Link(Arc<Line>);

struct Line {
    sender: SendRequest<Framed>,
    /// What a request's URI begins with.
    origin: Uri,
    /// Whether the peer has ever answered in HTTP/2: connecting alone does not show that.
    answered: AtomicBool,
    /// Whether it takes no further request, although some may still be under way.
    closing: AtomicBool,
    /// Why the connection ended, once it has.
    end: watch::Receiver<Option<String>>,
    activity: Arc<Activity>,
    doubted: Arc<Notify>,
}

/// A link that does not keep its connection open.
#[derive(Debug)]
pub(super) struct WeakLink(Weak<Line>);

/// A request whose head was sent: where its messages go, and where the answer comes from.
pub(super) struct Started {
    pub(super) requests: SendStream<Framed>,
    pub(super) response: ResponseFuture,
}

impl Link {
    /// Speaks HTTP/2 over a socket from now on.
    pub(super) async fn open(socket: Socket, origin: Uri, windows: Windows) -> Result<Self, Failure> {
        let (sender, mut connection) = Builder::new()
            .enable_push(false)
            .max_header_list_size(MAX_HEADER_BYTES)
            .initial_window_size(windows.stream)
            .initial_connection_window_size(windows.connection)
            .handshake(socket)
            .await
            .map_err(|error| Failure::Dial(chain(&error)))?;
        let (tell, end) = watch::channel(None);
        let (activity, doubted) = (Arc::<Activity>::default(), Arc::<Notify>::default());
        let pings = connection.ping_pong();
        let life = live(connection, pings, Arc::clone(&activity), Arc::clone(&doubted));
        tokio::spawn(async move {
            // Nobody may be left who wants to know.
            let _ = tell.send(Some(life.await));
        });
        let (answered, closing) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self(Arc::new(Line { sender, origin, answered, closing, end, activity, doubted })))
    }

    pub(super) fn downgrade(&self) -> WeakLink {
        WeakLink(Arc::downgrade(&self.0))
    }

    pub(super) fn origin(&self) -> &Uri {
        &self.0.origin
    }

    /// Whether it takes no further request.
    pub(super) fn is_closed(&self) -> bool {
        self.0.closing.load(Ordering::Relaxed) || self.0.has_ended()
    }

    /// Sends a request's head. If that fails the request was not sent.
    pub(super) async fn start(&self, head: Request<()>) -> Result<Started, Failure> {
        let mut sender = self.0.sender.clone();
        let ready = match sender.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            // Only senders that have a stream which waits to be opened are not ready.
            Poll::Pending => Ok(()),
        };
        match ready.and_then(|()| sender.send_request(head, false)) {
            Ok((response, requests)) => Ok(Started { requests, response }),
            Err(error) => {
                self.0.closing.store(true, Ordering::Relaxed);
                Err(Failure::NotSent(self.0.explain(&error).await))
            }
        }
    }

    /// Awaits something from the peer, which counts as busy with it meanwhile.
    pub(super) async fn hear<T>(&self, something: impl Future<Output = T>) -> T {
        let _waiting = self.0.activity.wait();
        let heard = something.await;
        self.0.activity.hear();
        heard
    }

    /// The peer speaks HTTP/2.
    pub(super) fn has_answered(&self) {
        self.0.answered.store(true, Ordering::Relaxed);
    }

    /// What became of a request that had been sent.
    pub(super) async fn failed(&self, error: &h2::Error) -> Failure {
        let cause = self.0.explain(error).await;
        // So says a peer that has not even looked at it.
        let refused = error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM);
        if refused { Failure::NotSent(cause) } else { Failure::Lost(cause) }
    }
}

impl WeakLink {
    /// Whether anybody still uses the connection.
    pub(super) fn is_used(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Has the peer answer a ping soon if anybody waits for it, or the connection counts as lost.
    pub(super) fn doubt(&self) {
        if let Some(line) = self.0.upgrade() {
            line.doubted.notify_one();
        }
    }
}

impl Line {
    fn has_ended(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// The cause, and what it usually means when the peer has never said anything in HTTP/2.
    async fn explain(&self, error: &h2::Error) -> String {
        let cause = self.end_of_connection(error).await.unwrap_or_else(|| chain(error));
        if self.answered.load(Ordering::Relaxed) {
            return cause;
        }
        let wish = if self.origin.scheme() == Some(&Scheme::HTTP) {
            "https://"
        } else {
            "a client certificate, or another one"
        };
        format!(
            "{cause}; the peer never answered in HTTP/2: is this etcd's client port? Does it want {wish}?"
        )
    }

    /// What ended the connection, such as a server's refusal of our certificate: requests only see
    /// that it is closed, and see it a moment earlier.
    async fn end_of_connection(&self, error: &h2::Error) -> Option<String> {
        if error.is_reset() {
            return None;
        }
        let mut end = self.end.clone();
        let cause = timeout(END_TIMEOUT, end.wait_for(Option::is_some)).await.ok()?;
        cause.ok()?.clone()
    }
}

/// Keeps a connection going, and tells in the end why it ended.
async fn live(
    connection: Connection<Socket, Framed>,
    pings: Option<PingPong>,
    activity: Arc<Activity>,
    doubted: Arc<Notify>,
) -> String {
    tokio::select! {
        biased;
        outcome = connection => {
            outcome.err().map_or_else(|| "closed by the peer".to_owned(), |error| chain(&error))
        }
        patience = until_deaf(pings, &activity, &doubted) => format!("no answer to a ping within {patience:?}"),
    }
}

/// Ends when the peer no longer answers pings nor anything else, and tells how long it had: behind much data,
/// an answer to a ping is late on a slow path. A peer that nobody waits for is not asked.
async fn until_deaf(pings: Option<PingPong>, activity: &Activity, doubted: &Notify) -> Duration {
    // There is always one: nobody has taken it.
    let Some(mut pings) = pings else { return std::future::pending().await };
    loop {
        let patience = tokio::select! {
            () = sleep(KEEPALIVE_INTERVAL) => KEEPALIVE_TIMEOUT,
            () = doubted.notified() => DOUBT_TIMEOUT,
        };
        if activity.is_idle() {
            continue;
        }
        activity.was_heard();
        let mut pong = pin!(pings.ping(Ping::opaque()));
        // An error ends the connection itself, too.
        while timeout(patience, &mut pong).await.is_err() {
            if !activity.was_heard() {
                return patience;
            }
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.0.origin)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::{Instant, advance};

    use super::*;

    const PREFACE_BYTES: usize = 24;
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const PING: u8 = 6;

    /// The other end of a connection, which answers nothing of itself.
    struct Peer(DuplexStream);

    impl Peer {
        async fn connected() -> (Link, Self) {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let origin = Uri::from_static("http://peer/");
            let link = Link::open(Socket::new(ours), origin, Windows::SHARED).await.unwrap();
            let mut peer = Self(theirs);
            peer.0.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
            peer.0.write_all(&SETTINGS).await.unwrap();
            (link, peer)
        }

        /// The next ping's payload; `None` once the connection is closed.
        async fn ping(&mut self) -> Option<[u8; 8]> {
            loop {
                let mut head = [0; 9];
                self.0.read_exact(&mut head).await.ok()?;
                let length = usize::from(head[1]) << 8 | usize::from(head[2]);
                let mut body = vec![0; length];
                self.0.read_exact(&mut body).await.ok()?;
                if head[3] == PING {
                    return body.try_into().ok();
                }
            }
        }

        async fn pong(&mut self, payload: [u8; 8]) {
            self.0.write_all(&[0, 0, 8, PING, 1, 0, 0, 0, 0]).await.unwrap();
            self.0.write_all(&payload).await.unwrap();
        }
    }

    /// Somebody waits for the peer as long as this is not dropped.
    async fn wait_for_ever(link: Link) {
        link.hear(std::future::pending::<()>()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn pings_go_out_while_somebody_waits_and_never_else() {
        let (link, mut peer) = Peer::connected().await;
        let idle = timeout(Duration::from_secs(3600), peer.ping()).await;
        assert!(idle.is_err(), "a ping on an idle connection");
        let waiting = tokio::spawn(wait_for_ever(link.clone()));
        let mut last = Instant::now();
        for _ in 0..5 {
            let ping = peer.ping().await.unwrap();
            assert!(last.elapsed() <= KEEPALIVE_INTERVAL, "{:?}", last.elapsed());
            last = Instant::now();
            peer.pong(ping).await;
        }
        waiting.abort();
        let idle = timeout(Duration::from_secs(3600), peer.ping()).await;
        assert!(idle.is_err() && !link.is_closed(), "a ping after the wait");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_answers_no_ping_is_lost() {
        let (link, mut peer) = Peer::connected().await;
        let began = Instant::now();
        tokio::spawn(wait_for_ever(link.clone()));
        while peer.ping().await.is_some() {}
        assert!(began.elapsed() <= KEEPALIVE_INTERVAL + KEEPALIVE_TIMEOUT, "{:?}", began.elapsed());
        assert!(link.is_closed());
        let error = link.start(Request::new(())).await.err().unwrap().to_string();
        assert!(error.contains("no answer to a ping"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_behind_much_data_is_no_loss() {
        let (link, mut peer) = Peer::connected().await;
        tokio::spawn(wait_for_ever(link.clone()));
        let ping = peer.ping().await.unwrap();
        for _ in 0..5 {
            advance(KEEPALIVE_TIMEOUT - Duration::from_millis(100)).await;
            link.hear(std::future::ready(())).await;
        }
        assert!(!link.is_closed());
        peer.pong(ping).await;
        assert!(peer.ping().await.is_some(), "the next ping");
    }

    #[tokio::test(start_paused = true)]
    async fn a_doubted_connection_is_lost_soon_unless_its_peer_answers() {
        let (link, mut peer) = Peer::connected().await;
        tokio::spawn(wait_for_ever(link.clone()));
        sleep(Duration::from_millis(1)).await;
        link.downgrade().doubt();
        let ping = timeout(DOUBT_TIMEOUT, peer.ping()).await.unwrap().unwrap();
        peer.pong(ping).await;
        sleep(DOUBT_TIMEOUT * 2).await;
        assert!(!link.is_closed(), "it has answered");

        let began = Instant::now();
        link.downgrade().doubt();
        while peer.ping().await.is_some() {}
        assert!(link.is_closed() && began.elapsed() <= DOUBT_TIMEOUT * 2, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_connection_that_nobody_can_use_any_more_is_closed() {
        let (link, mut peer) = Peer::connected().await;
        drop(link);
        assert_eq!(peer.ping().await, None);
    }
}
