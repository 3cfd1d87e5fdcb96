//! What the servers' error texts mean.
//!
//! Codes differ between server versions, and some errors arrive as `Unknown`; the texts are the same
//! from 3.4 to 3.7. So the text decides, and the code only where the text is unknown.

use super::code::Code;
use crate::error::ErrorKind;

/// What a failed attempt allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Not executed; another member may do better at once.
    TryElsewhere,
    /// Not executed; the cluster needs time.
    BackOff,
    /// Not executed; a fresh token cures it.
    Reauthenticate,
    /// Perhaps executed.
    Ambiguous,
    /// Perhaps executed; repeating it helps nobody until someone mends the cluster.
    Futile,
    /// The cluster's answer: repeating the request would not change it.
    Final,
}

use ErrorKind::{
    AlreadyExists, Auth, Compacted, Corrupt, Deadline, FutureRevision, NoSpace, NotFound, PermissionDenied,
    Rejected, Throttled, TooLarge, Unavailable, Unsupported,
};
use Remedy::{Ambiguous, BackOff, Final, Futile, Reauthenticate, TryElsewhere};

/// Every text that etcd 3.4 to 3.7 answers with, without the `etcdserver: ` or `auth: ` before it. The
/// first entry that a text begins with counts.
const TEXTS: &[(&str, ErrorKind, Remedy)] = &[
    // Keys and transactions.
    ("key is not provided", Rejected, Final),
    ("key not found", NotFound, Final),
    ("value is provided", Rejected, Final),
    ("lease is provided", Rejected, Final),
    ("too many operations in txn request", TooLarge, Final),
    ("duplicate key given in txn request", Rejected, Final),
    ("invalid sort option", Rejected, Final),
    ("invalid client api version", Rejected, Final),
    ("mvcc: required revision has been compacted", Compacted, Final),
    // Asked of a member that lags behind: another may be further.
    ("mvcc: required revision is a future revision", FutureRevision, TryElsewhere),
    // The quota is checked again after applying: the write may be there all the same.
    ("mvcc: database space exceeded", NoSpace, Futile),
    ("request is too large", TooLarge, Final),
    // Leases and watches.
    ("requested lease not found", NotFound, Final),
    ("lease already exists", AlreadyExists, Final),
    ("too large lease TTL", Rejected, Final),
    ("not a primary lessor", Unavailable, TryElsewhere),
    ("watch canceled", Unavailable, Ambiguous),
    // Members.
    ("member ID already exist", AlreadyExists, Final),
    ("Peer URLs already exists", AlreadyExists, Final),
    ("member not found", NotFound, Final),
    ("given member URLs are invalid", Rejected, Final),
    ("can only promote a learner member", Rejected, Final),
    ("too many learner members in cluster", Rejected, Final),
    ("re-configuration failed due to not enough started members", Rejected, Final),
    ("cluster ID mismatch", Rejected, Final),
    ("unhealthy cluster", Unavailable, Final),
    ("not leader", Rejected, Final),
    ("bad leader transferee", Rejected, Final),
    ("cluster version not found during downgrade", Rejected, Final),
    ("wrong downgrade target version format", Rejected, Final),
    ("invalid downgrade target version", Rejected, Final),
    ("cluster has a downgrade job in progress", Rejected, Final),
    ("no inflight downgrade job", Rejected, Final),
    // Users.
    ("root user does not exist", Rejected, Final),
    ("root user does not have root role", Rejected, Final),
    ("user name already exists", AlreadyExists, Final),
    ("user name not found", NotFound, Final),
    ("user name is empty", Auth, Reauthenticate),
    ("role name already exists", AlreadyExists, Final),
    ("role name not found", NotFound, Final),
    ("role name is empty", Rejected, Final),
    ("authentication failed", Auth, Final),
    ("permission not given", Rejected, Final),
    ("permission denied", PermissionDenied, Final),
    ("role is not granted to the user", NotFound, Final),
    ("permission is not granted to the role", NotFound, Final),
    ("authentication is not enabled", Rejected, Final),
    ("invalid auth token", Auth, Reauthenticate),
    ("invalid auth management", Rejected, Final),
    ("revision of auth store is old", Auth, Reauthenticate),
    // What early 3.5 servers answer to writes in the same case, as `Unknown`.
    ("revision in header is old", Auth, Reauthenticate),
    ("token signing attempted with verify-only key", Rejected, Final),
    // The lock and election services.
    ("mutex: session is expired", NotFound, Final),
    ("election: not leader", NotFound, Final),
    ("election: no leader", NotFound, Final),
    ("\"leader\" field must be provided", Rejected, Final),
    // The state of the cluster.
    ("no leader", Unavailable, TryElsewhere),
    ("leader changed", Unavailable, TryElsewhere),
    ("not capable", Unsupported, TryElsewhere),
    ("rpc not supported for learner", Unavailable, TryElsewhere),
    ("too many requests", Throttled, BackOff),
    ("raft proposal dropped", Throttled, BackOff),
    ("request timed out", Unavailable, Ambiguous),
    // A handler's own context, which some come back with as `Unknown`.
    ("context deadline exceeded", Deadline, Ambiguous),
    ("context canceled", Deadline, Ambiguous),
    ("request cancel", Unavailable, Ambiguous),
    ("server stopped", Unavailable, Ambiguous),
    ("corrupt cluster", Corrupt, Final),
];

