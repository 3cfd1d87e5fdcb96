//! Requests of the key-value store, leases and members.

use std::time::Duration;

use etcd_ark::{
    Compact, Compare, Delete, ErrorKind, Get, GrantLease, KeyRange, LeaseTimeToLive, ListMembers, Operation,
    OperationResult, Put, Relation, Revision, RevokeLease, SortOrder, SortTarget, Txn,
};

use crate::support::{Cluster, Server};
use crate::{client_of, refusal};

#[tokio::test]
async fn a_key_is_put_read_and_deleted() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    assert_eq!(client.get("k").await.unwrap(), None);
    let put = client.put("k", "v").await.unwrap();
    let kv = client.get("k").await.unwrap().unwrap();
    assert_eq!((&kv.key[..], &kv.value[..], kv.version, kv.lease), (&b"k"[..], &b"v"[..], 1, None));
    assert_eq!((kv.create_revision, kv.mod_revision), (put.header.revision, put.header.revision));
    assert_eq!(client.delete("k").await.unwrap().deleted, 1);
    assert_eq!(client.get("k").await.unwrap(), None);
}

#[tokio::test]
async fn previous_values_come_when_asked_for() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    client.put("k", "1").await.unwrap();
    assert_eq!(client.put("k", "2").await.unwrap().previous, None);
    let put = client.send(Put::new("k", "3").return_previous()).await.unwrap();
    assert_eq!(put.previous.unwrap().value, "2");
    let deleted = client.send(Delete::new("k").return_previous()).await.unwrap();
    assert_eq!(deleted.previous[0].value, "3");
}

#[tokio::test]
async fn ranges_limits_and_revisions_are_honoured() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    for key in ["a/1", "a/2", "a/3", "b"] {
        client.put(key, "old").await.unwrap();
    }
    let old = client.send(Get::new("b")).await.unwrap().header.revision;
    client.put("a/1", "new").await.unwrap();

    let limited = client.send(Get::new(KeyRange::prefix("a/")).limit(2)).await.unwrap();
    assert_eq!((limited.kvs.len(), limited.more, limited.count), (2, true, 3));
    let all = client.send(Get::new(KeyRange::all()).at(old)).await.unwrap();
    assert_eq!((all.kvs.len(), &all.kvs[0].value[..]), (4, &b"old"[..]));
    let keys = client.send(Get::new(KeyRange::from_key("a/2")).keys_only()).await.unwrap();
    assert!(keys.kvs.len() == 3 && keys.kvs.iter().all(|kv| kv.value.is_empty()));
    let count =
        client.send(Get::new(KeyRange::between("a/2", "b")).count_only().serializable()).await.unwrap();
    assert_eq!((count.count, count.kvs.len()), (2, 0));
}

#[tokio::test]
async fn keys_come_in_the_order_asked_for_and_the_limit_counts_in_that_order() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    // Each property has an order of its own: created b c a, changed c a b, version a c b, value c b a.
    for (key, value) in
        [("b", ""), ("c", ""), ("a", ""), ("b", ""), ("c", "1"), ("a", "3"), ("b", ""), ("b", "2")]
    {
        client.put(key, value).await.unwrap();
    }
    for (target, ascending) in [
        (SortTarget::Key, ["a", "b", "c"]),
        (SortTarget::CreateRevision, ["b", "c", "a"]),
        (SortTarget::ModRevision, ["c", "a", "b"]),
        (SortTarget::Value, ["c", "b", "a"]),
    ] {
        for (order, first) in [(SortOrder::Ascending, 0), (SortOrder::Descending, 2)] {
            let get = Get::new(KeyRange::all()).sort_by(target, order);
            let all = client.send(get.clone()).await.unwrap().kvs;
            assert_eq!(
                (all.len(), &all[first].key[..]),
                (3, ascending[0].as_bytes()),
                "{target:?} {order:?}"
            );
            let limited = client.send(get.limit(1)).await.unwrap();
            assert_eq!(limited.kvs[..], all[..1], "{target:?} {order:?}");
            assert!(limited.more && limited.count == 3);
        }
    }
    let by_version = Get::new(KeyRange::all()).sort_by(SortTarget::Version, SortOrder::Descending).limit(1);
    assert_eq!(client.send(by_version).await.unwrap().kvs[0].key, "b");
}

#[tokio::test]
async fn revisions_bound_what_is_read() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut revisions = Vec::new();
    for key in ["a", "b", "c", "a"] {
        revisions.push(client.put(key, "v").await.unwrap().header.revision);
    }
    let all = || Get::new(KeyRange::all());
    for (get, keys) in [
        (all().min_mod_revision(revisions[2]), "ac"),
        (all().max_mod_revision(revisions[2]), "bc"),
        (all().min_create_revision(revisions[1]), "bc"),
        (all().max_create_revision(revisions[1]), "ab"),
        (all().min_mod_revision(revisions[1]).max_mod_revision(revisions[1]), "b"),
    ] {
        let found = client.send(get.clone()).await.unwrap();
        let names: Vec<u8> = found.kvs.iter().flat_map(|kv| kv.key.to_vec()).collect();
        assert_eq!((String::from_utf8(names).unwrap().as_str(), found.count), (keys, 3), "{get:?}");
    }
}

