//! A revocation that is repeated because its response was lost. It finds nothing to revoke, and
//! still waits for the other nodes.

use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::support::{Database, Engine, TestApp};

#[tokio::test]
async fn a_repeated_revocation_waits_for_the_other_nodes() {
    let lease = Duration::from_millis(500);
    let app = TestApp::start_with(Database::migrated(Engine::Postgres).await, |config| {
        config.cache.lease_duration = tokenward::config::ConfigDuration::from_millis(500);
    })
    .await;
    let nodes = app.store.cluster().unwrap();
    let admin = app.admin();
    let token = admin.create_token().await;
    admin.delete(&token.token_path()).await.expect(204);
    let form = format!("token={}", token.value);
    for operation in ["delete", "revoke"] {
        // A node that never acknowledges.
        nodes.join(Uuid::from_u128(rand::random()), lease, "unknown").await.unwrap();
        let start = Instant::now();
        if operation == "delete" {
            admin.delete(&token.token_path()).await.expect(404);
        } else {
            let mut request = app.anonymous().request("POST", "/oauth2/revoke", form.clone().into());
            let content_type = http::HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert("content-type", content_type);
            app.anonymous().send(request).await.expect(200);
        }
        assert!(start.elapsed() >= lease, "{operation} returned while a node might still accept the token");
    }
}
