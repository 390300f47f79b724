//! Service accounts: who creates and changes them, who creates, lists and deletes their tokens, and how
//! they appear to services.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{Engine, PASSWORD, PersonClient, TestApp, TestResponse, TokenClient, both_databases};

const TOKENS: &str = "/v4/apiAccessTokens";

/// A service account with its custodian.
struct Account {
    app: TestApp,
    id: i64,
    custodian: PersonClient,
}

impl Account {
    /// Creates the service account `ci` with the custodian Ada, who is no administrator.
    async fn start(engine: Engine) -> Self {
        let app = TestApp::start(engine).await;
        let custodian = app.add_person("ada").await;
        let id = create(&app.admin(), "ci", &[custodian.id]).await.expect(201).json["id"].as_i64().unwrap();
        Self { app, id, custodian }
    }

    fn path(&self) -> String {
        format!("/v4/people/{}", self.id)
    }

    fn token_body(&self) -> Value {
        json!({"lifetimeSeconds": 3600, "personId": self.id})
    }

    async fn issue(&self, maker: &PersonClient) -> TestResponse {
        maker.post(TOKENS, &self.token_body()).await
    }

    /// Returns a client with a new token of the account.
    async fn token(&self) -> TokenClient {
        TokenClient::from_response(&self.custodian, &self.issue(&self.custodian).await.expect(201))
    }

    async fn update(&self, body: Value) -> TestResponse {
        self.app.admin().update_person(self.id, body).await
    }
}

async fn create(admin: &PersonClient, name: &str, custodians: &[i64]) -> TestResponse {
    admin.post("/v4/people", &json!({"kind": "service", "name": name, "custodians": custodians})).await
}

#[apply(both_databases)]
async fn a_service_account_has_a_name_and_custodians(engine: Engine) {
    let account = Account::start(engine).await;
    let found = account.app.admin().get(&account.path()).await.expect(200).json;
    for (field, value) in [
        ("kind", json!("service")),
        ("name", json!("ci")),
        ("email", Value::Null),
        ("custodians", json!([account.custodian.id])),
        ("isAdmin", json!(false)),
        ("isPlatformAdmin", json!(false)),
        ("isDisabled", json!(false)),
        ("tokenAccess", json!("default")),
        ("state", json!("active")),
        ("workspaceId", json!(1)),
    ] {
        assert_eq!(found[field], value, "{field}");
    }
    let person = account.app.admin().get(&format!("/v4/people/{}", account.custodian.id)).await.expect(200).json;
    assert_eq!((&person["kind"], person.get("custodians")), (&json!("person"), None));
}

#[apply(both_databases)]
async fn administrators_create_service_accounts(engine: Engine) {
    let account = Account::start(engine).await;
    let (admin, ada) = (account.app.admin(), &account.custodian);
    create(ada, "next", &[ada.id]).await.expect_error(403, "AccessControlException");
    create(&admin, "ci", &[ada.id]).await.expect_error(409, "ConflictException");
    let other = account.app.create_workspace_with_admin("eve").await;
    create(&other, "ci", &[other.id]).await.expect_error(409, "ConflictException");
    let valid = json!({"kind": "service", "name": "next", "custodians": [ada.id]});
    for (field, value) in [
        ("name", json!("Next")),
        ("name", json!("")),
        ("name", json!("service:x")),
        ("custodians", json!([])),
        ("custodians", json!([ada.id, ada.id])),
        ("custodians", json!([other.id])),
        ("custodians", json!([account.id])),
        ("custodians", json!([9_999])),
        ("email", json!("next@example.com")),
        ("password", json!(PASSWORD)),
        ("invite", json!(true)),
    ] {
        let mut body = valid.clone();
        body[field] = value;
        let details = admin.post("/v4/people", &body).await.expect_error(400, "ValidationFailed");
        assert!(details.to_lowercase().contains(field), "{details}");
    }
    // The body is strict, and null is no value.
    for (field, value) in
        [("accept", json!(1)), ("kind", Value::Null), ("kind", json!("robot")), ("custodians", Value::Null)]
    {
        let mut body = valid.clone();
        body[field] = value;
        admin.post("/v4/people", &body).await.expect_error(400, "ApiValidationFailed");
    }
    admin.post("/v4/people", &json!({"kind": "service", "name": "next"})).await.expect_error(400, "ValidationFailed");
    // The fields of a service account are not for people, who need an e-mail.
    let mut person = json!({"email": "bob@example.com", "name": "Bob", "password": PASSWORD, "custodians": [1]});
    admin.post("/v4/people", &person).await.expect_error(400, "ValidationFailed");
    person.as_object_mut().unwrap().remove("custodians");
    person["kind"] = json!("person");
    assert_eq!(admin.post("/v4/people", &person).await.expect(201).json["kind"], "person");
    admin
        .post("/v4/people", &json!({"name": "Bob", "password": PASSWORD}))
        .await
        .expect_error(400, "ApiValidationFailed");
    assert_eq!(admin.post("/v4/people", &valid).await.expect(201).json["name"], "next");
}

