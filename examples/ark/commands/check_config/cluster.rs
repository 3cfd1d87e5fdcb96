//! Whether the members answer, and belong together.

use std::collections::BTreeSet;

use etcd_ark::{Alarm, AlarmKind, Client, Endpoint, ErrorKind, ListAlarms, Member, Result, Status};
use futures_util::future::join_all;

use super::finding::Finding;
use crate::args::Purpose;
use crate::failure::Exit;

/// The oldest release line that is tested.
const OLDEST: (u32, u32) = (3, 4);

/// A member, and what it says of itself.
#[derive(Debug)]
pub(super) struct Asked {
    endpoint: Endpoint,
    answer: Result<Status>,
}

impl Asked {
    /// A refusal is an answer too.
    fn answers(&self) -> bool {
        match &self.answer {
            Ok(_) => true,
            Err(error) => matches!(error.kind(), ErrorKind::Auth | ErrorKind::PermissionDenied),
        }
    }
}

pub(super) async fn members(client: &Client) -> Vec<Asked> {
    let ask =
        async |member: Member| Asked { endpoint: member.endpoint().clone(), answer: member.status().await };
    join_all(client.members().into_iter().map(ask)).await
}

pub(super) fn any_answers(members: &[Asked]) -> bool {
    members.iter().any(Asked::answers)
}

pub(super) fn endpoints(members: &[Asked]) -> Vec<Finding> {
    members.iter().map(endpoint).collect()
}

fn endpoint(asked: &Asked) -> Finding {
    let field = format!("endpoint {}", asked.endpoint);
    match &asked.answer {
        Ok(Status { is_learner: true, .. }) => {
            Finding::bad(field, Exit::Connect, "a learner, which serves neither backups nor restores")
        }
        Ok(Status { leader: None, .. }) => {
            Finding::bad(field, Exit::Connect, "it answers, but knows no leader")
        }
        Ok(status) => {
            let part = if status.leader == Some(status.header.member_id) { "leader" } else { "follower" };
            Finding::good(field, format!("etcd {}, {part}", status.version))
        }
        Err(_) if asked.answers() => Finding::good(field, "it answers, but not to this user"),
        Err(error) => Finding::bad(field, Exit::Connect, error.to_string()),
    }
}

/// That they are of one cluster, and of versions that are known to work.
pub(super) fn together(members: &[Asked]) -> Vec<Finding> {
    let known: Vec<_> = members.iter().filter_map(|asked| asked.answer.as_ref().ok()).collect();
    if known.is_empty() {
        return ["cluster", "versions"].map(|field| Finding::unchecked(field, "no member tells")).into();
    }
    let ids: BTreeSet<_> = known.iter().map(|status| status.header.cluster_id.to_string()).collect();
    let versions: BTreeSet<_> = known.iter().map(|status| status.version.as_str()).collect();
    vec![cluster(&ids), versions_found(&versions)]
}

fn cluster(ids: &BTreeSet<String>) -> Finding {
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    match &ids[..] {
        [id] => Finding::good("cluster", format!("all endpoints are of cluster {id}")),
        ids => Finding::bad(
            "cluster",
            Exit::Usage,
            format!("the endpoints are of different clusters: {}", ids.join(", ")),
        ),
    }
}

fn versions_found(versions: &BTreeSet<&str>) -> Finding {
    let told = versions.iter().copied().collect::<Vec<_>>().join(", ");
    match versions.iter().any(|version| minor(version).is_none_or(|found| found < OLDEST)) {
        true => Finding::bad("versions", Exit::Other, format!("{told}; older than 3.4, which is not tested")),
        false => Finding::good("versions", told),
    }
}

fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

pub(super) async fn alarms(client: &Client, purpose: Purpose) -> Finding {
    match client.send(ListAlarms::new()).await {
        Ok(found) => judge_alarms(&found.alarms, purpose),
        Err(error) => Finding::unchecked("alarms", error.to_string()),
    }
}

fn judge_alarms(alarms: &[Alarm], purpose: Purpose) -> Finding {
    let raised = |kind: AlarmKind| alarms.iter().any(|alarm| alarm.kind == kind);
    if raised(AlarmKind::Corrupt) {
        return Finding::bad("alarms", Exit::Other, "CORRUPT: members hold different data");
    }
    match (raised(AlarmKind::NoSpace), purpose) {
        (true, Purpose::Restore) => Finding::bad(
            "alarms",
            Exit::Other,
            "NOSPACE: nothing can be written; compact, defragment, disarm the alarm, or raise --quota-backend-bytes",
        ),
        (true, Purpose::Backup) => Finding::good("alarms", "NOSPACE, which is no hindrance to a backup"),
        (false, _) => Finding::good("alarms", "none"),
    }
}

/// What the data of the cluster takes, as far as is known.
pub(super) fn size(members: &[Asked]) -> Option<u64> {
    members.iter().filter_map(|asked| asked.answer.as_ref().ok()).map(|status| status.db_size_in_use).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_the_oldest_are_bad() {
        for (versions, good) in [(&["3.4.23", "3.10.0"][..], true), (&["3.3.9"], false), (&["new"], false)] {
            let found = versions_found(&versions.iter().copied().collect());
            assert_eq!(found.exit().is_none(), good, "{versions:?}");
        }
    }
}
