use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::endpoint::Endpoint;
use super::roster::Roster;

/// What a client has seen of the member at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointHealth {
    /// Where the member is reached.
    pub endpoint: Endpoint,
    /// Whether requests go to it. One that can't serve is left alone until a probe shows that it can.
    pub serves: bool,
    /// How many requests it has to answer.
    pub in_flight: usize,
    /// How long its quick answers took of late; `None` if there was none yet. Counts half after every two
    /// seconds without a request.
    pub distance: Option<Duration>,
}

impl Roster {
    /// What is known of each member, in their order.
    pub(crate) fn health(&self) -> Vec<EndpointHealth> {
        let now = Instant::now();
        let picker = self.picker();
        let seen = |(number, connection): (usize, &Arc<Connection>)| EndpointHealth {
            endpoint: connection.endpoint().clone(),
            serves: !picker.is_ejected(number),
            in_flight: picker.in_flight(number),
            distance: picker.distance(number, now),
        };
        self.connections().iter().enumerate().map(seen).collect()
    }
}