#[apply(both_databases)]
async fn administrators_change_service_accounts(engine: Engine) {
    let account = Account::start(engine).await;
    let bob = account.app.add_person("bob").await;
    let token = account.token().await;
    for body in [json!({"name": "x"}), json!({"custodians": [bob.id]}), json!({"isDisabled": true})] {
        account.custodian.patch(&account.path(), &body).await.expect_error(403, "AccessControlException");
        token.patch(&account.path(), &body).await.expect_error(403, "AccessControlException");
    }
    for (field, value) in [
        ("email", json!("ci@example.com")),
        ("password", json!(PASSWORD)),
        ("forcePasswordChange", json!(true)),
        ("name", json!("No Name")),
        ("custodians", json!([])),
        ("custodians", json!([account.id])),
    ] {
        let mut body = json!({field: value});
        if field == "password" {
            body["password2"] = json!(PASSWORD);
        }
        account.update(body).await.expect_error(400, "ValidationFailed");
    }
    account.update(json!({"custodians": null})).await.expect_error(400, "ApiValidationFailed");
    account.update(json!({"custodians": [bob.id], "other": 1})).await.expect_error(400, "ApiValidationFailed");
    account.update(json!({"kind": "person"})).await.expect_error(403, "AccessControlException");
    account.app.admin().update_person(bob.id, json!({"custodians": [bob.id]})).await.expect(400);
    account.update(json!({"name": "deploy", "custodians": [bob.id], "isAdmin": true})).await.expect(200);
    let current = token.get("/v4/people/current").await.expect(200).json;
    assert_eq!((&current["name"], &current["custodians"]), (&json!("deploy"), &json!([bob.id])));
    assert_eq!(current["isAdmin"], true);
    account.issue(&account.custodian).await.expect_error(403, "AccessControlException");
    account.app.admin().delete(&account.path()).await.expect(204);
    assert!(!token.is_accepted().await);
}

#[apply(both_databases)]
async fn lists_and_counts_show_people_unless_asked(engine: Engine) {
    let account = Account::start(engine).await;
    let admin = account.app.admin();
    let names = async |query: &str| {
        let list = admin.get(&format!("/v4/people?includeCount=true{query}")).await.expect(200);
        assert_eq!(list.json["count"], list.rows().len());
        list.rows().iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, [1, account.custodian.id]);
    assert_eq!(names("&kind=person").await, [1, account.custodian.id]);
    assert_eq!(names("&kind=service").await, [account.id]);
    assert_eq!(names("&kind=service&isDisabled=true").await, [0; 0]);
    admin.get("/v4/people?kind=robot").await.expect(400);
    assert_eq!(admin.get("/v4/workspaces/current").await.expect(200).json["personCount"], 2);
}

