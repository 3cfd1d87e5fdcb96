//! How a lease stands, as its holders and those who renew it see it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::lost::LeaseLost;
use crate::error::{Error, ErrorKind, Result};

/// How much earlier than the server's our clock runs out: what it may go slow, and time for a holder to stop.
const MARGIN_PARTS: u32 = 10;

/// Until when a lease may be called held that the server renewed no earlier than it was `asked` to.
pub(super) fn held_until(asked: Instant, ttl: Duration) -> Instant {
    asked + (ttl - ttl / MARGIN_PARTS)
}

/// What is known of a lease when its keeping begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// When it was asked for.
    pub(super) asked: Instant,
    /// What it was granted for; if it is not known to live, for how long to try to renew it.
    pub(super) ttl: Duration,
    pub(super) confirmed: bool,
}

/// What is known of a lease. Once lost it stays so. Pure: time is an argument.
#[derive(Clone, Debug)]
struct Standing {
    /// When the last renewal that was answered had been asked for.
    asked: Instant,
    ttl: Duration,
    /// Whether the server has said that it lives.
    confirmed: bool,
    /// Why the last attempt to renew it failed, if it did.
    failure: Option<Arc<Error>>,
    lost: Option<LeaseLost>,
}

impl Standing {
    fn renewed(&mut self, asked: Instant, ttl: Duration, now: Instant) {
        // An answer to a question that was asked too long ago does not bring it back: its holder may have
        // been told.
        if self.lapse(now) {
            return;
        }
        if asked >= self.asked {
            (self.asked, self.ttl) = (asked, ttl);
        }
        self.confirmed = true;
        self.failure = None;
    }

    fn until(&self) -> Instant {
        held_until(self.asked, self.ttl)
    }

    /// Whether waiting for the server's word is over: it has spoken, or refuses to.
    fn is_settled(&self) -> bool {
        let refused = self.failure.as_ref().is_some_and(|failure| !failure.is_retryable());
        self.confirmed || refused || self.lost.is_some()
    }

    /// What came of waiting for the server's word.
    fn outcome(&self) -> Result<()> {
        match &self.lost {
            _ if self.confirmed => Ok(()),
            Some(LeaseLost::Gone) => Err(Error::new(ErrorKind::NotFound, "there is no such lease")),
            Some(LeaseLost::Expired { last_failure }) => Err(never_renewed(last_failure.as_ref())),
            None => Err(never_renewed(self.failure.as_ref())),
        }
    }

    /// Whether the lease is lost by now.
    fn lapse(&mut self, now: Instant) -> bool {
        if self.lost.is_none() && self.until() <= now {
            self.lost = Some(LeaseLost::Expired { last_failure: self.failure.take() });
        }
        self.lost.is_some()
    }
}

fn never_renewed(cause: Option<&Arc<Error>>) -> Error {
    let kind = cause.map_or(ErrorKind::Deadline, |cause| cause.kind());
    let error = Error::new(kind, "the lease could not be renewed");
    cause.map(Arc::clone).into_iter().fold(error, Error::with_source)
}

/// A lease's [`Standing`], shared between its holders and the hub.
#[derive(Debug)]
pub(super) struct Tenure(watch::Sender<Standing>);

impl Tenure {
    pub(super) fn new(start: Start) -> Arc<Self> {
        let Start { asked, ttl, confirmed } = start;
        Arc::new(Self(watch::Sender::new(Standing { asked, ttl, confirmed, failure: None, lost: None })))
    }

    pub(super) fn renewed(&self, asked: Instant, ttl: Duration) {
        self.0.send_modify(|standing| standing.renewed(asked, ttl, Instant::now()));
    }

    pub(super) fn failed(&self, failure: &Arc<Error>) {
        self.0.send_modify(|standing| standing.failure = Some(Arc::clone(failure)));
    }

    /// The server has no such lease any more.
    pub(super) fn gone(&self) {
        self.0.send_modify(|standing| {
            standing.lost.get_or_insert(LeaseLost::Gone);
        });
    }

    pub(super) fn ttl(&self) -> Duration {
        self.0.borrow().ttl
    }

    /// Until when the lease is held for certain, or why it no longer is.
    pub(super) fn now(&self) -> Result<Instant, LeaseLost> {
        // Time is read and the loss noted under one lock, so that what a holder was told stays true.
        self.0.send_if_modified(|standing| standing.lost.is_none() && standing.lapse(Instant::now()));
        let standing = self.0.borrow();
        standing.lost.clone().map_or(Ok(standing.until()), Err)
    }

    /// Ends when the lease is lost, by our own clock even if nobody else is there to tell.
    pub(super) async fn lost(&self) -> LeaseLost {
        let mut changes = self.0.subscribe();
        loop {
            match self.now() {
                Err(lost) => return lost,
                Ok(until) => tokio::select! {
                    // Fails only without a sender, which we are.
                    _ = changes.changed() => {}
                    () = sleep_until(until.into()) => {}
                },
            }
        }
    }

    /// Ends when the server has said whether the lease lives, or it is clear that it won't in time.
    pub(super) async fn first_answer(&self) -> Result<()> {
        let mut changes = self.0.subscribe();
        tokio::select! {
            _ = changes.wait_for(Standing::is_settled) => {}
            _ = self.lost() => {}
        }
        self.0.borrow().outcome()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    fn standing(asked: Instant) -> Standing {
        Standing { asked, ttl: TTL, confirmed: true, failure: None, lost: None }
    }

    #[test]
    fn a_lease_lapses_before_its_ttl_is_over_and_stays_lost() {
        let asked = Instant::now();
        let mut standing = standing(asked);
        let last = asked + TTL * 9 / 10;
        assert!(!standing.clone().lapse(last - Duration::from_millis(1)));
        assert!(standing.lapse(last));
        standing.renewed(last, TTL, last);
        assert!(standing.lapse(last) && matches!(standing.lost, Some(LeaseLost::Expired { .. })));
    }

    #[test]
    fn an_answer_counts_from_when_it_was_asked_for_however_late_it_comes() {
        let asked = Instant::now();
        let mut standing = standing(asked);
        let second = Duration::from_secs(1);
        standing.renewed(asked + 3 * second, TTL, asked + 8 * second);
        assert_eq!(standing.until(), asked + 12 * second);
        standing.renewed(asked + second, TTL, asked + 9 * second);
        assert_eq!(standing.until(), asked + 12 * second, "an older one changes nothing");
    }

    #[test]
    fn a_lease_that_is_not_known_to_live_is_settled_by_the_servers_word_or_a_final_error() {
        let fails_with = |kind| {
            let failure = Some(Arc::new(Error::new(kind, "test")));
            Standing { confirmed: false, failure, ..standing(Instant::now()) }
        };
        assert!(!fails_with(ErrorKind::Unavailable).is_settled());
        let denied = fails_with(ErrorKind::PermissionDenied);
        assert!(denied.is_settled());
        assert_eq!(denied.outcome().unwrap_err().kind(), ErrorKind::PermissionDenied);
        let gone = Standing { lost: Some(LeaseLost::Gone), ..denied };
        assert_eq!(gone.outcome().unwrap_err().kind(), ErrorKind::NotFound);
    }
}
