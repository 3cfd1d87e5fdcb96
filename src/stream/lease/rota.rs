//! When which lease is renewed, and over which stream. Pure: time and answers are arguments.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::mem;
use std::time::{Duration, Instant};

use super::tenure::{Start, held_until};
use crate::types::LeaseId;

/// How many streams the leases are spread over: a server handles one stream's renewals strictly one after
/// the other, so that one that hangs holds up all behind it.
const LANES: usize = 8;
/// A lease's time is counted in twelfths of its ttl.
const PARTS: u32 = 12;
/// When a lease is renewed: at a third.
const RENEWAL: u32 = 4;
/// When a renewal without an answer is tried another way: at two thirds, and each part from then on.
const RESCUE: u32 = 8;

/// A stream of renewals. No number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct StreamId(u64);

/// One keeping of a lease. A lease that is kept twice is renewed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct KeeperId {
    pub(super) lease: LeaseId,
    pub(super) number: u64,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Ask for the lease's renewal over this stream, which is opened by its first order.
    Renew(StreamId, LeaseId),
    /// The stream is of no more use.
    Close(StreamId),
    /// The lease can't be called held any longer; it is not on the rota any more.
    Lapsed(KeeperId),
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The lease lives for `ttl` from the moment of asking at least.
    Renewed { asked: Instant, ttl: Duration },
    /// The server knows of no such lease.
    Gone,
}

/// All leases that are kept, and the streams that they are renewed over.
#[derive(Debug, Default)]
pub(super) struct Rota {
    leases: HashMap<KeeperId, Lease>,
    /// When something is to be done about each lease.
    agenda: BTreeSet<(Instant, KeeperId)>,
    lanes: [Lane; LANES],
    streams: HashMap<StreamId, Stream>,
    opened: u64,
    orders: Vec<Order>,
}

#[derive(Debug)]
struct Lease {
    lane: usize,
    ttl: Duration,
    /// When the last renewal that was answered had been asked for.
    confirmed: Instant,
    next: Next,
}

/// What comes next for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// To ask, at this time.
    Ask(Instant),
    /// The answer, over the lane's current stream, to what was asked at this time.
    Await(Instant),
}

/// Leases that share a stream.
#[derive(Debug, Default)]
struct Lane {
    leases: usize,
    current: Option<StreamId>,
    /// The stream before, which hung: late answers count.
    previous: Option<StreamId>,
}

/// What is asked over a stream and not yet answered, in the order in which the server handles it.
type Stream = VecDeque<(KeeperId, Instant)>;

impl Lease {
    fn part(&self) -> Duration {
        self.ttl / PARTS
    }

    fn held_until(&self) -> Instant {
        held_until(self.confirmed, self.ttl)
    }

    /// When something is to be done about the lease.
    fn due(&self) -> Instant {
        let due = match self.next {
            Next::Ask(at) => at,
            Next::Await(asked) => (self.confirmed + self.part() * RESCUE).max(asked + self.part()),
        };
        due.min(self.held_until())
    }
}

impl Rota {
    /// Puts a lease on the rota. One that is not known to live is renewed at once.
    pub(super) fn keep(&mut self, id: KeeperId, start: Start) {
        let Start { asked, ttl, confirmed } = start;
        let renewal = if confirmed { asked + ttl / PARTS * RENEWAL } else { asked };
        let lane = (0..LANES).min_by_key(|&lane| self.lanes[lane].leases).unwrap_or_default();
        self.lanes[lane].leases += 1;
        let lease = Lease { lane, ttl, confirmed: asked, next: Next::Ask(renewal) };
        self.agenda.insert((lease.due(), id));
        self.leases.insert(id, lease);
    }

    /// Takes a lease off the rota.
    pub(super) fn forget(&mut self, id: KeeperId) {
        let Some(lease) = self.leases.remove(&id) else { return };
        self.agenda.remove(&(lease.due(), id));
        let lane = &mut self.lanes[lease.lane];
        lane.leases -= 1;
        if lane.leases == 0 {
            let unused = mem::take(lane);
            self.close(unused.current);
            self.close(unused.previous);
        }
    }

    /// What is to be done by now.
    pub(super) fn orders(&mut self, now: Instant) -> Vec<Order> {
        while let Some(&(due, id)) = self.agenda.first()
            && due <= now
        {
            self.act(id, now);
        }
        mem::take(&mut self.orders)
    }

    /// The stream that hung and that this one replaces, while that is still open.
    pub(super) fn replaced_by(&self, stream: StreamId) -> Option<StreamId> {
        self.lanes.iter().find(|lane| lane.current == Some(stream))?.previous
    }

