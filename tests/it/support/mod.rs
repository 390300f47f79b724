//! What tests speak with: an app on a database of its own, and people.

mod app;
pub mod binary;
mod browser;
mod database;
mod people;
pub mod postgres;
mod response;

pub use app::{TestApp, config};
pub use browser::Visitor;
pub use database::{Database, Engine, POSTGRES, SQLITE, insert_tokens, numbered};
pub use people::{Bearer, Client, Person, basic};
pub use response::Reply;

/// The password of everybody in tests.
pub const PASSWORD: &str = "correct horse battery staple";
/// What a request for a token says where it does not matter.
pub fn an_hour() -> serde_json::Value {
    serde_json::json!({"lifetimeSeconds": 3600})
}

/// Like [`on_both!`] for tests that run the program: each function is told which database to make.
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::Engine::Postgres).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::Engine::Sqlite).await;
            })*
        }
    };
}

/// Runs each of the named functions on PostgreSQL and on SQLite.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::support::TestApp::start($crate::support::Engine::Postgres).await).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::support::TestApp::start($crate::support::Engine::Sqlite).await).await;
            })*
        }
    };
}

/// A client for HTTP. The library wants a provider of cryptography chosen, also where nothing is encrypted.
pub fn http_client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::new()
}
