//! Sign-in through real directories and `OpenID` providers, the sync, and linked accounts.

mod links;
mod openid;
mod saml;
mod sign_in;
mod sync;
mod throttle;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokenward::{
    config::Config,
    directory::Lookup,
    domain::person::Person,
    service::directory_sync::{SyncMode, SyncResult},
};

use crate::support::{
    ApiClient, Database, Engine, TestApp,
    directory::{DirectorySetup, Flavor, TestDirectory, password_of},
};

/// The service with a directory as its identity provider `company`.
struct DirectoryApp {
    app: TestApp,
    directory: TestDirectory,
}

/// Returns the configuration that most tests use: members of `token-users` may sign in, those of
/// `token-admins` are administrators.
pub fn setup(directory: &TestDirectory) -> DirectorySetup {
    let group = |name| directory.flavor.group_dn(name);
    DirectorySetup::new("company", directory)
        .allow(&group("token-users"), [("workspace", 1.into()), ("token_access", "enabled".into())])
        .allow(&group("token-admins"), [("workspace", 1.into()), ("admin", true.into())])
}

impl DirectoryApp {
    async fn start(engine: Engine, flavor: Flavor) -> Self {
        Self::start_with(engine, flavor, |setup| setup).await
    }

    async fn start_with(engine: Engine, flavor: Flavor, change: impl FnOnce(DirectorySetup) -> DirectorySetup) -> Self {
        let directory = TestDirectory::start(flavor);
        let setup = change(setup(&directory));
        Self::with_setup(engine, directory, &setup).await
    }

    async fn with_setup(engine: Engine, directory: TestDirectory, setup: &DirectorySetup) -> Self {
        let parsed: Config = toml::from_str(&setup.to_toml()).unwrap();
        let app = TestApp::start_with(Database::migrated(engine).await, |config| config.sso = parsed.sso).await;
        Self { app, directory }
    }

    /// Finds a person as the operator.
    async fn find(&self, email: &str) -> Person {
        self.app.state.people().find_by_email(email).await.unwrap()
    }

    /// Links a person to an entry as the operator.
    async fn link(&self, email: &str, login: &str) -> tokenward::service::Result<()> {
        let person = self.find(email).await;
        let provider = self.app.state.directory_syncs().directories().find("company").unwrap();
        let Ok(Lookup::One(entry)) = provider.directory().find_by_login(login).await else { panic!("no {login}") };
        self.app.state.identities().link(&person, "company", &entry).await
    }

    /// Returns a client that sends this name and password.
    fn basic(&self, name: &str, password: &str) -> ApiClient {
        self.app.client_with_authorization(&[&format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))])
    }

    /// Returns a client that sends the login and the right password of a person.
    fn client(&self, login: &str) -> ApiClient {
        self.basic(login, &password_of(login))
    }

    /// Signs a person in and returns a client with a token of the person.
    async fn token_of(&self, login: &str) -> ApiClient {
        let body = serde_json::json!({"lifetimeSeconds": 3_600, "description": login});
        let created = self.client(login).post("/v4/apiAccessTokens", &body).await.expect(201);
        let value = created.json["tokenValue"].as_str().unwrap();
        self.app.client_with_authorization(&[&format!("Bearer {value}")])
    }

    /// Runs a sync as the operator.
    async fn sync(&self, mode: SyncMode) -> SyncResult {
        let syncs = self.app.state.directory_syncs();
        syncs.run(syncs.directories().find("company").unwrap(), mode).await.unwrap()
    }

    /// Returns the actions of the newest events about a person, the newest first.
    async fn actions(&self, email: &str) -> Vec<String> {
        let events = self.app.admin().get("/v4/events?allUsers=true&limit=100").await.expect(200);
        let about = events.rows().iter().filter(|event| event["label"] == email);
        about.map(|event| event["action"].as_str().unwrap().to_owned()).collect()
    }

    /// Returns a person as the administrator sees it.
    async fn person(&self, email: &str) -> serde_json::Value {
        let people = self.app.admin().get(&format!("/v4/people?email={email}")).await.expect(200);
        people.rows().first().cloned().unwrap_or_default()
    }
}