#[apply(both_databases)]
async fn custodians_and_administrators_create_its_tokens(engine: Engine) {
    let account = Account::start(engine).await;
    let (admin, bob) = (account.app.admin(), account.app.add_person("bob").await);
    // Ada may not have tokens of her own: allowUsers is off, and does not concern service accounts.
    account.custodian.post(TOKENS, &json!({"lifetimeSeconds": 60})).await.expect_error(403, "AccessControlException");
    account.issue(&account.custodian).await.expect(201);
    account.issue(&admin).await.expect(201);
    account.issue(&bob).await.expect_error(403, "AccessControlException");
    let other = account.app.create_workspace_with_admin("eve").await;
    account.issue(&other).await.expect_error(404, "DataNotFoundException");
    // No caller creates a token for another person.
    let of_person = |id: i64| json!({"lifetimeSeconds": 60, "personId": id});
    admin.post(TOKENS, &of_person(bob.id)).await.expect_error(403, "AccessControlException");
    bob.post(TOKENS, &of_person(1)).await.expect_error(403, "AccessControlException");
    admin.post(TOKENS, &of_person(9_999)).await.expect_error(404, "DataNotFoundException");
    admin.post(TOKENS, &of_person(1)).await.expect(201);
    for body in [
        json!({"lifetimeSeconds": 60, "personId": null}),
        json!({"lifetimeSeconds": 60, "personId": "7"}),
        json!({"lifetimeSeconds": 60, "personId": account.id, "name": "x"}),
    ] {
        admin.post(TOKENS, &body).await.expect_error(400, "ApiValidationFailed");
    }
    account.app.admin().update_person(account.custodian.id, json!({"tokenAccess": "disabled"})).await.expect(200);
    account.issue(&account.custodian).await.expect_error(403, "AccessControlException");
    account.update(json!({"tokenAccess": "disabled"})).await.expect(200);
    account.issue(&admin).await.expect_error(403, "AccessControlException");
    account.update(json!({"tokenAccess": "default", "isDisabled": true})).await.expect(200);
    account.issue(&admin).await.expect_error(409, "ConflictException");
}

#[apply(both_databases)]
async fn only_administrators_create_tokens_of_an_administrator(engine: Engine) {
    let account = Account::start(engine).await;
    let token = account.token().await;
    account.update(json!({"isAdmin": true})).await.expect(200);
    account.issue(&account.custodian).await.expect_error(403, "AccessControlException");
    let admin = TokenClient::from_response(&token, &account.issue(&account.app.admin()).await.expect(201));
    admin.get("/v4/people").await.expect(200);
    admin.get("/v4/workspaces").await.expect_error(403, "AccessControlException");
    // The custodian still lists and deletes them.
    account.custodian.get(&admin.token_path()).await.expect(200);
    account.custodian.delete(&admin.token_path()).await.expect(204);
    // It is no administrator on whom the workspace can rely.
    account.app.admin().update_person(1, json!({"isAdmin": false})).await.expect_error(409, "ConflictException");
    account.app.admin().update_person(1, json!({"isDisabled": true})).await.expect_error(409, "ConflictException");
}

#[apply(both_databases)]
async fn the_rules_of_the_workspace_hold_for_its_tokens(engine: Engine) {
    let account = Account::start(engine).await;
    account.app.set_setting("maxLifetimeDays", 1).await;
    let mut body = account.token_body();
    body["lifetimeSeconds"] = json!(86_401);
    account.custodian.post(TOKENS, &body).await.expect_error(400, "ValidationFailed");
    let setting = json!({"configuration": [{"key": "tokenward.requireScopes", "value": true}]});
    account.app.admin().patch("/v4/workspaces/current/configuration", &setting).await.expect(200);
    account.issue(&account.custodian).await.expect_error(400, "ValidationFailed");
    body["lifetimeSeconds"] = json!(86_400);
    body["scopes"] = json!(["deploy"]);
    account.custodian.post(TOKENS, &body).await.expect(201);
}

