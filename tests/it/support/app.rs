//! The service under test: the very one that the program runs, without a port and with a clock that tests move.

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
        root::Service,
        server::{self},
    },
    service::bootstrap::{FirstAdministrator, set_up},
    store::Store,
};

use tokio::sync::watch;

use super::{Client, Database, Engine, PASSWORD, Person, Visitor};

/// The service on a database of its own, set up as at a first start.
pub struct TestApp {
    pub app: App,
    pub store: Store,
    pub service: Service,
    pub database: Database,
    now: Arc<AtomicI64>,
    /// Dropped, it ends the task that hears the other nodes.
    _stop: watch::Sender<()>,
}

/// A configuration for tests: cheap passwords, an own database.
pub fn config(url: &str) -> Config {
    let mut config: Config = toml::from_str(&format!("database.url = {url:?}")).unwrap();
    config.passwords.memory_kib = 64;
    config.passwords.iterations = 1;
    config.passwords.queue = 10_000;
    // Tests make tokens as fast as they can; what is limited is tested where it is limited.
    config.limits.created_tokens_per_minute = 0;
    config.database.max_connections = 4;
    config
}

impl TestApp {
    pub async fn start(engine: Engine) -> Self {
        Self::with(Database::migrated(engine).await, |_| ()).await
    }

    /// Starts with a configuration of the test's own.
    pub async fn with(database: Database, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config(&database.url);
        change(&mut config);
        let store = server::open_store(&config, true).await.unwrap();
        // 2026-01-01T00:00:00.000Z
        let now = Arc::new(AtomicI64::new(1_767_225_600_000));
        let told = Arc::clone(&now);
        let clock = Clock::from_fn(move || Timestamp::from_millis(told.load(Ordering::SeqCst)));
        let random = Random::system();
        let app = App::new(store.clone(), clock.clone(), random.clone(), &config).unwrap();
        let (stop, stopped) = watch::channel(());
        tokio::spawn(app.live().clone().run(stopped));
        app.live().is_hearing().await;
        let first =
            FirstAdministrator { email: "admin@example.com".into(), password: Some(PASSWORD.to_owned().into()) };
        set_up(&store, app.people(), &clock, &random, first).await.unwrap();
        Self { service: server::service(&app, &config), app, store, database, now, _stop: stop }
    }

    /// Runs a statement of the test's own while the service is stopped, and starts it again, with its clock as at the beginning.
    pub async fn restarted_after(self, statement: &str) -> Self {
        self.store.close().await;
        self.database.run(statement).await;
        Self::with(self.database, |_| ()).await
    }

    /// Does something to the database behind the service's back. The services of this app have lost their store then; `store` is
    /// opened anew.
    pub async fn tamper(&mut self, statement: &str) {
        self.store.close().await;
        self.database.run(statement).await;
        self.store = server::open_store(&config(&self.database.url), true).await.unwrap();
    }

    /// The one text that a statement answers; the same holds.
    pub async fn look(&mut self, statement: &str) -> Option<String> {
        self.store.close().await;
        let text = self.database.ask(statement).await;
        self.store = server::open_store(&config(&self.database.url), true).await.unwrap();
        text
    }

    /// Moves the clock.
    pub fn advance_millis(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
    }

    pub fn advance_seconds(&self, seconds: i64) {
        self.advance_millis(seconds * 1_000);
    }

    /// Somebody without a credential.
    pub fn anonymous(&self) -> Client {
        Client::new(self.service.clone(), Vec::new())
    }

    /// Somebody with a browser, not signed in.
    pub fn visitor(&self) -> Visitor {
        Visitor::new(self.service.clone())
    }

    /// Somebody signed in to the pages.
    pub async fn signed_in(&self, email: &str) -> Visitor {
        let visitor = self.visitor();
        visitor.sign_in(email, PASSWORD).await.expect(303);
        visitor
    }

    /// Somebody with these `Authorization` fields.
    pub fn presenting(&self, authorization: &[&str]) -> Client {
        Client::new(self.service.clone(), authorization.iter().map(|&field| field.into()).collect())
    }

    /// The first administrator, who is also platform administrator.
    pub fn admin(&self) -> Person {
        Person::new(self.service.clone(), 1, 1, "admin@example.com")
    }

    /// An ordinary person of workspace 1.
    pub async fn person(&self, name: &str) -> Person {
        self.admin().add(name, false).await
    }

    /// A second workspace's administrator.
    pub async fn other_admin(&self, name: &str) -> Person {
        let email = format!("{name}@other.example");
        let body = serde_json::json!({"name": "Other", "admin": {"email": email, "name": name, "password": PASSWORD}});
        let made = self.admin().post("/v4/workspaces", &body).await.expect(201);
        let workspace_id = made.json["id"].as_i64().unwrap();
        Person::new(self.service.clone(), made.json["admin"]["id"].as_i64().unwrap(), workspace_id, &email)
    }

    /// Sets a setting of workspace 1.
    pub async fn set(&self, key: &str, value: impl Into<serde_json::Value>) {
        let setting = serde_json::json!({"key": format!("feature.apiAccessTokens.{key}"), "value": value.into()});
        let body = serde_json::json!({"configuration": [setting]});
        self.admin().patch("/v4/workspaces/current/configuration", &body).await.expect(200);
    }
}
