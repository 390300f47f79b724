//! Two workspaces, and whoever is needed in them: every actor of the table, and people to whom things are done.

use std::{collections::HashMap, rc::Rc};

use serde_json::json;
use tokenward::{
    domain::{random::Random, workspace},
    service::people::{Add, By},
};
use tokenward_guard::token_format::TokenFormat;

use crate::support::{Bearer, Client, PASSWORD, Person, TestApp};

/// An id that nothing has.
const NOBODY: i64 = 999_999_999;

/// The service with two workspaces in it.
pub struct Scene {
    pub app: TestApp,
    /// Who adds people to the first workspace, and to the second.
    chiefs: [Person; 2],
    number: u32,
    /// Those who only read, and what is only read.
    actors: HashMap<String, Rc<Actor>>,
    things: HashMap<(String, i64), Rc<Thing>>,
}

/// Somebody who calls.
pub struct Actor {
    pub client: Client,
    /// What is the actor's; a stranger has nothing, and names what is somebody's.
    pub own: Thing,
}

/// Somebody, with a workspace and a token: whatever a path may name.
pub struct Thing {
    pub person: i64,
    pub workspace: i64,
    pub token: String,
    pub value: String,
    /// Whoever holds the token, where there is one.
    pub bearer: Option<Bearer>,
}

impl Thing {
    fn of(person: &Person, bearer: Bearer) -> Self {
        let (token, value) = (bearer.token_id.clone(), bearer.value.clone());
        Self { person: person.id, workspace: person.workspace_id, token, value, bearer: Some(bearer) }
    }

    /// What is nowhere.
    fn unknown() -> Self {
        let value = TokenFormat::default().generate(|bytes| Random::system().fill(bytes)).expose().to_owned();
        let token = "00000000-0000-7000-8000-000000000000".to_owned();
        Self { person: NOBODY, workspace: NOBODY, token, value, bearer: None }
    }
}

impl Scene {
    pub async fn new(app: TestApp) -> Self {
        app.set("allowUsers", true).await;
        let other = app.other_admin("chief").await;
        let setting = json!({"key": "feature.apiAccessTokens.allowUsers", "value": true});
        let body = json!({"configuration": [setting]});
        other.patch("/v4/workspaces/current/configuration", &body).await.expect(200);
        Self { chiefs: [app.admin(), other], app, number: 0, actors: HashMap::new(), things: HashMap::new() }
    }

    /// A name that nobody has had.
    pub fn name(&mut self) -> String {
        self.number += 1;
        format!("somebody{}", self.number)
    }

    /// An actor of this kind; a fresh one has done nothing and had nothing done to.
    pub async fn actor(&mut self, kind: &str, is_fresh: bool) -> Rc<Actor> {
        if is_fresh {
            return Rc::new(self.new_actor(kind).await);
        }
        if !self.actors.contains_key(kind) {
            let actor = Rc::new(self.new_actor(kind).await);
            self.actors.insert(kind.to_owned(), actor);
        }
        Rc::clone(&self.actors[kind])
    }

    async fn new_actor(&mut self, kind: &str) -> Actor {
        let [home, away] = self.chiefs.clone();
        let person = match kind {
            "admin" => home.add(&self.name(), true).await,
            "other-admin" => away.add(&self.name(), true).await,
            "platform" => self.platform_administrator().await,
            _ => home.add(&self.name(), false).await,
        };
        let own = Thing::of(&person, person.bearer().await);
        let lifetime = if kind == "expired" { 1 } else { 3_600 };
        let bearer = person.bearer_for(json!({"lifetimeSeconds": lifetime})).await;
        match kind {
            "expired" => self.app.advance_seconds(1),
            "deleted" => drop(home.delete(&bearer.path()).await.expect(204)),
            "disabled" | "disabled-pw" => drop(home.change(person.id, json!({"isDisabled": true})).await.expect(200)),
            "barred" | "barred-pw" => {
                home.change(person.id, json!({"tokenAccess": "disabled"})).await.expect(200);
            }
            "anonymous" | "person" | "admin" | "other-admin" | "platform" => {}
            other => panic!("nobody is called {other}"),
        }
        let client = match kind {
            "anonymous" => self.app.anonymous(),
            kind if kind.ends_with("-pw") => Client::clone(&person),
            _ => Client::clone(&bearer),
        };
        Actor { client, own }
    }

    /// What is somebody's, as seen from an actor: of a colleague, of another workspace, or of nobody.
    pub async fn thing(&mut self, whose: &str, actor: &Actor, is_fresh: bool) -> Rc<Thing> {
        if is_fresh {
            return Rc::new(self.new_thing(whose, actor).await);
        }
        let key = (whose.to_owned(), actor.own.workspace);
        if !self.things.contains_key(&key) {
            let thing = Rc::new(self.new_thing(whose, actor).await);
            self.things.insert(key.clone(), thing);
        }
        Rc::clone(&self.things[&key])
    }

    async fn new_thing(&mut self, whose: &str, actor: &Actor) -> Thing {
        let home = usize::from(actor.own.workspace != workspace::FIRST);
        match whose {
            "colleague" => self.somebody(home).await,
            "platform" => {
                let person = self.platform_administrator().await;
                let bearer = person.bearer().await;
                Thing::of(&person, bearer)
            }
            // The first workspace cannot be removed, and any other goes with whoever was in it: one of its own.
            "other" if home == 0 => {
                let person = {
                    let name = self.name();
                    self.app.other_admin(&name).await
                };
                let bearer = person.bearer().await;
                Thing::of(&person, bearer)
            }
            "other" => self.somebody(0).await,
            _ => Thing::unknown(),
        }
    }

    async fn somebody(&mut self, workspace: usize) -> Thing {
        let name = self.name();
        let person = self.chiefs[workspace].add(&name, false).await;
        let bearer = person.bearer().await;
        Thing::of(&person, bearer)
    }

    /// Only whoever runs the service makes these.
    async fn platform_administrator(&mut self) -> Person {
        let email = format!("{}@example.com", self.name());
        let add = Add {
            email: &email,
            name: "",
            password: PASSWORD,
            is_admin: true,
            is_platform_admin: true,
            force_password_change: false,
        };
        let made = self.app.app.people().add(By::Operator, workspace::FIRST, add).await.unwrap();
        Person::new(self.app.service.clone(), made.id, workspace::FIRST, &email)
    }
}