#[apply(both_databases)]
async fn custodians_list_read_and_delete_its_tokens(engine: Engine) {
    let account = Account::start(engine).await;
    let (admin, ada, bob) = (account.app.admin(), &account.custodian, account.app.add_person("bob").await);
    let (first, second) = (account.token().await, account.token().await);
    let of_admin = admin.create_token().await;
    let path = format!("{TOKENS}?personId={}", account.id);
    for client in [&admin, ada] {
        let list = client.get(&path).await.expect(200);
        assert_eq!(list.rows().len(), 2);
        assert_eq!((&list.rows()[0]["personId"], &list.rows()[0]["email"]), (&json!(account.id), &Value::Null));
        client.get(&first.token_path()).await.expect(200);
    }
    bob.get(&path).await.expect_error(403, "AccessControlException");
    bob.get(&first.token_path()).await.expect_error(404, "DataNotFoundException");
    bob.delete(&first.token_path()).await.expect_error(404, "DataNotFoundException");
    bob.delete(&path).await.expect_error(403, "AccessControlException");
    ada.get(&of_admin.token_path()).await.expect_error(404, "DataNotFoundException");
    ada.get(&format!("{TOKENS}?allUsers=true")).await.expect_error(403, "AccessControlException");
    assert_eq!(ada.get(TOKENS).await.expect(200).rows().len(), 0);
    ada.delete(&first.token_path()).await.expect(204);
    assert!(!first.is_accepted().await && second.is_accepted().await);
    let bulk = |dry_run: bool| json!({"personId": account.id, "all": true, "dryRun": dry_run});
    let bulk_path = format!("{TOKENS}/delete");
    bob.post(&bulk_path, &bulk(false)).await.expect_error(403, "AccessControlException");
    assert_eq!(ada.post(&bulk_path, &bulk(true)).await.expect(200).json["matched"], 1);
    assert_eq!(ada.post(&bulk_path, &bulk(false)).await.expect(200).json["deleted"], 1);
    let third = account.token().await;
    ada.delete(&path).await.expect(204);
    assert!(!third.is_accepted().await && of_admin.is_accepted().await);
    // A former custodian has no access.
    let last = account.token().await;
    account.update(json!({"custodians": [bob.id]})).await.expect(200);
    ada.get(&path).await.expect_error(403, "AccessControlException");
    ada.delete(&last.token_path()).await.expect_error(404, "DataNotFoundException");
    bob.delete(&last.token_path()).await.expect(204);
}

#[apply(both_databases)]
async fn tokens_are_filtered_by_the_kind_of_their_owner(engine: Engine) {
    let account = Account::start(engine).await;
    let admin = account.app.admin();
    let (of_account, of_admin) = (account.token().await, admin.create_token().await);
    let ids = async |kind: &str| {
        let list = admin.get(&format!("{TOKENS}?allUsers=true&includeCount=true&kind={kind}")).await.expect(200);
        assert_eq!(list.json["count"], 1);
        list.rows()[0]["tokenId"].as_str().unwrap().to_owned()
    };
    assert_eq!((ids("service").await, ids("person").await), (of_account.token_id.clone(), of_admin.token_id.clone()));
    admin.get(&format!("{TOKENS}?allUsers=true&kind=robot")).await.expect(400);
    assert_eq!(admin.get(&format!("{TOKENS}?kind=service")).await.expect(200).rows().len(), 0);
    let mut request = admin.request("GET", &format!("{TOKENS}?allUsers=true&kind=service"), axum::body::Body::empty());
    request.headers_mut().insert("accept", "text/csv".parse().unwrap());
    let csv = admin.send(request).await.expect(200).text;
    assert!(csv.lines().count() == 2 && csv.contains(&of_account.token_id), "{csv}");
    let body = json!({"allUsers": true, "kind": "service", "dryRun": false});
    assert_eq!(admin.post(&format!("{TOKENS}/delete"), &body).await.expect(200).json["deleted"], 1);
    assert!(!of_account.is_accepted().await && of_admin.is_accepted().await);
}

