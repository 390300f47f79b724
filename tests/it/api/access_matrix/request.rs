//! One cell of the table: one request, and what came of it.

use serde_json::{Value, json};

use super::{
    fixture::{Actor, Scene, Thing},
    table::Row,
};
use crate::support::{PASSWORD, Reply, an_hour};

/// Sends what a row says as this actor; gives the status, with a `+` where a token was called active or a list had rows.
///
/// What does more than read is sent by a new actor about new objects.
pub async fn walk(scene: &mut Scene, row: &Row<'_>, kind: &str) -> String {
    let is_fresh = row.method != "GET";
    let actor = scene.actor(kind, is_fresh).await;
    let thing = match row.object() {
        "colleague" | "platform" | "other" | "unknown" => Some(scene.thing(row.object(), &actor, is_fresh).await),
        _ => None,
    };
    let reply = send(scene, row, &actor, thing.as_deref().unwrap_or(&actor.own)).await;
    if let Some(bearer) = thing.as_ref().filter(|_| is_fresh).and_then(|thing| thing.bearer.as_ref()) {
        let is_gone =
            reply.status < 300 && (row.method == "DELETE" || matches!(row.path, "/oauth2/revoke" | "/v4/leaks"));
        assert_eq!(bearer.works().await, !is_gone, "after {row:?} by {kind}: {}", reply.status);
    }
    assert!(reply.status < 300 || reply.text.len() > 2, "{row:?} by {kind}: an error without a body");
    let has_rows = reply.json["data"].as_array().is_some_and(|rows| !rows.is_empty());
    let more = if reply.json["active"] == true || has_rows { "+" } else { "" };
    format!("{}{more}", reply.status)
}

async fn send(scene: &mut Scene, row: &Row<'_>, actor: &Actor, thing: &Thing) -> Reply {
    let path = path(row, thing);
    if let "/oauth2/introspect" | "/oauth2/revoke" = row.path {
        let mut request = actor.client.request(row.method, &path, format!("token={}", thing.value).into());
        request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        return actor.client.send(request).await;
    }
    if row.path == "/v4/leaks" {
        return actor.client.post(&path, &json!({"values": [thing.value]})).await;
    }
    match body(scene, row) {
        Some(body) => actor.client.with_json(row.method, &path, body.to_string()).await,
        None => actor.client.send(actor.client.request(row.method, &path, axum::body::Body::empty())).await,
    }
}

/// The address of a row: its path's parameter, or for a list the people that it is asked about.
fn path(row: &Row<'_>, thing: &Thing) -> String {
    let requirements = match row.object() {
        "own" | "other" => format!("workspace={}", thing.workspace),
        "unknown" => "root".to_owned(),
        word => word.to_owned(),
    };
    let workspace = if row.object() == "current" { "current".to_owned() } else { thing.workspace.to_string() };
    let id = if row.path.starts_with("/v4/workspaces/") { workspace } else { thing.person.to_string() };
    let path = row.path.replace("{tokenId}", &thing.token).replace("{id}", &id);
    let path = path.replace("{requirements}", &requirements);
    match row.about {
        _ if row.path.contains('{') || !matches!(row.method, "GET" | "DELETE") || row.about == "-" => path,
        "everybody" => format!("{path}?allUsers=true"),
        _ => format!("{path}?personId={}", thing.person),
    }
}

/// What is sent by a row that changes something, such that it changes nothing for the rows that follow.
fn body(scene: &mut Scene, row: &Row<'_>) -> Option<Value> {
    let settings = json!([{"key": "feature.apiAccessTokens.allowUsers", "value": true}]);
    let email = format!("{}@example.com", scene.name());
    Some(match (row.method, row.path) {
        ("POST", "/v4/apiAccessTokens") => an_hour(),
        ("POST", "/v4/people") => json!({"email": email, "name": "", "password": PASSWORD}),
        ("PATCH", "/v4/people/{id}") => match row.aspect() {
            "rights" => json!({"tokenAccess": "default"}),
            "password" => json!({"password": "another phrase of words", "password2": "another phrase of words"}),
            _ => json!({"name": "Another"}),
        },
        ("POST", "/v4/workspaces") => {
            json!({"name": "Third", "admin": {"email": email, "name": "", "password": PASSWORD}})
        }
        ("PATCH", "/v4/workspaces/{id}") => json!({"name": "Renamed"}),
        ("PATCH", "/v4/workspaces/{id}/configuration") => json!({"configuration": settings}),
        ("POST", "/v4/workspaces/{id}/delete-configuration") => {
            json!({"settings": ["feature.apiAccessTokens.maxLifetimeDays"]})
        }
        _ => return None,
    })
}