#[tokio::test]
async fn a_put_keeps_value_or_lease_if_told_to() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let lease = client.send(GrantLease::new(Duration::from_secs(600))).await.unwrap().id;
    for missing in [Put::keep_value("k"), Put::new("k", "v").keep_lease()] {
        let error = client.send(missing).await.unwrap_err();
        assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::NotFound, false), "{error}");
    }
    let kept = async || {
        let kv = client.get("k").await.unwrap().unwrap();
        (kv.value, kv.lease, kv.version)
    };
    client.put("k", "1").await.unwrap();
    client.send(Put::keep_value("k").lease(lease)).await.unwrap();
    assert_eq!(kept().await, ("1".into(), Some(lease), 2));
    client.send(Put::new("k", "2").keep_lease()).await.unwrap();
    assert_eq!(kept().await, ("2".into(), Some(lease), 3));
    client.send(Put::keep_value("k").keep_lease()).await.unwrap();
    assert_eq!(kept().await, ("2".into(), Some(lease), 4));
    client.send(Put::keep_value("k")).await.unwrap();
    assert_eq!(kept().await, ("2".into(), None, 5));
}

#[tokio::test]
async fn compaction_and_the_future_are_told_apart() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    client.put("k", "1").await.unwrap();
    let newest = client.put("k", "2").await.unwrap().header.revision;
    client.send(Compact::new(newest).physical()).await.unwrap();

    let past = client.send(Get::new("k").at(Revision(newest.0 - 1))).await.unwrap_err();
    assert_eq!(past.kind(), ErrorKind::Compacted, "{past}");
    let future = refusal(async || client.send(Get::new("k").at(Revision(newest.0 + 10))).await).await;
    assert_eq!(future.kind(), ErrorKind::FutureRevision, "{future}");
    assert!(!past.may_have_applied() && past.endpoint() == Some(server.endpoint().as_str()));
}

#[tokio::test]
async fn a_transaction_takes_the_branch_that_its_comparisons_choose() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let create = || Txn::new().when(Compare::absent("k")).then(Put::new("k", "v")).otherwise(Get::new("k"));
    assert!(client.send(create()).await.unwrap().succeeded);
    let second = client.send(create()).await.unwrap();
    let [OperationResult::Get(found)] = &second.responses[..] else { panic!("{second:?}") };
    assert!(!second.succeeded && found.kvs[0].value == "v");

    let revision = found.kvs[0].mod_revision;
    let holding = [
        Compare::present("k"),
        Compare::value("k", Relation::Equal, "v"),
        Compare::version("k", Relation::Less, 2),
        Compare::mod_revision("k", Relation::Equal, revision),
        Compare::create_revision("k", Relation::Greater, Revision(0)),
        Compare::lease("k", Relation::Equal, None),
    ];
    let all = holding.into_iter().fold(Txn::new(), Txn::when).then(Operation::from(Delete::new("k")));
    assert!(client.send(all).await.unwrap().succeeded);
    let failing = Txn::new().when(Compare::value("k", Relation::NotEqual, "v")).then(Get::new("k"));
    assert!(!client.send(failing).await.unwrap().succeeded, "no comparison of a missing key's value holds");
}

#[tokio::test]
async fn a_lease_takes_its_keys_with_it() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let lease = client.send(GrantLease::new(Duration::from_secs(60))).await.unwrap();
    client.send(Put::new("k", "v").lease(lease.id)).await.unwrap();
    assert_eq!(client.get("k").await.unwrap().unwrap().lease, Some(lease.id));

    let times = client.send(LeaseTimeToLive::new(lease.id)).await.unwrap().lease.unwrap();
    assert_eq!(times.granted, Duration::from_secs(60));
    assert!(times.remaining <= times.granted && times.remaining > Duration::from_secs(30));
    let taken = client.send(GrantLease::new(Duration::from_secs(60)).id(lease.id)).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);

    client.send(RevokeLease::new(lease.id)).await.unwrap();
    assert_eq!(client.get("k").await.unwrap(), None);
    assert_eq!(client.send(LeaseTimeToLive::new(lease.id)).await.unwrap().lease, None);
    let gone = client.send(Put::new("k", "v").lease(lease.id)).await.unwrap_err();
    assert_eq!((gone.kind(), gone.may_have_applied()), (ErrorKind::NotFound, false));
}

#[tokio::test]
async fn members_and_their_status_are_told() {
    let cluster = Cluster::start(3).await;
    let client = etcd_ark::Client::connect(cluster.endpoints()).await.unwrap();
    let listed = client.send(ListMembers::new()).await.unwrap();
    assert_eq!(listed.members.len(), 3);
    for member in client.members() {
        let status = member.status().await.unwrap();
        let own = listed.members.iter().find(|info| info.id == status.header.member_id).unwrap();
        assert_eq!(own.client_urls, [member.endpoint().to_string()], "a call on a member went to another");
        assert_eq!(status.version, cluster.member(0).version());
        assert!(status.leader.is_some() && !status.is_learner && status.db_size > 0);
    }
}

#[tokio::test]
async fn requests_that_cannot_be_valid_are_refused_before_anything_is_sent() {
    let client = etcd_ark::Client::builder(["127.0.0.1:1"]).unwrap().connect_lazy().unwrap();
    for error in [
        client.put("", "v").await.unwrap_err(),
        client.send(Get::new(KeyRange::between("b", "a"))).await.unwrap_err(),
        client.delete(KeyRange::key("")).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Config, 0), "{error}");
    }
}

#[tokio::test]
async fn a_request_over_the_servers_limit_is_too_large() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    for bytes in [1_600_000, 3_000_000] {
        let error = client.put("k", vec![0; bytes]).await.unwrap_err();
        assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::TooLarge, false), "{error}");
    }
}