#[apply(both_databases)]
async fn services_see_the_name_of_the_account(engine: Engine) {
    let account = Account::start(engine).await;
    let token = account.token().await;
    let check = token.get("/v4/auth").await.expect(200);
    for (name, value) in [
        ("remote-user", "service:ci"),
        ("remote-email", "service:ci"),
        ("remote-name", "ci"),
        ("remote-groups", "service"),
    ] {
        assert_eq!(check.headers[name], value, "{name}");
    }
    assert_eq!((&check.json["email"], &check.json["name"]), (&Value::Null, &json!("ci")));
    token.get("/v4/auth/admin").await.expect(403);
    let admin = account.app.admin().create_token().await;
    let introspect = async || {
        let mut request =
            admin.request("POST", "/oauth2/introspect", axum::body::Body::from(format!("token={}", token.value)));
        let form = "application/x-www-form-urlencoded".parse().unwrap();
        request.headers_mut().insert("content-type", form);
        admin.send(request).await.expect(200).json
    };
    let found = introspect().await;
    assert_eq!((&found["username"], &found["tokenward_name"]), (&json!("service:ci"), &json!("ci")));
    assert_eq!((&found["sub"], &found["tokenward_is_admin"]), (&json!(account.id.to_string()), &json!(false)));
    account.update(json!({"isAdmin": true})).await.expect(200);
    assert_eq!(introspect().await["tokenward_is_admin"], true);
    let check = token.get("/v4/auth/admin").await.expect(200);
    assert_eq!(check.headers["remote-groups"], "service");
}

#[apply(both_databases)]
async fn a_service_account_does_not_sign_in(engine: Engine) {
    let account = Account::start(engine).await;
    for name in ["service:ci", "ci"] {
        let basic = crate::support::basic_auth(name, PASSWORD);
        account.app.client_with_authorization(&[&basic]).get("/v4/people/current").await.expect(401);
        assert_ne!(account.app.browser().sign_in(name, PASSWORD).await.status, 303, "{name}");
    }
    let invite = format!("{}/invite", account.path());
    account.app.admin().post(&invite, &json!({})).await.expect_error(400, "ValidationFailed");
    // A disabled account's tokens do not authenticate until it is enabled.
    let token = account.token().await;
    account.update(json!({"isDisabled": true})).await.expect(200);
    assert!(!token.is_accepted().await);
    account.update(json!({"isDisabled": false})).await.expect(200);
    assert!(token.is_accepted().await);
}

#[apply(both_databases)]
async fn an_account_works_on_without_custodian(engine: Engine) {
    let account = Account::start(engine).await;
    let (admin, token) = (account.app.admin(), account.token().await);
    admin.update_person(account.custodian.id, json!({"isDisabled": true})).await.expect(200);
    assert!(token.is_accepted().await);
    let events = admin.get("/v4/events?allUsers=true&action=service_account.unowned").await.expect(200);
    assert_eq!(events.rows().len(), 1);
    assert_eq!((&events.rows()[0]["label"], &events.rows()[0]["personId"]), (&json!("service:ci"), &json!(account.id)));
    account.issue(&admin).await.expect(201);
    admin.delete(&format!("/v4/people/{}", account.custodian.id)).await.expect(204);
    assert_eq!(admin.get(&account.path()).await.expect(200).json["custodians"], json!([]));
    assert!(token.is_accepted().await);
}

#[apply(both_databases)]
async fn scoped_tokens_keep_their_limits(engine: Engine) {
    let account = Account::start(engine).await;
    let admin = account.app.admin();
    let scopes = json!(["tokenward:people:write", "tokenward:tokens:write", "tokenward:tokens:read"]);
    let scoped = admin.create_token_with(json!({"lifetimeSeconds": 3600, "scopes": scopes})).await;
    // A token with scopes never sets custodians.
    let body = json!({"kind": "service", "name": "next", "custodians": [1]});
    scoped.post("/v4/people", &body).await.expect_error(403, "AccessControlException");
    scoped.patch(&account.path(), &json!({"custodians": [1]})).await.expect_error(403, "AccessControlException");
    // Nor the name of an account, which is its identity. Other accounts could take a name that is given up.
    let details =
        scoped.patch(&account.path(), &json!({"name": "x"})).await.expect_error(403, "AccessControlException");
    assert!(details.contains("name") && details.contains("full access"), "{details}");
    scoped.patch(&account.path(), &json!({"tokenAccess": "enabled"})).await.expect(200);
    let person = format!("/v4/people/{}", account.custodian.id);
    scoped.patch(&person, &json!({"name": "Ada L."})).await.expect(200);
    // A token of the account has the limits of the token that created it.
    let created = scoped.post(TOKENS, &account.token_body()).await.expect(201);
    assert_eq!(created.json["tokenInfo"]["scopes"].as_array().unwrap().len(), 3);
    let mut body = account.token_body();
    body["scopes"] = json!(["another"]);
    scoped.post(TOKENS, &body).await.expect_error(400, "ValidationFailed");
}

