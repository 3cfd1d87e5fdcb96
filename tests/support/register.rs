//! Checking that what callers saw of a register can be explained by one thing happening after the other, each
//! between its call and its return.
//!
//! In general that takes a search. Here no value is written twice, so it is known which write each call found
//! (Gibbons and Korach, "Testing shared memories"): a write, the reads of it, the swap that found it, the reads
//! of that and so on are a chain, between whose links nothing else can have happened. Two things remain to be
//! seen: that each chain can have happened in its order, and that the chains can follow each other. Calls of
//! unknown outcome that found a value must have begun after someone met it, as those of real callers do.

use std::collections::{HashMap, HashSet};
use std::fmt;

/// A register's content; `None` is what it holds at first.
pub type Value = Option<u64>;

/// What one call did to the register.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Effect {
    /// Held this.
    Read(Value),
    /// Holds this now, whatever it held.
    Write(u64),
    /// Held the first and holds the second now.
    Swap(Value, u64),
}

/// A call, as its caller saw it. All times are by the same clock.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub effect: Effect,
    pub began: u64,
    /// `None` for a call of which nobody knows whether it took effect: it may have at any time since it
    /// began, or never.
    pub ended: Option<u64>,
}

/// Why the calls can't be explained, if they can't.
pub fn check(calls: &[Call]) -> Result<(), String> {
    let chains = chains(&without_unseen(calls))?;
    for (index, chain) in chains.iter().enumerate() {
        chain.check_order()?;
        // If no order of all chains is possible then there are two that are in each other's way.
        for other in &chains[index + 1..] {
            if chain.must_precede(other) && other.must_precede(chain) {
                return Err(format!("each of two happened before the other:\n{chain}---\n{other}"));
            }
        }
    }
    Ok(())
}

/// Without calls of unknown outcome whose values nobody met. If such a write took effect then the next thing
/// to take effect was another write, whatever it found: as if it had not.
fn without_unseen(calls: &[Call]) -> Vec<Call> {
    let mut calls = calls.to_vec();
    loop {
        let found: HashSet<Value> = calls.iter().filter_map(|call| call.effect.finds()).collect();
        let before = calls.len();
        calls.retain(|call| call.ended.is_some() || found.contains(&call.effect.leaves()));
        if calls.len() == before {
            return calls;
        }
    }
}

fn chains(calls: &[Call]) -> Result<Vec<Chain>, String> {
    let mut reads: HashMap<Value, Vec<Call>> = HashMap::new();
    let mut swaps: HashMap<Value, Call> = HashMap::new();
    let mut writes = Vec::new();
    for &call in calls {
        match call.effect {
            Effect::Read(value) => reads.entry(value).or_default().push(call),
            Effect::Write(_) => writes.push(call),
            Effect::Swap(found, _) => {
                if let Some(other) = swaps.insert(found, call) {
                    return Err(format!("both found the same:\n{call}\n{other}"));
                }
            }
        }
    }
    let mut grow = |root: Option<Call>| {
        let mut links: Vec<Vec<Call>> = root.into_iter().map(|root| vec![root]).collect();
        let mut value = root.and_then(|root| root.effect.leaves());
        loop {
            links.extend(reads.remove(&value));
            let Some(swap) = swaps.remove(&value) else { break };
            value = swap.effect.leaves();
            links.push(vec![swap]);
        }
        Chain { from_the_start: root.is_none(), links }
    };
    let mut chains = vec![grow(None)];
    chains.extend(writes.into_iter().map(|write| grow(Some(write))));
    match reads.values().flatten().chain(swaps.values()).next() {
        Some(call) => Err(format!("found what nobody wrote: {call}")),
        None => Ok(chains),
    }
}

impl Effect {
    /// What the register must have held, if that matters.
    fn finds(self) -> Option<Value> {
        match self {
            Self::Read(value) | Self::Swap(value, _) => Some(value),
            Self::Write(_) => None,
        }
    }

    /// The value that it writes.
    fn leaves(self) -> Value {
        match self {
            Self::Read(_) => None,
            Self::Write(value) | Self::Swap(_, value) => Some(value),
        }
    }
}

/// Calls between which nothing else can have happened. The calls of one link, reads of the same value, may
/// have happened in any order.
struct Chain {
    from_the_start: bool,
    links: Vec<Vec<Call>>,
}

impl Chain {
    fn check_order(&self) -> Result<(), String> {
        let mut latest: Option<&Call> = None;
        for link in &self.links {
            // Before any later link, all of this one must be able to happen.
            let hasty = link.iter().find(|call| latest.is_some_and(|latest| call.ended_before(latest)));
            if let (Some(hasty), Some(latest)) = (hasty, latest) {
                return Err(format!("found what came only later:\n{hasty}\n{latest}"));
            }
            latest = link.iter().chain(latest).max_by_key(|call| call.began);
        }
        Ok(())
    }

    /// Whether any call of this chain was over before one of the other began.
    fn must_precede(&self, other: &Self) -> bool {
        let first_end = self.calls().filter_map(|call| call.ended).min();
        let last_begin = other.calls().map(|call| call.began).max();
        let ended_before = first_end.is_some_and(|end| last_begin.is_some_and(|begin| end < begin));
        self.from_the_start || ended_before
    }

    fn calls(&self) -> impl Iterator<Item = &Call> {
        self.links.iter().flatten()
    }
}

