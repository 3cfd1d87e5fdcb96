//! How much of a scan is on its way or waits for its caller. Pure.

/// Requests that were not answered, and what was read and not handed out.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight {
    asked: Vec<Asked>,
    held: usize,
}

/// A request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) limit: u64,
    /// How many bytes are expected.
    pub(super) bytes: usize,
}

impl InFlight {
    /// How many requests are under way.
    pub(super) fn requests(&self) -> usize {
        self.asked.len()
    }

    /// How many bytes of keys and values were read and not handed out.
    pub(super) fn held_bytes(&self) -> usize {
        self.held
    }

    /// The same, with those that are expected.
    pub(super) fn bytes(&self) -> usize {
        self.asked.iter().map(|asked| asked.bytes).fold(self.held, usize::saturating_add)
    }

    pub(super) fn asked(&mut self, asked: Asked) {
        self.asked.push(asked);
    }

    /// The request is answered, or given up.
    pub(super) fn end(&mut self, id: u64) -> Option<Asked> {
        let at = self.asked.iter().position(|asked| asked.id == id)?;
        Some(self.asked.swap_remove(at))
    }

    /// So many bytes were read.
    pub(super) fn came(&mut self, bytes: usize) {
        self.held += bytes;
    }

    /// The caller has so many bytes.
    pub(super) fn handed_out(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_counts_until_it_came_and_what_came_until_it_is_handed_out() {
        let mut in_flight = InFlight::default();
        let asked = Asked { id: 1, limit: 10, bytes: 100 };
        in_flight.asked(asked);
        in_flight.asked(Asked { id: 2, bytes: 30, ..asked });
        assert_eq!((in_flight.requests(), in_flight.held_bytes(), in_flight.bytes()), (2, 0, 130));
        assert_eq!((in_flight.end(1), in_flight.end(1)), (Some(asked), None));
        in_flight.came(80);
        assert_eq!((in_flight.requests(), in_flight.held_bytes(), in_flight.bytes()), (1, 80, 110));
        in_flight.handed_out(80);
        assert_eq!((in_flight.held_bytes(), in_flight.bytes()), (0, 30));
    }
}
