//! An act that is sent again because its answer was lost: whoever finds nothing left to do waits for the other nodes all the
//! same.

use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::support::{Database, Engine, TestApp};

#[tokio::test]
async fn an_act_that_finds_nothing_to_do_waits_as_well() {
    let lease = Duration::from_millis(500);
    let app = TestApp::with(Database::migrated(Engine::Postgres).await, |config| config.cache.lease_ms = 500).await;
    let nodes = app.store.nodes().unwrap();
    let admin = app.admin();
    let token = admin.bearer().await;
    admin.delete(&token.path()).await.expect(204);
    let form = format!("token={}", token.value);
    for again in ["delete", "revoke"] {
        // Somebody who has not heard of it, and never will.
        nodes.join(Uuid::from_u128(rand::random()), lease, "of nobody").await.unwrap();
        let begun = Instant::now();
        if again == "delete" {
            admin.delete(&token.path()).await.expect(404);
        } else {
            let mut request = app.anonymous().request("POST", "/oauth2/revoke", form.clone().into());
            let kind = http::HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert("content-type", kind);
            app.anonymous().send(request).await.expect(200);
        }
        assert!(begun.elapsed() >= lease, "{again} answered while somebody might still accept the token");
    }
}