#[apply(both_databases)]
async fn the_event_of_a_new_name_has_the_previous_one(engine: Engine) {
    let account = Account::start(engine).await;
    for body in [json!({"name": "deploy"}), json!({"name": "deploy", "tokenAccess": "enabled"})] {
        account.update(body).await.expect(200);
    }
    let events = account.app.admin().get("/v4/events?allUsers=true&action=person.changed").await.expect(200);
    let recorded: Vec<_> = events.rows().iter().map(|event| (&event["label"], &event["details"])).collect();
    let (same, renamed) =
        (json!({"name": "deploy", "tokenAccess": "enabled"}), json!({"name": "deploy", "previousName": "ci"}));
    assert_eq!(recorded, [(&json!("service:deploy"), &same), (&json!("service:deploy"), &renamed)]);
}

#[apply(both_databases)]
async fn child_tokens_follow_the_rule_of_the_workspace(engine: Engine) {
    let account = Account::start(engine).await;
    let token = account.token().await;
    let own = json!({"lifetimeSeconds": 60});
    let child = TokenClient::from_response(&token, &token.post(TOKENS, &own).await.expect(201));
    assert_eq!(child.get("/v4/people/current").await.expect(200).json["id"], account.id);
    token.post(TOKENS, &account.token_body()).await.expect(201);
    let other = create(&account.app.admin(), "other", &[account.custodian.id]).await.expect(201).json["id"].clone();
    let body = json!({"lifetimeSeconds": 60, "personId": other});
    token.post(TOKENS, &body).await.expect_error(403, "AccessControlException");
    let of_custodian = account.app.admin().create_token().await;
    let parent =
        TokenClient::from_response(&token, &of_custodian.post(TOKENS, &account.token_body()).await.expect(201));
    let setting = json!({"configuration": [{"key": "tokenward.childTokens", "value": "forbidden"}]});
    account.app.admin().patch("/v4/workspaces/current/configuration", &setting).await.expect(200);
    token.post(TOKENS, &own).await.expect_error(403, "AccessControlException");
    of_custodian.post(TOKENS, &account.token_body()).await.expect_error(403, "AccessControlException");
    // Tokens that a leaked token created for the account are deleted with it.
    assert!(parent.is_accepted().await);
    account.app.admin().delete(&format!("{}?descendants=true", of_custodian.token_path())).await.expect(204);
    assert!(!parent.is_accepted().await && token.is_accepted().await);
}

#[apply(both_databases)]
async fn a_token_is_replaced_by_one_of_the_same_account(engine: Engine) {
    let account = Account::start(engine).await;
    let token = account.token().await;
    let mut body = json!({"replaces": token.token_id, "graceSeconds": 0});
    account.app.admin().post(TOKENS, &body).await.expect_error(404, "DataNotFoundException");
    body["personId"] = json!(account.id);
    let replaced = account.custodian.post(TOKENS, &body).await.expect(201);
    assert!(!token.is_accepted().await);
    assert!(TokenClient::from_response(&token, &replaced).is_accepted().await);
}

#[apply(both_databases)]
async fn a_repeated_request_covers_the_owner(engine: Engine) {
    let account = Account::start(engine).await;
    let admin = account.app.admin();
    let send = async |body: Value| {
        let mut request = admin.request("POST", TOKENS, body.to_string().into());
        request.headers_mut().insert("idempotency-key", "0123456789abcdef".parse().unwrap());
        admin.send(request).await
    };
    let first = send(account.token_body()).await.expect(201);
    assert_eq!(send(account.token_body()).await.expect(201).json, first.json);
    send(json!({"lifetimeSeconds": 3600})).await.expect_error(400, "ValidationFailed");
}
