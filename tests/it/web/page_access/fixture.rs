//! A workspace with a person for each role.

use tokenward::domain::id::{PersonId, WorkspaceId};

use crate::support::{Browser, PASSWORD, TestApp};

/// A workspace with a person for each role, and the objects that paths name.
pub struct PageFixture {
    path_ids: Vec<(&'static str, String)>,
    pub(super) actors: Vec<(&'static str, Browser)>,
    /// The person ID of each role.
    person_ids: Vec<i64>,
    pub target: i64,
}

impl PageFixture {
    pub async fn new(app: &TestApp) -> Self {
        let target = app.add_person("target").await;
        app.admin().update_person(target.id, serde_json::json!({"tokenAccess": "enabled"})).await.expect(200);
        let token = target.create_token().await.token_id;
        let other = app.create_workspace_with_admin("other").await;
        let person = app.add_person("person").await;
        let invited = serde_json::json!({"email": "invited@example.com", "name": "", "invite": true});
        let invited = app.admin().post("/v4/people", &invited).await.expect(201);
        let invite = invited.json["inviteUrl"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let webhook = serde_json::json!({"url": "https://hooks.example.com/tokenward", "events": ["token.leaked"]});
        let webhook =
            app.admin().post("/v4/webhooks", &webhook).await.expect(201).json["id"].as_str().unwrap().to_owned();
        let administrator = app.admin().add_person("administrator", true).await;
        let custodians = serde_json::json!([person.id, administrator.id, 1]);
        let account = serde_json::json!({"kind": "service", "name": "ci", "custodians": custodians});
        let account = app.admin().post("/v4/people", &account).await.expect(201).json["id"].as_i64().unwrap();
        let body = serde_json::json!({"lifetimeSeconds": 3600, "personId": account});
        let account_token = app.admin().create_token_with(body).await.token_id;
        let actors = vec![
            ("anonymous", app.browser()),
            ("person", app.signed_in_browser("person@example.com").await),
            ("administrator", app.signed_in_browser("administrator@example.com").await),
            ("platform administrator", app.signed_in_browser("admin@example.com").await),
        ];
        let path_ids = vec![
            ("{person}", target.id.to_string()),
            ("{token}", token),
            ("{invite}", invite),
            ("{webhook}", webhook),
            ("{account}", account.to_string()),
            ("{accountToken}", account_token),
            ("{workspace}", other.workspace_id.to_string()),
        ];
        Self { path_ids, actors, person_ids: vec![0, person.id, administrator.id, 1], target: target.id }
    }

    /// Returns a path with the IDs of the fixture.
    pub fn path(&self, template: &str) -> String {
        self.path_ids.iter().fold(template.to_owned(), |path, (name, value)| path.replace(name, value))
    }

    /// Creates a token and a second session for a role, and adds both to the IDs of paths.
    pub(super) async fn add_token_and_session(&mut self, app: &TestApp, role: usize) {
        let (id, email) = (self.person_ids[role], ["", "person", "administrator", "admin"][role]);
        if role == 0 {
            return;
        }
        let access = |word: &str| serde_json::json!({"tokenAccess": word});
        app.admin().update_person(id, access("enabled")).await.expect(200);
        let account =
            app.client_with_authorization(&[&crate::support::basic_auth(&format!("{email}@example.com"), PASSWORD)]);
        let created = account.post("/v4/apiAccessTokens", &crate::support::one_hour_token()).await.expect(201);
        app.admin().update_person(id, access("default")).await.expect(200);
        let before = app.store.list_sessions(WorkspaceId::FIRST, PersonId::new(id)).await.unwrap();
        app.signed_in_browser(&format!("{email}@example.com")).await;
        let sessions = app.store.list_sessions(WorkspaceId::FIRST, PersonId::new(id)).await.unwrap();
        let second = sessions.iter().find(|session| before.iter().all(|other| other.id != session.id)).unwrap();
        self.path_ids.push(("{own}", created.json["tokenInfo"]["tokenId"].as_str().unwrap().to_owned()));
        self.path_ids.push(("{session}", second.id.to_string()));
    }
}