    /// When there is next something to do.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        Some(self.agenda.first()?.0)
    }

    /// Takes an answer; `None` for one that nobody waits for.
    pub(super) fn answered(
        &mut self,
        stream: StreamId,
        lease: LeaseId,
        ttl: Duration,
    ) -> Option<(KeeperId, Answer)> {
        let (id, asked) = self.take_asked(stream, lease)?;
        let lane = self.leases.get(&id)?.lane;
        if ttl.is_zero() {
            self.forget(id);
            return Some((id, Answer::Gone));
        }
        let awaited = self.lanes[lane].current == Some(stream);
        self.change(id, |lease| {
            if asked >= lease.confirmed {
                (lease.confirmed, lease.ttl) = (asked, ttl);
            }
            if awaited {
                lease.next = Next::Ask(asked + ttl / PARTS * RENEWAL);
            }
        });
        Some((id, Answer::Renewed { asked, ttl }))
    }

    /// The stream has ended. What waits for an answer is asked again over another, and returned. The server
    /// was at the first of it, which may be to blame and so waits a while.
    pub(super) fn ended(&mut self, stream: StreamId, now: Instant) -> Vec<KeeperId> {
        let Some(asked) = self.streams.remove(&stream) else { return Vec::new() };
        for lane in &mut self.lanes {
            lane.previous.take_if(|previous| *previous == stream);
            if lane.current.take_if(|current| *current == stream).is_some() {
                let ids: Vec<_> = asked.into_iter().map(|(id, _)| id).collect();
                ids.iter().skip(1).for_each(|&id| self.change(id, |lease| lease.next = Next::Ask(now)));
                self.pause(ids.first(), now);
                return ids;
            }
        }
        Vec::new()
    }

    /// Lets these wait a while before they are asked for again.
    pub(super) fn pause<'a>(&mut self, ids: impl IntoIterator<Item = &'a KeeperId>, now: Instant) {
        for &id in ids {
            self.change(id, |lease| lease.next = Next::Ask(now + lease.part()));
        }
    }

    fn act(&mut self, id: KeeperId, now: Instant) {
        let Some(lease) = self.leases.get(&id) else { return };
        if lease.held_until() <= now {
            self.forget(id);
            return self.orders.push(Order::Lapsed(id));
        }
        match lease.next {
            Next::Ask(_) => self.ask(id, now),
            Next::Await(_) => self.rescue(lease.lane, now),
        }
    }

    /// Asks over the lane's current stream, or a new one.
    fn ask(&mut self, id: KeeperId, now: Instant) {
        let Some(lane) = self.leases.get(&id).map(|lease| lease.lane) else { return };
        let stream = *self.lanes[lane].current.get_or_insert_with(|| {
            self.opened += 1;
            StreamId(self.opened)
        });
        self.streams.entry(stream).or_default().push_back((id, now));
        self.change(id, |lease| lease.next = Next::Await(now));
        self.orders.push(Order::Renew(stream, id.lease));
    }

    /// The lane's stream hangs: all that waits there is asked again over a new one. What the server is at
    /// comes last, so that it holds up nothing if it hangs again.
    fn rescue(&mut self, lane: usize, now: Instant) {
        let lane = &mut self.lanes[lane];
        let hung = lane.current.take();
        let before = mem::replace(&mut lane.previous, hung);
        self.close(before);
        let waiting = hung.and_then(|hung| self.streams.get(&hung));
        let mut ids: Vec<_> = waiting.into_iter().flatten().map(|&(id, _)| id).collect();
        ids.retain(|id| self.leases.get(id).is_some_and(|lease| lease.held_until() > now));
        let at_the_server = ids.len().min(1);
        ids.rotate_left(at_the_server);
        ids.into_iter().for_each(|id| self.ask(id, now));
    }

    /// Who asked first for this lease's renewal, and when. A stream of the past that owes no further answer is
    /// closed.
    fn take_asked(&mut self, stream: StreamId, lease: LeaseId) -> Option<(KeeperId, Instant)> {
        let waiting = self.streams.get_mut(&stream)?;
        let place = waiting.iter().position(|(id, _)| id.lease == lease)?;
        let asked = waiting.remove(place)?;
        if waiting.is_empty() {
            let drained = |lane: &mut Lane| lane.previous.take_if(|previous| *previous == stream);
            let drained = self.lanes.iter_mut().find_map(drained);
            self.close(drained);
        }
        Some(asked)
    }

    fn close(&mut self, stream: Option<StreamId>) {
        let Some(stream) = stream else { return };
        self.streams.remove(&stream);
        self.orders.push(Order::Close(stream));
    }

    /// Changes a lease, if it is still on the rota, and its place on the agenda.
    fn change(&mut self, id: KeeperId, change: impl FnOnce(&mut Lease)) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        self.agenda.remove(&(lease.due(), id));
        change(lease);
        self.agenda.insert((lease.due(), id));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const ONE: LeaseId = LeaseId(1);
    const TWO: LeaseId = LeaseId(2);

    fn keeper(lease: LeaseId) -> KeeperId {
        KeeperId { lease, number: 1 }
    }

    /// A rota with these leases, all on one lane, granted for a minute.
    fn rota(leases: &[LeaseId], granted: Instant) -> Rota {
        let mut rota = Rota::default();
        for &id in leases {
            rota.keep(keeper(id), Start { asked: granted, ttl: 60 * SECOND, confirmed: true });
            // The next goes to the same lane.
            rota.lanes.iter_mut().skip(1).for_each(|lane| lane.leases = 1000);
        }
        rota
    }

    #[test]
    fn a_lease_is_renewed_at_a_third() {
        let granted = Instant::now();
        let mut rota = rota(&[ONE], granted);
        assert_eq!(rota.wake_at(), Some(granted + 20 * SECOND));
        assert_eq!(rota.orders(granted + 19 * SECOND), []);
        assert_eq!(rota.orders(granted + 20 * SECOND), [Order::Renew(StreamId(1), ONE)]);
        assert_eq!(rota.orders(granted + 39 * SECOND), []);
        let renewed = Answer::Renewed { asked: granted + 20 * SECOND, ttl: 30 * SECOND };
        assert_eq!(rota.answered(StreamId(1), ONE, 30 * SECOND), Some((keeper(ONE), renewed)));
        assert_eq!(rota.wake_at(), Some(granted + 30 * SECOND), "by the ttl of the answer");
    }

    #[test]
    fn what_hangs_is_left_at_two_thirds_and_asked_last_from_then_on() {
        let granted = Instant::now();
        let mut rota = rota(&[ONE, TWO], granted);
        rota.orders(granted + 20 * SECOND);
        let (first, second, third) = (StreamId(1), StreamId(2), StreamId(3));
        let again = [Order::Renew(second, TWO), Order::Renew(second, ONE)];
        assert_eq!(rota.orders(granted + 40 * SECOND), again);
        assert_eq!((rota.replaced_by(second), rota.replaced_by(first)), (Some(first), None));
        let again = [Order::Close(first), Order::Renew(third, ONE), Order::Renew(third, TWO)];
        assert_eq!(rota.orders(granted + 45 * SECOND), again, "a part of the ttl later");
        assert_eq!(rota.answered(first, ONE, 60 * SECOND), None, "closed");
    }

    #[test]
    fn a_late_answer_over_the_stream_that_hung_counts_from_when_it_was_asked_for() {
        let granted = Instant::now();
        let mut rota = rota(&[ONE], granted);
        rota.orders(granted + 20 * SECOND);
        rota.orders(granted + 40 * SECOND);
        let renewed = Answer::Renewed { asked: granted + 20 * SECOND, ttl: 60 * SECOND };
        assert_eq!(rota.answered(StreamId(1), ONE, 60 * SECOND), Some((keeper(ONE), renewed)));
        let due = rota.orders(granted + 59 * SECOND);
        assert_eq!(due, [Order::Close(StreamId(1))], "the other stream still owes its answer");
    }

    #[test]
    fn one_bad_lease_on_a_stream_loses_no_other() {
        let mut now = Instant::now();
        let (bad, good) = (LeaseId(1), [TWO, LeaseId(3), LeaseId(4)]);
        let mut rota = rota(&[bad, good[0], good[1], good[2]], now);
        rota.change(keeper(bad), |lease| lease.ttl = 3600 * SECOND);
        rota.change(keeper(bad), |lease| lease.next = Next::Ask(now));
        let end = now + 600 * SECOND;
        let mut hung = Vec::new();
        while now < end {
            for order in rota.orders(now) {
                match order {
                    Order::Renew(stream, id) if id == bad => hung.push(stream),
                    Order::Renew(stream, id) if !hung.contains(&stream) => {
                        rota.answered(stream, id, 60 * SECOND);
                    }
                    Order::Renew(..) | Order::Close(_) => {}
                    Order::Lapsed(id) => panic!("{id:?} is lost"),
                }
            }
            now = rota.wake_at().unwrap();
        }
        assert!(hung.len() > 10, "it has to hang time after time to show anything");
    }

    #[test]
    fn a_stream_that_ends_with_an_error_is_replaced_and_the_first_in_it_pauses() {
        let granted = Instant::now();
        let mut rota = rota(&[ONE, TWO], granted);
        let now = granted + 20 * SECOND;
        rota.orders(now);
        assert_eq!(rota.ended(StreamId(1), now), [ONE, TWO].map(keeper));
        assert_eq!(rota.orders(now), [Order::Renew(StreamId(2), TWO)]);
        assert_eq!(rota.orders(now + 5 * SECOND), [Order::Renew(StreamId(2), ONE)]);
    }

    #[test]
    fn what_no_stream_could_do_waits_a_part_of_the_ttl() {
        let granted = Instant::now();
        let mut rota = rota(&[ONE, TWO], granted);
        let now = granted + 20 * SECOND;
        rota.orders(now);
        let asked = rota.ended(StreamId(1), now);
        rota.pause(&asked, now);
        assert_eq!((rota.orders(now), rota.wake_at()), (vec![], Some(now + 5 * SECOND)));
    }

    #[test]
    fn a_lane_without_leases_has_no_stream() {
        let granted = Instant::now();
        let mut rota = rota(&[ONE], granted);
        rota.orders(granted + 20 * SECOND);
        rota.forget(keeper(ONE));
        assert_eq!(rota.orders(granted), [Order::Close(StreamId(1))]);
        assert_eq!(rota.wake_at(), None);
    }

    #[test]
    fn many_leases_are_spread_over_all_lanes() {
        let mut rota = Rota::default();
        let start = Start { asked: Instant::now(), ttl: 60 * SECOND, confirmed: true };
        (1..=80).for_each(|id| rota.keep(keeper(LeaseId(id)), start));
        assert!(rota.lanes.iter().all(|lane| lane.leases == 80 / LANES));
    }

    #[derive(Clone, Debug)]
    enum Event {
        Pass(u64),
        Keep(KeeperId, bool),
        Forget(KeeperId),
        /// An answer, that the lease is gone or lives, to what was asked or nobody asked.
        Answer(StreamId, LeaseId, bool),
        End(StreamId),
    }

    fn event() -> impl Strategy<Value = Event> {
        let lease = || (1..6_i64).prop_map(LeaseId);
        let id = || (lease(), 1..3_u64).prop_map(|(lease, number)| KeeperId { lease, number });
        let stream = || (1..30_u64).prop_map(StreamId);
        prop_oneof![
            4 => (0..4000_u64).prop_map(Event::Pass),
            1 => (id(), any::<bool>()).prop_map(|(id, confirmed)| Event::Keep(id, confirmed)),
            1 => id().prop_map(Event::Forget),
            8 => (stream(), lease(), any::<bool>()).prop_map(|(stream, id, lives)| Event::Answer(stream, id, lives)),
            1 => stream().prop_map(Event::End),
        ]
    }

    fn ttl(id: LeaseId) -> Duration {
        Duration::from_secs(id.0.unsigned_abs() * 4)
    }

    /// What the server has been asked and until when it lets which lease live.
    #[derive(Default)]
    struct Server {
        asked: HashMap<(StreamId, LeaseId), VecDeque<Instant>>,
        lives: HashMap<LeaseId, Instant>,
    }

    impl Server {
        fn granted(&mut self, id: LeaseId, now: Instant) {
            let until = self.lives.entry(id).or_insert(now);
            *until = (*until).max(now + ttl(id));
        }

        fn asked(&mut self, orders: Vec<Order>, now: Instant) {
            for order in orders {
                if let Order::Renew(stream, id) = order {
                    self.asked.entry((stream, id)).or_default().push_back(now);
                }
            }
        }

        fn answers(&mut self, stream: StreamId, id: LeaseId) {
            if let Some(asked) = self.asked.get_mut(&(stream, id)).and_then(VecDeque::pop_front) {
                self.granted(id, asked);
            }
        }
    }

    fn apply(event: Event, rota: &mut Rota, server: &mut Server, now: &mut Instant) {
        match event {
            Event::Pass(millis) => *now += Duration::from_millis(millis),
            Event::Keep(id, confirmed) => {
                // No number is used twice at the same time.
                rota.forget(id);
                server.granted(id.lease, *now);
                rota.keep(id, Start { asked: *now, ttl: ttl(id.lease), confirmed });
            }
            Event::Forget(id) => rota.forget(id),
            Event::End(stream) => drop(rota.ended(stream, *now)),
            Event::Answer(stream, id, lives) => {
                server.answers(stream, id);
                rota.answered(stream, id, if lives { ttl(id) } else { Duration::ZERO });
            }
        }
    }

    proptest! {
        /// Whatever is answered: late, twice, unasked, out of order, or not at all.
        #[test]
        fn no_answers_make_a_lease_held_beyond_its_asking_and_ttl(events in prop::collection::vec(event(), 0..300)) {
            let (mut now, mut rota, mut server) = (Instant::now(), Rota::default(), Server::default());
            for event in events {
                apply(event, &mut rota, &mut server, &mut now);
                server.asked(rota.orders(now), now);
                prop_assert!(rota.wake_at().is_none_or(|at| at > now), "what is due does not wait");
                for (id, lease) in &rota.leases {
                    prop_assert!(lease.held_until() < server.lives[&id.lease]);
                }
            }
        }
    }
}
