use std::sync::atomic::{AtomicU32, Ordering};

/// Retries that are saved up at most, enough for all callers of a busy client to leave a dead member.
const MOST_RETRIES: u32 = 1000;
/// So many successes earn a retry.
const PRICE: u32 = 10;

/// What retries may cost, earned by calls that succeed.
///
/// Retries help where some members fail and others don't. Where all fail they only add to the load: then
/// nothing is earned, and whoever retries has to go slow.
#[derive(Debug)]
pub(super) struct Budget(AtomicU32);

impl Budget {
    /// With all the retries that can be saved up.
    pub(super) fn full() -> Self {
        Self(AtomicU32::new(MOST_RETRIES * PRICE))
    }

    /// A call has succeeded.
    pub(super) fn earn(&self) {
        let more = |saved: u32| (saved < MOST_RETRIES * PRICE).then_some(saved + 1);
        // Fails when no more can be saved up, which is nearly always.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Pays for a retry; `false` if there is not enough saved up.
    pub(super) fn pay(&self) -> bool {
        let less = |saved: u32| saved.checked_sub(PRICE);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

#[cfg(test)]
impl Budget {
    /// With nothing saved up.
    pub(super) fn empty() -> Self {
        Self(AtomicU32::new(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ten_successes_earn_a_retry() {
        let budget = Budget::empty();
        (0..9).for_each(|_| budget.earn());
        assert!(!budget.pay());
        budget.earn();
        assert!(budget.pay() && !budget.pay());
    }

    #[test]
    fn so_much_is_saved_up_and_no_more() {
        let budget = Budget::full();
        (0..100_000).for_each(|_| budget.earn());
        assert_eq!((0..100_000).take_while(|_| budget.pay()).count(), MOST_RETRIES as usize);
    }

    proptest! {
        #[test]
        fn retries_are_never_more_than_what_was_saved_and_a_tenth_of_the_successes(
            calls in proptest::collection::vec(any::<bool>(), 0..20_000),
        ) {
            let budget = Budget::full();
            let (mut successes, mut retries) = (0, 0);
            for succeeds in calls {
                if succeeds {
                    budget.earn();
                    successes += 1;
                } else if budget.pay() {
                    retries += 1;
                }
            }
            prop_assert!(retries <= MOST_RETRIES + successes / PRICE);
        }
    }
}
