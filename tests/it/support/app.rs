//! The service under test, in the same process: without a port and with a clock that the test
//! moves.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use tokenward::{
    app::App,
    config::Config,
    domain::{
        random::Random,
        time::{Clock, Timestamp},
    },
    http::{
        pipeline::HttpService,
        server::{self},
    },
    service::bootstrap::{FirstAdministrator, bootstrap},
    store::Store,
};

use tokio::sync::watch;

use super::{ApiClient, Browser, Database, Engine, PASSWORD, PersonClient};

/// The service on a database of its own, bootstrapped with the first administrator.
pub struct TestApp {
    pub state: App,
    pub store: Store,
    pub service: HttpService,
    pub database: Database,
    now: Arc<AtomicI64>,
    /// Stops the cluster subscriber when dropped.
    _stop: watch::Sender<()>,
}

/// Returns a configuration for tests: cheap password hashes and the given database.
pub fn test_config(url: &str) -> Config {
    let mut config: Config = toml::from_str(&format!("database.url = {url:?}")).unwrap();
    config.passwords.argon2.memory_kib = 64;
    config.passwords.argon2.iterations = 1;
    config.passwords.max_queued = 10_000;
    // Tests create tokens as fast as they can. The tests of the rate limits set them.
    config.rate_limits.token_creation_per_minute = 0;
    config.database.max_connections = 4;
    config
}

impl TestApp {
    pub async fn start(engine: Engine) -> Self {
        Self::start_with(Database::migrated(engine).await, |_| ()).await
    }

    /// Starts the service with a modified configuration.
    pub async fn start_with(database: Database, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = test_config(&database.url);
        change(&mut config);
        let store = server::open_store(&config, true).await.unwrap();
        // 2026-01-01T00:00:00.000Z
        let now = Arc::new(AtomicI64::new(1_767_225_600_000));
        let millis = Arc::clone(&now);
        let clock = Clock::from_fn(move || Timestamp::from_millis(millis.load(Ordering::SeqCst)));
        let random = Random::system();
        let app = App::new(store.clone(), clock.clone(), random.clone(), &config).unwrap();
        let (stop, stopped) = watch::channel(());
        tokio::spawn(app.node().clone().run(stopped));
        app.node().wait_until_connected().await;
        let first = FirstAdministrator { email: "admin@example.com".into(), password: PASSWORD.to_owned().into() };
        bootstrap(&store, app.people(), &clock, &first).await.unwrap();
        Self { service: server::service(&app, &config), state: app, store, database, now, _stop: stop }
    }

    /// Runs an SQL statement while the service is stopped, and starts it again. The clock starts at
    /// its initial value.
    pub async fn restart_after_sql(self, statement: &str) -> Self {
        self.store.close().await;
        self.database.execute_sql(statement).await;
        Self::start_with(self.database, |_| ()).await
    }

    /// Runs an SQL statement without the service. The services of `state` have no store afterwards;
    /// `store` is reopened.
    pub async fn execute_sql(&mut self, statement: &str) {
        self.store.close().await;
        self.database.execute_sql(statement).await;
        self.store = server::open_store(&test_config(&self.database.url), true).await.unwrap();
    }

    /// Returns the single text value of a query. The services of `state` have no store afterwards;
    /// `store` is reopened.
    pub async fn query_text(&mut self, statement: &str) -> Option<String> {
        self.store.close().await;
        let text = self.database.query_text(statement).await;
        self.store = server::open_store(&test_config(&self.database.url), true).await.unwrap();
        text
    }

    /// Advances the clock.
    pub fn advance_millis(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
    }

    pub fn advance_seconds(&self, seconds: i64) {
        self.advance_millis(seconds * 1_000);
    }

    /// Returns a client without a credential.
    pub fn anonymous(&self) -> ApiClient {
        ApiClient::new(self.service.clone(), Vec::new())
    }

    /// Returns a browser that is not signed in.
    pub fn browser(&self) -> Browser {
        Browser::new(self.service.clone())
    }

    /// Returns a browser that is signed in.
    pub async fn signed_in_browser(&self, email: &str) -> Browser {
        let browser = self.browser();
        browser.sign_in(email, PASSWORD).await.expect(303);
        browser
    }

    /// Returns a client that sends these `Authorization` fields.
    pub fn client_with_authorization(&self, authorization: &[&str]) -> ApiClient {
        ApiClient::new(self.service.clone(), authorization.iter().map(|&field| field.into()).collect())
    }

    /// Returns the first administrator, who is also a platform administrator.
    pub fn admin(&self) -> PersonClient {
        PersonClient::new(self.service.clone(), 1, 1, "admin@example.com")
    }

    /// Adds a person without administrator rights to workspace 1.
    pub async fn add_person(&self, name: &str) -> PersonClient {
        self.admin().add_person(name, false).await
    }

    /// Creates a workspace and returns its administrator.
    pub async fn create_workspace_with_admin(&self, name: &str) -> PersonClient {
        let email = format!("{name}@other.example");
        let body = serde_json::json!({"name": "Other", "admin": {"email": email, "name": name, "password": PASSWORD}});
        let created = self.admin().post("/v4/workspaces", &body).await.expect(201);
        let workspace_id = created.json["id"].as_i64().unwrap();
        PersonClient::new(self.service.clone(), created.json["admin"]["id"].as_i64().unwrap(), workspace_id, &email)
    }

    /// Changes a setting of workspace 1.
    pub async fn set_setting(&self, key: &str, value: impl Into<serde_json::Value>) {
        let setting = serde_json::json!({"key": format!("feature.apiAccessTokens.{key}"), "value": value.into()});
        let body = serde_json::json!({"configuration": [setting]});
        self.admin().patch("/v4/workspaces/current/configuration", &body).await.expect(200);
    }
}
