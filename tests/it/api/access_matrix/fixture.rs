//! Two workspaces with the actors of the table and the targets of their requests.

use std::{collections::HashMap, rc::Rc};

use serde_json::{Value, json};
use tokenward::{
    domain::{id::WorkspaceId, random::Random, token_limits::reserved_scope},
    service::people::{ActorKind, CreatePerson},
};
use tokenward_guard::token_format::TokenFormat;

use crate::support::{ApiClient, PASSWORD, PersonClient, TestApp, TokenClient};

/// An ID that no object has.
const UNKNOWN_ID: i64 = 999_999_999;

/// The service with two workspaces.
pub struct MatrixFixture {
    pub app: TestApp,
    /// The administrators of the first and the second workspace.
    workspace_admins: [PersonClient; 2],
    names_used: u32,
    /// Actors and targets that only GET requests have used.
    actors: HashMap<String, Rc<Actor>>,
    targets: HashMap<(String, i64), Rc<Target>>,
}

/// A caller.
pub struct Actor {
    pub client: ApiClient,
    /// The person and token of the actor. An anonymous actor has those of a person that it cannot
    /// authenticate as.
    pub own: Target,
    /// The actor is the custodian of the target `account`.
    is_custodian: bool,
}

/// A person with a workspace and a token: the objects that a path may name.
pub struct Target {
    pub person_id: i64,
    pub workspace_id: i64,
    pub token_id: String,
    pub token_value: String,
    /// A client with the token, unless the target does not exist.
    pub bearer: Option<TokenClient>,
}

impl Target {
    fn from_person(person: &PersonClient, bearer: TokenClient) -> Self {
        let (token_id, token_value) = (bearer.token_id.clone(), bearer.value.clone());
        Self { person_id: person.id, workspace_id: person.workspace_id, token_id, token_value, bearer: Some(bearer) }
    }

    /// Returns a target whose IDs do not exist.
    fn nonexistent() -> Self {
        let token_value = TokenFormat::default().generate(|bytes| Random::system().fill(bytes)).expose().to_owned();
        let token_id = "00000000-0000-7000-8000-000000000000".to_owned();
        Self { person_id: UNKNOWN_ID, workspace_id: UNKNOWN_ID, token_id, token_value, bearer: None }
    }
}

impl MatrixFixture {
    pub async fn new(app: TestApp) -> Self {
        app.set_setting("allowUsers", true).await;
        let other = app.create_workspace_with_admin("chief").await;
        let setting = json!({"key": "feature.apiAccessTokens.allowUsers", "value": true});
        let body = json!({"configuration": [setting]});
        other.patch("/v4/workspaces/current/configuration", &body).await.expect(200);
        Self {
            workspace_admins: [app.admin(), other],
            app,
            names_used: 0,
            actors: HashMap::new(),
            targets: HashMap::new(),
        }
    }

    /// Returns an unused name.
    pub fn next_name(&mut self) -> String {
        self.names_used += 1;
        format!("person{}", self.names_used)
    }

    /// Returns an actor of this kind; a fresh one was never used and never changed.
    pub async fn actor(&mut self, kind: &str, is_fresh: bool) -> Rc<Actor> {
        if is_fresh {
            return Rc::new(self.create_actor(kind).await);
        }
        if !self.actors.contains_key(kind) {
            let actor = Rc::new(self.create_actor(kind).await);
            self.actors.insert(kind.to_owned(), actor);
        }
        Rc::clone(&self.actors[kind])
    }

    async fn create_actor(&mut self, kind: &str) -> Actor {
        let [home, away] = self.workspace_admins.clone();
        let person = match kind {
            "admin" | "no-scope" | "all-scopes" | "outside" => home.add_person(&self.next_name(), true).await,
            "other-admin" => away.add_person(&self.next_name(), true).await,
            "platform" => self.create_platform_admin().await,
            _ => home.add_person(&self.next_name(), false).await,
        };
        if kind == "service" {
            let own = self.create_account(0, home.id).await;
            let client = ApiClient::clone(own.bearer.as_ref().unwrap());
            return Actor { client, own, is_custodian: false };
        }
        let own = Target::from_person(&person, person.create_token().await);
        let bearer = person.create_token_with(token_of(kind)).await;
        match kind {
            "expired" => self.app.advance_seconds(1),
            "deleted" => drop(home.delete(&bearer.token_path()).await.expect(204)),
            "disabled" | "disabled-pw" => {
                drop(home.update_person(person.id, json!({"isDisabled": true})).await.expect(200));
            }
            "barred" | "barred-pw" => {
                home.update_person(person.id, json!({"tokenAccess": "disabled"})).await.expect(200);
            }
            "anonymous" | "person" | "admin" | "other-admin" | "platform" | "custodian" => {}
            "no-scope" | "all-scopes" | "outside" => {}
            other => panic!("unknown kind of actor: {other}"),
        }
        let client = match kind {
            "anonymous" => self.app.anonymous(),
            kind if kind.ends_with("-pw") => ApiClient::clone(&person),
            _ => ApiClient::clone(&bearer),
        };
        Actor { client, own, is_custodian: kind == "custodian" }
    }

