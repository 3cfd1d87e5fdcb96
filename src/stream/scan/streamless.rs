use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::client::{Client, Member};
use crate::net::Endpoint;
use crate::util::lock;

/// After this time a member is asked again whether it has streams: it may have been upgraded.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The members that have no streams of keys, as all clones of a client know them. In a cluster that is being
/// upgraded some do and some don't.
#[derive(Clone, Debug, Default)]
pub(super) struct Streamless(Arc<Mutex<Vec<(Endpoint, Instant)>>>);

impl Streamless {
    pub(super) fn of(client: &Client) -> Self {
        client.shared(Self::default)
    }

    /// Notes that the member at this endpoint has said so; whether there is one.
    pub(super) fn note(&self, client: &Client, endpoint: Option<&str>) -> bool {
        let members = client.members();
        let named = members.iter().map(Member::endpoint);
        let named = named.filter(|member| Some(&*member.to_string()) == endpoint);
        let noted: Vec<_> = named.map(|member| (member.clone(), Instant::now())).collect();
        let any = !noted.is_empty();
        lock(&self.0).extend(noted);
        any
    }

    /// Which they are; `None` if all are.
    pub(super) fn members(&self, client: &Client) -> Option<Vec<Endpoint>> {
        let mut noted = lock(&self.0);
        noted.retain(|(_, at)| at.elapsed() < REMEMBERED);
        let members: Vec<_> = noted.iter().map(|(endpoint, _)| endpoint.clone()).collect();
        let any_left = client.members().iter().any(|member| !members.contains(member.endpoint()));
        any_left.then_some(members)
    }
}