/// The meaning of a server's answer.
pub(crate) fn classify(code: Code, message: &str) -> (ErrorKind, Remedy) {
    let text = bare(message);
    TEXTS
        .iter()
        .find(|(known, ..)| text.starts_with(known))
        .map_or_else(|| by_code(code), |&(_, kind, remedy)| (kind, remedy))
}

fn bare(message: &str) -> &str {
    let text = message.strip_prefix("etcdserver: ").unwrap_or(message);
    text.strip_prefix("auth: ").unwrap_or(text)
}

fn by_code(code: Code) -> (ErrorKind, Remedy) {
    match code {
        Code::AlreadyExists => (AlreadyExists, Final),
        Code::Cancelled | Code::DeadlineExceeded => (Deadline, Ambiguous),
        Code::DataLoss => (Corrupt, Final),
        Code::NotFound => (NotFound, Final),
        Code::PermissionDenied => (PermissionDenied, Final),
        Code::ResourceExhausted => (TooLarge, Final),
        Code::Unauthenticated => (Auth, Final),
        Code::Unavailable => (Unavailable, Ambiguous),
        Code::Unimplemented => (Unsupported, Final),
        Code::Internal | Code::Unknown => (Rejected, Ambiguous),
        _ => (Rejected, Final),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_decides_over_code_and_both_prefixes_count() {
        for code in [Code::Unauthenticated, Code::Unknown, Code::InvalidArgument] {
            assert_eq!(classify(code, "etcdserver: invalid auth token"), (Auth, Reauthenticate));
            assert_eq!(classify(code, "auth: invalid auth token"), (Auth, Reauthenticate));
        }
        for code in [Code::Unavailable, Code::FailedPrecondition] {
            assert_eq!(classify(code, "etcdserver: not capable"), (Unsupported, TryElsewhere));
        }
    }

    #[test]
    fn a_handlers_own_deadline_is_one_whatever_its_code() {
        for code in [Code::DeadlineExceeded, Code::Unknown] {
            assert_eq!(classify(code, "context deadline exceeded"), (Deadline, Ambiguous));
        }
    }

    #[test]
    fn compaction_and_future_revisions_share_a_code_but_not_a_kind() {
        let compacted = "etcdserver: mvcc: required revision has been compacted";
        let future = "etcdserver: mvcc: required revision is a future revision";
        assert_eq!(classify(Code::OutOfRange, compacted).0, Compacted);
        assert_eq!(classify(Code::OutOfRange, future).0, FutureRevision);
    }

    #[test]
    fn unavailable_does_not_mean_that_nothing_happened() {
        for text in
            ["request timed out", "request timed out, possibly due to connection lost", "server stopped"]
        {
            assert_eq!(classify(Code::Unavailable, &format!("etcdserver: {text}")).1, Ambiguous);
        }
        assert_eq!(classify(Code::Unavailable, "etcdserver: no leader").1, TryElsewhere);
    }

    #[test]
    fn a_full_database_may_have_taken_the_write_but_takes_no_other() {
        let full = "etcdserver: mvcc: database space exceeded";
        assert_eq!(classify(Code::ResourceExhausted, full), (NoSpace, Futile));
    }

    #[test]
    fn no_entry_hides_a_later_one() {
        for (index, (text, kind, remedy)) in TEXTS.iter().enumerate() {
            let hiding = TEXTS[..index].iter().find(|(earlier, ..)| text.starts_with(earlier));
            assert_eq!(hiding, None, "{text}");
            assert_eq!(classify(Code::Unknown, &format!("etcdserver: {text}, and more")), (*kind, *remedy));
        }
    }

    #[test]
    fn unknown_texts_fall_back_to_their_code() {
        assert_eq!(classify(Code::Unimplemented, "unknown method").0, Unsupported);
        assert_eq!(classify(Code::FailedPrecondition, "something new"), (Rejected, Final));
        assert_eq!(classify(Code::DeadlineExceeded, "out of time").1, Ambiguous);
    }
}