    /// Returns a target relative to an actor: of a colleague, of another workspace, or nonexistent.
    pub async fn target(&mut self, whose: &str, actor: &Actor, is_fresh: bool) -> Rc<Target> {
        if is_fresh || (whose == "account" && actor.is_custodian) {
            return Rc::new(self.create_target(whose, actor).await);
        }
        let key = (whose.to_owned(), actor.own.workspace_id);
        if !self.targets.contains_key(&key) {
            let target = Rc::new(self.create_target(whose, actor).await);
            self.targets.insert(key.clone(), target);
        }
        Rc::clone(&self.targets[&key])
    }

    async fn create_target(&mut self, whose: &str, actor: &Actor) -> Target {
        let home = usize::from(actor.own.workspace_id != WorkspaceId::FIRST.get());
        match whose {
            "colleague" => self.create_person_target(home).await,
            "account" => {
                let admin = self.workspace_admins[home].id;
                self.create_account(home, if actor.is_custodian { actor.own.person_id } else { admin }).await
            }
            "platform" => {
                let person = self.create_platform_admin().await;
                let bearer = person.create_token().await;
                Target::from_person(&person, bearer)
            }
            // The first workspace cannot be deleted, and deleting another one deletes its people.
            // So this target has a workspace of its own.
            "other" if home == 0 => {
                let person = {
                    let name = self.next_name();
                    self.app.create_workspace_with_admin(&name).await
                };
                let bearer = person.create_token().await;
                Target::from_person(&person, bearer)
            }
            "other" => self.create_person_target(0).await,
            _ => Target::nonexistent(),
        }
    }

    /// Creates a webhook in the workspace of a target, and deletes the others, which would exceed the
    /// maximum. Returns its ID.
    pub async fn create_webhook(&self, target: &Target) -> String {
        let admin = self.workspace_admins.iter().find(|admin| admin.workspace_id == target.workspace_id);
        let admin: &ApiClient = match (admin, &target.bearer) {
            (Some(admin), _) => admin,
            // The administrator of a workspace of its own.
            (None, Some(bearer)) => bearer,
            (None, None) => return "00000000-0000-7000-8000-000000000000".to_owned(),
        };
        for webhook in admin.get("/v4/webhooks").await.expect(200).rows() {
            admin.delete(&format!("/v4/webhooks/{}", webhook["id"].as_str().unwrap())).await.expect(204);
        }
        let body = json!({"url": "https://hooks.example.com/", "events": ["token.leaked"]});
        admin.post("/v4/webhooks", &body).await.expect(201).json["id"].as_str().unwrap().to_owned()
    }

    /// Creates a trust rule of a target, if it is a service account. Returns its ID.
    pub async fn create_trust_rule(&self, target: &Target) -> String {
        let admin = self.workspace_admins.iter().find(|admin| admin.workspace_id == target.workspace_id);
        let created = match admin {
            Some(admin) => admin.post(&format!("/v4/people/{}/trust", target.person_id), &trust_rule()).await,
            None => return "00000000-0000-7000-8000-000000000000".to_owned(),
        };
        created.json["id"].as_str().unwrap_or("00000000-0000-7000-8000-000000000000").to_owned()
    }

    async fn create_person_target(&mut self, workspace: usize) -> Target {
        let name = self.next_name();
        let person = self.workspace_admins[workspace].add_person(&name, false).await;
        let bearer = person.create_token().await;
        Target::from_person(&person, bearer)
    }

    /// Creates a service account with this custodian and a token.
    async fn create_account(&mut self, workspace: usize, custodian: i64) -> Target {
        let name = self.next_name();
        let admin = &self.workspace_admins[workspace];
        let body = json!({"kind": "service", "name": name, "custodians": [custodian]});
        let person_id = admin.post("/v4/people", &body).await.expect(201).json["id"].as_i64().unwrap();
        let bearer = admin.create_token_with(json!({"lifetimeSeconds": 3_600, "personId": person_id})).await;
        let (token_id, token_value) = (bearer.token_id.clone(), bearer.value.clone());
        Target { person_id, workspace_id: admin.workspace_id, token_id, token_value, bearer: Some(bearer) }
    }

    /// Only the operator can create platform administrators.
    async fn create_platform_admin(&mut self) -> PersonClient {
        let email = format!("{}@example.com", self.next_name());
        let add = CreatePerson {
            email: &email,
            name: "",
            password: PASSWORD,
            is_admin: true,
            is_platform_admin: true,
            force_password_change: false,
        };
        let created = self.app.state.people().add(ActorKind::Operator, WorkspaceId::FIRST, add).await.unwrap();
        PersonClient::new(self.app.service.clone(), created.id.get(), WorkspaceId::FIRST.get(), &email)
    }
}

/// Returns the body that creates a trust rule.
pub fn trust_rule() -> Value {
    json!({
        "issuer": "https://issuer.example.com", "audience": "https://tokens.example.com",
        "conditions": [{"claim": "sub", "value": "job-1"}]
    })
}

/// Returns the body of the request that creates the token of an actor.
fn token_of(kind: &str) -> Value {
    match kind {
        "expired" => json!({"lifetimeSeconds": 1}),
        "no-scope" => json!({"lifetimeSeconds": 3_600, "scopes": []}),
        "all-scopes" => json!({"lifetimeSeconds": 3_600, "scopes": reserved_scope::ALL}),
        // The clients of this table have no address.
        "outside" => json!({"lifetimeSeconds": 3_600, "allowedNetworks": ["10.0.0.0/8"]}),
        _ => json!({"lifetimeSeconds": 3_600}),
    }
}