impl Call {
    fn ended_before(&self, other: &Self) -> bool {
        self.ended.is_some_and(|ended| ended < other.began)
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.calls().try_for_each(|call| writeln!(f, "{call}"))
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { effect, began, ended } = self;
        match ended {
            Some(ended) => write!(f, "{began:>12} to {ended:>12}: {effect:?}"),
            None => write!(f, "{began:>12} to      unknown: {effect:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Effect::{Read, Swap, Write};
    use super::*;

    /// Each call with when it began and ended; 0 for an unknown outcome.
    fn fine(calls: &[(Effect, u64, u64)]) -> bool {
        let calls: Vec<_> = calls
            .iter()
            .map(|&(effect, began, ended)| Call { effect, began, ended: (ended > 0).then_some(ended) })
            .collect();
        check(&calls).is_ok()
    }

    #[test]
    fn one_after_the_other_is_fine() {
        assert!(fine(&[]));
        assert!(fine(&[
            (Read(None), 1, 2),
            (Write(1), 3, 4),
            (Read(Some(1)), 5, 6),
            (Swap(Some(1), 2), 7, 8)
        ]));
    }

    #[test]
    fn a_stale_read_is_not() {
        assert!(!fine(&[(Write(1), 1, 2), (Read(None), 3, 4)]));
        assert!(!fine(&[(Write(1), 1, 2), (Write(2), 3, 4), (Read(Some(1)), 5, 6)]));
    }

    #[test]
    fn what_overlaps_may_happen_in_any_order_but_in_one() {
        assert!(fine(&[(Write(1), 1, 9), (Read(None), 2, 3), (Read(Some(1)), 4, 5)]));
        assert!(!fine(&[(Write(1), 1, 9), (Read(Some(1)), 2, 3), (Read(None), 4, 5)]));
        let both = [(Write(1), 1, 9), (Write(2), 1, 9)];
        assert!(fine(&[both[0], both[1], (Read(Some(1)), 10, 11)]));
        assert!(!fine(&[both[0], both[1], (Read(Some(1)), 10, 11), (Read(Some(2)), 12, 13)]));
    }

    #[test]
    fn a_value_that_nobody_wrote_or_only_later_is_not_fine() {
        assert!(!fine(&[(Read(Some(7)), 1, 2)]));
        assert!(!fine(&[(Write(1), 1, 2), (Read(Some(2)), 3, 4), (Write(2), 5, 6)]));
    }

    #[test]
    fn a_write_that_took_effect_twice_is_found() {
        assert!(!fine(&[(Write(1), 1, 9), (Read(Some(1)), 2, 3), (Write(2), 4, 5), (Read(Some(1)), 6, 7)]));
        let beside = [(Write(2), 1, 9), (Write(1), 1, 9)];
        let seen = [(Read(Some(1)), 2, 3), (Read(Some(2)), 4, 5), (Read(Some(1)), 6, 7)];
        assert!(!fine(&[&beside[..], &seen].concat()));
    }

    #[test]
    fn two_swaps_of_one_value_are_one_too_many() {
        assert!(fine(&[(Write(1), 1, 2), (Swap(Some(1), 2), 3, 6), (Swap(Some(2), 3), 3, 6)]));
        assert!(!fine(&[(Write(1), 1, 2), (Swap(Some(1), 2), 3, 6), (Swap(Some(1), 3), 3, 6)]));
    }

    #[test]
    fn an_unknown_outcome_is_late_early_or_never() {
        let (first, maybe) = ((Write(1), 1, 2), (Write(2), 3, 0));
        assert!(fine(&[first, maybe, (Read(Some(1)), 5, 6), (Read(Some(2)), 7, 8), (Read(Some(2)), 9, 10)]));
        assert!(fine(&[first, maybe, (Read(Some(1)), 5, 6)]));
        assert!(!fine(&[first, maybe, (Read(Some(2)), 5, 6), (Read(Some(1)), 7, 8)]), "only once");
        assert!(!fine(&[(Read(Some(2)), 1, 2), maybe]), "not before it began");
        assert!(fine(&[first, (Swap(Some(1), 2), 3, 0), (Swap(Some(2), 3), 3, 0), (Read(Some(3)), 4, 5)]));
        assert!(!fine(&[first, (Swap(Some(9), 2), 3, 0), (Read(Some(2)), 4, 5)]));
    }

    /// The definition, tried out in every order: whether what is left of the calls can happen to a register
    /// that holds `value`.
    fn some_order_explains(left: &[Call], value: Value) -> bool {
        let possible = |call: &&Call| left.iter().all(|other| !other.ended_before(call));
        left.iter().all(|call| call.ended.is_none())
            || left.iter().enumerate().filter(|(_, call)| possible(call)).any(|(index, call)| {
                let fits = call.effect.finds().is_none_or(|found| found == value);
                let after = call.effect.leaves().or(value);
                let rest = [&left[..index], &left[index + 1..]].concat();
                fits && some_order_explains(&rest, after)
            })
    }

    /// Up to seven calls; the values that they write are 1, 2 and so on.
    fn histories() -> impl Strategy<Value = Vec<Call>> {
        let call = (0..3_u8, 0..8_u64, 1..20_u64, 0..8_u64, prop::bool::weighted(0.2));
        proptest::collection::vec(call, 1..8).prop_map(|calls| {
            let numbered = calls.into_iter().zip(1..);
            let calls = numbered.map(|((kind, found, began, took, unknown), number)| {
                // Nobody swaps a value before it is written.
                let found = Some(found % number).filter(|&found| found > 0);
                let effect = [Read(found), Write(number), Swap(found, number)][usize::from(kind)];
                let ended = (!unknown || kind == 0).then_some(began + took);
                Call { effect, began, ended }
            });
            calls.collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn agrees_with_the_definition(calls in histories()) {
            prop_assert_eq!(check(&calls).is_ok(), some_order_explains(&calls, None));
        }
    }
}
