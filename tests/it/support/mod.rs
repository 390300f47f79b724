//! Test fixtures: the service on a database of its own, clients, browsers and running server
//! processes.

mod app;
pub mod binary;
mod browser;
mod database;
pub mod directory;
pub mod openid;
mod people;
pub mod postgres;
pub mod receiver;
mod response;
pub mod saml;

use rstest_reuse::template;

pub use app::{TestApp, test_config};
pub use browser::Browser;
pub use database::{Database, Engine, POSTGRES_MIGRATIONS, SQLITE_MIGRATIONS, insert_tokens_sql, numbered_token_id};
pub use people::{ApiClient, PersonClient, TokenClient, basic_auth};
pub use response::TestResponse;

/// The password of all people in tests.
pub const PASSWORD: &str = "correct horse battery staple";

/// Returns the duration of this many days.
pub fn days(count: u64) -> std::time::Duration {
    std::time::Duration::from_secs(count * 86_400)
}

/// Returns the body of a request for a token with a lifetime of one hour.
pub fn one_hour_token() -> serde_json::Value {
    serde_json::json!({"lifetimeSeconds": 3600})
}

/// Runs a test once with each database engine.
#[template]
#[rstest]
#[case::postgres(Engine::Postgres)]
#[case::sqlite(Engine::Sqlite)]
#[tokio::test]
pub async fn both_databases(#[case] engine: Engine) {}

/// Runs a test once with each database engine, on a runtime with two worker threads.
#[template]
#[rstest]
#[case::postgres(Engine::Postgres)]
#[case::sqlite(Engine::Sqlite)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn both_databases_multi_thread(#[case] engine: Engine) {}

/// Returns an HTTP client. reqwest needs an installed rustls provider, even for plain HTTP.
pub fn http_client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::new()
}
