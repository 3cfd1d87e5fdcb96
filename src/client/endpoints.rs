use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;

use super::{Client, ListMembers, MemberInfo};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Endpoint, EndpointHealth, Transport};

impl Client {
    /// The endpoints that requests are spread over.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let roster = self.transport.roster();
        roster.connections().iter().map(|connection| connection.endpoint().clone()).collect()
    }

    /// What the client has seen of the members at its endpoints. Asks nobody: see
    /// [`Member::status`](crate::Member::status) for that.
    #[must_use]
    pub fn health(&self) -> Vec<EndpointHealth> {
        self.transport.roster().health()
    }

    /// Spreads requests over these members from now on. Connections to those that stay are kept; calls
    /// under way end as they began, watches and renewals of leases move. All clones of the client follow.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if there are none, or one can't be used; nothing is changed then.
    pub fn set_endpoints<I>(&self, endpoints: I) -> Result<()>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.transport.set_endpoints(parse_endpoints(endpoints)?)
    }

    /// Takes the endpoints from the cluster's member list, and returns them.
    ///
    /// Learners are left out, and members that have not started yet. Over encrypted connections only
    /// encrypted endpoints are taken. If none is left, or none of them answers, nothing is changed: what
    /// members advertise is not always what a client can reach.
    ///
    /// # Errors
    ///
    /// As [`Client::send`]; [`ErrorKind::Unavailable`] if none of the members could be used.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time; the endpoints are then the old or the new ones.
    pub async fn sync_endpoints(&self) -> Result<Vec<Endpoint>> {
        let listed = self.send(ListMembers::new()).await?.members;
        let encrypted = self.transport.encrypts_everything();
        let usable = advertised(&listed, encrypted);
        if usable.is_empty() || !self.transport.set_endpoints_if_well(usable.clone()).await? {
            let urls: Vec<_> = listed.iter().flat_map(|member| &member.client_urls).cloned().collect();
            let message = format!("no member can be used at what it advertises: {}", urls.join(", "));
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        Ok(usable)
    }
}

/// Splits lists at their commas, as etcd's own tools do.
pub(super) fn parse_endpoints<I>(endpoints: I) -> Result<Vec<Endpoint>>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut parsed = Vec::new();
    for text in endpoints {
        for one in text.as_ref().split(',') {
            parsed.push(one.parse()?);
        }
    }
    Ok(parsed)
}

/// Where these members say that clients can reach them; `encrypted` leaves out plaintext.
fn advertised(members: &[MemberInfo], encrypted: bool) -> Vec<Endpoint> {
    let serving = members.iter().filter(|member| !member.is_learner);
    let urls = serving.flat_map(|member| &member.client_urls);
    let allowed = urls.filter(|url| !encrypted || url.starts_with("https://") || url.starts_with("unixs://"));
    allowed.filter_map(|url| url.parse().ok()).collect()
}

/// Syncs at intervals until the last client is gone.
pub(super) async fn sync_for_ever(transport: Weak<Transport>, interval: Duration) {
    loop {
        sleep(interval).await;
        let Some(transport) = transport.upgrade() else { return };
        // The endpoints in use are as good as they were; there will be a next time.
        let _ = Client::new(Arc::clone(&transport)).sync_endpoints().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::MemberId;

    fn member(urls: &[&str], is_learner: bool) -> MemberInfo {
        MemberInfo {
            id: MemberId(1),
            name: "m".into(),
            peer_urls: Vec::new(),
            client_urls: urls.iter().map(|&url| url.to_owned()).collect(),
            is_learner,
        }
    }

    fn shown(endpoints: Vec<Endpoint>) -> Vec<String> {
        endpoints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lists_are_split_at_commas() {
        let parsed = parse_endpoints(["a:1,b:2", "c:3"]).unwrap();
        assert_eq!(shown(parsed), ["a:1", "b:2", "c:3"]);
        assert!(parse_endpoints(["a:1,"]).is_err());
    }

    #[test]
    fn learners_unstarted_members_and_nonsense_are_left_out() {
        let members = [
            member(&["http://a:1"], false),
            member(&["http://b:1"], true),
            member(&[], false),
            member(&["?"], false),
        ];
        assert_eq!(shown(advertised(&members, false)), ["http://a:1"]);
    }

    #[test]
    fn encrypted_clients_never_take_plaintext() {
        let members = [member(&["http://a:1", "https://a:2"], false)];
        assert_eq!(shown(advertised(&members, true)), ["https://a:2"]);
        assert_eq!(shown(advertised(&members, false)), ["http://a:1", "https://a:2"]);
    }
}
