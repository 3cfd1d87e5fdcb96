//! Transactions: every comparison, nested ones, and what they are answered from.

use std::time::Duration;

use etcd_ark::{
    Client, Compare, Credentials, Delete, ErrorKind, Get, GrantLease, KeyRange, LeaseId, Operation,
    OperationResult, Put, Relation, Revision, Txn,
};

use crate::client_of;
use crate::support::{Cluster, Permission, Server};

const RELATIONS: [Relation; 4] = [Relation::Equal, Relation::Greater, Relation::Less, Relation::NotEqual];

async fn holds(client: &Client, compare: Compare) -> bool {
    client.send(Txn::new().when(compare)).await.unwrap().succeeded
}

/// What each relation should say of a property that is below, at and above what it is compared with.
fn expected(relation: Relation) -> [bool; 3] {
    match relation {
        Relation::Equal => [false, true, false],
        Relation::Greater => [false, false, true],
        Relation::Less => [true, false, false],
        Relation::NotEqual => [true, false, true],
    }
}

#[tokio::test]
async fn every_property_is_compared_in_every_relation() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let lease = LeaseId(100);
    client.send(GrantLease::new(Duration::from_secs(600)).id(lease)).await.unwrap();
    let created = client.put("k", "b").await.unwrap().header.revision;
    let changed = client.send(Put::new("k", "b").lease(lease)).await.unwrap().header.revision;

    for relation in RELATIONS {
        // Above, equal to and below what the key has.
        for (offset, expected) in [1, 0, -1].into_iter().zip(expected(relation)) {
            let value = ["a", "b", "c"][usize::try_from(offset + 1).unwrap()];
            let compares = [
                Compare::value("k", relation, value),
                Compare::version("k", relation, 2 + offset),
                Compare::create_revision("k", relation, Revision(created.0 + offset)),
                Compare::mod_revision("k", relation, Revision(changed.0 + offset)),
                Compare::lease("k", relation, Some(LeaseId(lease.0 + offset))),
            ];
            for compare in compares {
                assert_eq!(holds(&client, compare.clone()).await, expected, "{compare:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_comparison_of_a_range_must_hold_for_every_key() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    for (key, value) in [("a/1", "x"), ("a/2", "x"), ("b", "y")] {
        client.put(key, value).await.unwrap();
    }
    let is_x = |range: KeyRange| Compare::value(range, Relation::Equal, "x");
    assert!(holds(&client, is_x(KeyRange::prefix("a/"))).await);
    assert!(!holds(&client, is_x(KeyRange::all())).await);
    assert!(holds(&client, Compare::present(KeyRange::prefix("a/"))).await);
    assert!(!holds(&client, Compare::absent(KeyRange::prefix("a/"))).await);
    assert!(holds(&client, Compare::absent(KeyRange::prefix("none/"))).await);
    assert!(!holds(&client, Compare::present(KeyRange::prefix("none/"))).await);
    assert!(!holds(&client, is_x(KeyRange::prefix("none/"))).await, "no key has the value");
    assert!(holds(&client.namespace("a/"), is_x(KeyRange::all())).await, "the namespace ends the range");
    let error = client.send(Txn::new().when(is_x(KeyRange::between("b", "a")))).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Config, 0));
}

#[tokio::test]
async fn transactions_nest_and_answer_in_the_same_shape() {
    let server = Server::start().await;
    let root = client_of(&server).await;
    let client = root.namespace("a/");
    client.put("k", "v").await.unwrap();

    let inner = Txn::new()
        .when(Compare::value("k", Relation::Equal, "other"))
        .then(Delete::new("k"))
        .otherwise(Get::new("k"))
        .otherwise(Put::new("new", "1").return_previous());
    let outer = Txn::new().when(Compare::present("k")).then(Operation::from(inner)).then(Put::new("l", "2"));
    let result = client.send(outer).await.unwrap();
    let [OperationResult::Txn(inner), OperationResult::Put(put)] = &result.responses[..] else {
        panic!("{result:?}")
    };
    let [OperationResult::Get(get), OperationResult::Put(_)] = &inner.responses[..] else {
        panic!("{inner:?}")
    };
    assert!(result.succeeded && !inner.succeeded && put.previous.is_none());
    assert_eq!(get.kvs[0].key, "k", "nested answers are stripped, too");
    let written = root.get("a/new").await.unwrap().unwrap();
    assert_eq!((written.value, written.mod_revision), ("1".into(), result.header.revision));
}

#[tokio::test]
async fn what_a_transaction_must_not_hold_is_refused() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let twice = Txn::new().then(Put::new("k", "1")).then(Put::new("k", "2"));
    let error = client.send(twice).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::Rejected, false), "{error}");
    let many = (0..129).map(|number| Get::new(format!("{number}"))).fold(Txn::new(), Txn::then);
    assert_eq!(client.send(many).await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(client.send(Txn::new()).await.unwrap().succeeded, "nothing at all holds");
}

/// A member that is cut off from its peers must not tell what was true before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comparisons_alone_are_linearizable() {
    let cluster = Cluster::builder().peer_proxies().start_cluster(3).await;
    let victim = (cluster.leader().await + 1) % 3;
    let others = (0..3).filter(|&index| index != victim).map(|index| cluster.member(index).endpoint());
    let others = Client::connect(others).await.unwrap();
    let builder = Client::builder([cluster.member(victim).endpoint()]).unwrap();
    let alone = builder.request_timeout(Duration::from_secs(8)).connect().await.unwrap();
    others.put("k", "old").await.unwrap();
    let is_old = || Txn::new().when(Compare::value("k", Relation::Equal, "old"));
    let answer = alone.send(is_old()).await.unwrap();
    assert!(answer.succeeded && answer.responses.is_empty());

    cluster.cut_off(victim).await;
    others.put("k", "new").await.unwrap();
    let stale = alone.send(is_old().then(Get::new("k").serializable())).await.unwrap();
    assert!(stale.succeeded, "the member is not behind: this test shows nothing");
    let error = alone.send(is_old()).await.unwrap_err();
    assert!(error.is_retryable() && !error.may_have_applied(), "{error}");

    cluster.heal();
    let fresh = loop {
        match alone.send(is_old()).await {
            Ok(answer) => break answer,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    };
    assert!(!fresh.succeeded && fresh.responses.is_empty());
}

#[tokio::test]
async fn comparisons_alone_need_no_right_but_to_read_their_keys() {
    let server = Server::start().await;
    client_of(&server).await.put("own/k", "v").await.unwrap();
    server.enable_auth("pw").await;
    server.add_user("u", "pw", &[(Permission::Read, "own/")]).await;
    let builder = Client::builder([server.endpoint()]).unwrap();
    let client = builder.credentials(Credentials::new("u", "pw")).connect().await.unwrap();
    assert!(holds(&client, Compare::present("own/k")).await);
    assert!(holds(&client, Compare::present(KeyRange::prefix("own/"))).await);
    let foreign = client.send(Txn::new().when(Compare::present("k"))).await.unwrap_err();
    assert_eq!(foreign.kind(), ErrorKind::PermissionDenied);
}
