use std::fmt;

use super::failure::Failure;

/// So many are told.
const MOST: usize = 4;

/// How a call's attempts failed: the last few ways, each once.
#[derive(Debug, Default)]
pub(super) struct Causes(Vec<Cause>);

#[derive(Debug)]
struct Cause {
    endpoint: String,
    failure: Failure,
    times: u32,
}

impl Causes {
    pub(super) fn note(&mut self, endpoint: String, failure: Failure) {
        let before = self.take(&endpoint, &failure);
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push(Cause { endpoint, failure, times: before + 1 });
    }

    /// Forgets what is told elsewhere; how often it was noted.
    pub(super) fn take(&mut self, endpoint: &str, failure: &Failure) -> u32 {
        let same = |cause: &Cause| cause.endpoint == endpoint && cause.failure == *failure;
        self.0.iter().position(same).map_or(0, |at| self.0.remove(at).times)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Cause { endpoint, failure, times }) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{failure} at {endpoint}")?;
            if *times > 1 {
                write!(f, " ({times} times)")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(names: &str) -> Causes {
        let mut causes = Causes::default();
        for name in names.chars() {
            causes.note(name.to_string(), Failure::TimedOut);
        }
        causes
    }

    #[test]
    fn each_cause_is_told_once_with_the_latest_last() {
        let shown = noted("abbab").to_string();
        assert_eq!(shown, "no answer in time at a (2 times); no answer in time at b (3 times)");
    }

    #[test]
    fn only_the_last_few_are_told_and_what_is_told_elsewhere_is_not() {
        let mut causes = noted("abcdef");
        assert_eq!(causes.take("f", &Failure::TimedOut), 1);
        assert_eq!(causes.take("a", &Failure::TimedOut), 0, "it was long ago");
        let shown = causes.to_string();
        assert_eq!(shown, "no answer in time at c; no answer in time at d; no answer in time at e");
        assert!(noted("").is_empty());
    }
}
