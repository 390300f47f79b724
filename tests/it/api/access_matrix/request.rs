//! Runs one cell of the table: sends one request and returns its status.

use serde_json::{Value, json};

use super::{
    fixture::{Actor, MatrixFixture, Target, trust_rule},
    table::Row,
};
use crate::support::{PASSWORD, TestResponse, one_hour_token};

/// Sends the request of a row as this actor. Returns the status, with a `+` if a token is active or
/// a list has rows.
///
/// Every modifying request has a new actor and a new target.
pub async fn run_cell(fixture: &mut MatrixFixture, row: &Row<'_>, kind: &str) -> String {
    let is_write = row.method != "GET";
    // Failed logins of one account are throttled, so every row has a new `disabled-pw` actor.
    let actor = fixture.actor(kind, is_write || kind == "disabled-pw").await;
    let target = match row.object() {
        "colleague" | "platform" | "account" | "other" | "unknown" => {
            Some(fixture.target(row.object(), &actor, is_write).await)
        }
        _ => None,
    };
    let response = send_request(fixture, row, &actor, target.as_deref().unwrap_or(&actor.own)).await;
    let deletes_matching = row.path == "/v4/apiAccessTokens/delete";
    if let Some(bearer) = target.as_ref().filter(|_| is_write).and_then(|target| target.bearer.as_ref()) {
        let is_deletion = row.method == "DELETE" && !row.path.ends_with("/{ruleId}");
        let is_deleted = response.status < 300 && (is_deletion || matches!(row.path, "/oauth2/revoke" | "/v4/leaks"));
        let is_deleted = is_deleted || (deletes_matching && response.json["deleted"].as_u64().is_some_and(|n| n > 0));
        assert_eq!(bearer.is_accepted().await, !is_deleted, "after {row:?} by {kind}: {}", response.status);
    }
    assert!(response.status < 300 || response.text.len() > 2, "{row:?} by {kind}: an error without a body");
    let has_rows = response.json["data"].as_array().is_some_and(|rows| !rows.is_empty());
    let more = if response.json["active"] == true || has_rows { "+" } else { "" };
    format!("{}{more}", response.status)
}

async fn send_request(fixture: &mut MatrixFixture, row: &Row<'_>, actor: &Actor, target: &Target) -> TestResponse {
    let mut path = request_path(row, target);
    if row.path.starts_with("/v4/webhooks/{id}") {
        path = row.path.replace("{id}", &fixture.create_webhook(target).await);
    }
    if row.path.starts_with("/oauth2/") {
        // The credential of the actor changes nothing at the token endpoint: the value is no device code.
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let form = format!("token={value}&device_code={value}&grant_type={grant}", value = target.token_value);
        let mut request = actor.client.request(row.method, &path, form.into());
        request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        return actor.client.send(request).await;
    }
    if row.path == "/oauth2/token" {
        let mut request = actor.client.request(row.method, &path, "grant_type=password".into());
        request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        return actor.client.send(request).await;
    }
    if row.path.ends_with("/{ruleId}") {
        path = path.replace("{ruleId}", &fixture.create_trust_rule(target).await);
    }
    let account = json!({"kind": "service", "name": fixture.next_name(), "custodians": [actor.own.person_id]});
    match (row.method, row.path, row.object(), row.aspect()) {
        ("POST", "/v4/people", _, "service") => return actor.client.post(&path, &account).await,
        ("PATCH", "/v4/people/{id}", "account", "") => {
            return actor.client.patch(&path, &json!({"name": fixture.next_name()})).await;
        }
        ("PATCH", _, _, "custodians") => {
            return actor.client.patch(&path, &json!({"custodians": [actor.own.person_id]})).await;
        }
        ("POST", "/v4/apiAccessTokens", "account" | "colleague", _) => {
            return actor.client.post(&path, &json!({"lifetimeSeconds": 60, "personId": target.person_id})).await;
        }
        _ => {}
    }
    if row.path == "/v4/auth/batch" {
        return actor.client.post(&path, &json!({"tokens": [target.token_value]})).await;
    }
    if row.path == "/v4/leaks" {
        return actor.client.post(&path, &json!({"values": [target.token_value]})).await;
    }
    if row.path == "/v4/apiAccessTokens/delete" {
        // A deletion in the whole workspace would delete the tokens of other actors.
        let body = match row.object() {
            "-" => json!({"all": true, "dryRun": false}),
            "all-users" => json!({"all": true, "allUsers": true, "dryRun": true}),
            _ => json!({"all": true, "personId": target.person_id, "dryRun": false}),
        };
        return actor.client.post(&path, &body).await;
    }
    match request_body(fixture, row) {
        Some(body) => actor.client.send_json(row.method, &path, body.to_string()).await,
        None => actor.client.send(actor.client.request(row.method, &path, axum::body::Body::empty())).await,
    }
}

/// Returns the path of a row with its parameter, or a list path with the query that selects the
/// target.
fn request_path(row: &Row<'_>, target: &Target) -> String {
    let requirements = match row.object() {
        "own" | "other" => format!("workspace={}", target.workspace_id),
        "unknown" => "root".to_owned(),
        word => word.to_owned(),
    };
    let workspace = if row.object() == "current" { "current".to_owned() } else { target.workspace_id.to_string() };
    let id = if row.path.starts_with("/v4/workspaces/") { workspace } else { target.person_id.to_string() };
    let path = row.path.replace("{tokenId}", &target.token_id).replace("{id}", &id);
    let path = path.replace("{requirements}", &requirements);
    match row.target {
        _ if row.path.ends_with("/preview") => format!("{path}?key=tokenward.requireScopes&value=true"),
        "-:service" if row.method == "GET" => format!("{path}?kind=service"),
        _ if row.path.contains('{') || !matches!(row.method, "GET" | "DELETE") || row.target == "-" => path,
        "all-users" => format!("{path}?allUsers=true"),
        _ => format!("{path}?personId={}", target.person_id),
    }
}

/// Returns the body of a modifying request. The bodies do not change anything that other rows
/// depend on.
fn request_body(fixture: &mut MatrixFixture, row: &Row<'_>) -> Option<Value> {
    let settings = json!([{"key": "feature.apiAccessTokens.allowUsers", "value": true}]);
    let email = format!("{}@example.com", fixture.next_name());
    Some(match (row.method, row.path) {
        ("POST", "/v4/apiAccessTokens") => one_hour_token(),
        ("POST", "/v4/people") => json!({"email": email, "name": "", "password": PASSWORD}),
        ("PATCH", "/v4/people/{id}") => match row.aspect() {
            "rights" => json!({"tokenAccess": "default"}),
            "password" => json!({"password": "another phrase of words", "password2": "another phrase of words"}),
            _ => json!({"name": "Another"}),
        },
        ("POST", "/v4/workspaces") => {
            json!({"name": "Third", "admin": {"email": email, "name": "", "password": PASSWORD}})
        }
        ("POST", "/v4/webhooks") => json!({"url": "https://hooks.example.com/", "events": ["token.leaked"]}),
        ("POST", "/v4/people/{id}/trust") => trust_rule(),
        ("PATCH", "/v4/webhooks/{id}") => json!({"isEnabled": true}),
        ("PATCH", "/v4/workspaces/{id}") => json!({"name": "Renamed"}),
        ("PATCH", "/v4/workspaces/{id}/configuration") => json!({"configuration": settings}),
        ("POST", "/v4/workspaces/{id}/delete-configuration") => {
            json!({"settings": ["feature.apiAccessTokens.maxLifetimeDays"]})
        }
        _ => return None,
    })
}
