//! The rows of nodes.

use std::time::Duration;

use tokenward::config::CacheMode;
use tokenward::domain::time::Timestamp;
use tokenward::store::NodeRow;
use uuid::Uuid;

use crate::support::Database;
use crate::support::Engine;
use crate::support::TestApp;

#[tokio::test]
async fn nodes_join_renew_ping_and_leave() {
    let lease = Duration::from_millis(1_500);
    // Without a cache the service itself is no node.
    let app =
        TestApp::start_with(Database::migrated(Engine::Postgres).await, |config| config.cache.mode = CacheMode::Off)
            .await;
    let nodes = app.store.cluster().unwrap();
    let mut stream =
        nodes.listen(Uuid::from_u128(9), Uuid::from_u128(3), lease).await.unwrap().expect("a direct connection");
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    nodes.join(one, lease, "one joined").await.unwrap();
    nodes.join(two, lease, "two joined").await.unwrap();
    assert!(stream.renew(two, lease, "two renewed").await.unwrap());
    let to = |process, notice: &str| (Uuid::from_u128(process), notice.to_owned());
    stream.notify_processes(&[to(9, "a"), to(8, "for another node"), to(9, "b")]).await.unwrap();
    stream.notify_processes(&[]).await.unwrap();
    let mut nodes_found = nodes.ping("called").await.unwrap();
    nodes_found.sort_by_key(|node| node.id);
    assert_eq!(nodes_found, [NodeRow { id: one, lease, renewals: 0 }, NodeRow { id: two, lease, renewals: 1 }]);
    let leases = nodes.list_leases().await.unwrap();
    assert_eq!(leases.iter().map(|node| node.id).collect::<Vec<_>>(), [one, two]);
    assert!(leases.iter().all(|node| node.lease_until > Timestamp::MIN), "{leases:?}");
    // Node two has renewed its lease in the meantime, so it is not removed.
    assert!(stream.renew(two, lease, "two renewed again").await.unwrap());
    assert_eq!(nodes.remove_unresponsive(&nodes_found).await.unwrap(), 1);
    assert!(!stream.renew(one, lease, "never sent").await.unwrap());
    nodes.leave(two, "two left").await.unwrap();
    assert!(nodes.ping("called again").await.unwrap().is_empty());
    nodes.join(one, lease, "the end").await.unwrap();
    let mut received = Vec::new();
    while received.last().is_none_or(|last| last != "the end") {
        let next = stream.next_buffered();
        received.push(if let Some(notice) = next { notice } else { stream.next().await.unwrap() });
    }
    let expected =
        ["one joined", "two joined", "two renewed", "a", "b", "called", "two renewed again", "two left", "the end"];
    assert_eq!(received, expected, "a ping without nodes is not sent");
}

#[tokio::test]
async fn sqlite_has_no_nodes() {
    let app = TestApp::start(Engine::Sqlite).await;
    assert!(app.store.cluster().is_none());
}
