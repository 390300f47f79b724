//! The acts that take a right away, and what must be there before.

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::tracked_grant::Right;
use crate::support::PASSWORD;

/// What takes a right away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    DeleteToken,
    /// `POST /oauth2/revoke`
    RevokeToken,
    DisablePerson,
    DisableAccess,
    /// Takes the right of an administrator, not the token.
    Demote,
    DeletePerson,
    /// `feature.apiAccessTokens.enabled` of the workspace
    SwitchOff,
    DeleteWorkspace,
}

/// What became of an act that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// 404, as is right if it had been sent before and failed only in appearance.
    Gone,
    /// 503 or no answer: nothing is promised.
    Failed,
    /// Whoever sent it was refused.
    Disowned,
}

impl Act {
    /// Every act there is.
    pub const TURNS: [Self; 8] = [
        Self::DeleteToken,
        Self::DisablePerson,
        Self::Demote,
        Self::RevokeToken,
        Self::SwitchOff,
        Self::DeletePerson,
        Self::DisableAccess,
        Self::DeleteWorkspace,
    ];

    /// The act that comes in turn. Every other is the deletion of a token, which is the most frequent by far.
    pub fn of_turn(turn: usize) -> Self {
        if turn.is_multiple_of(2) { Self::DeleteToken } else { Self::TURNS[turn / 2 % Self::TURNS.len()] }
    }
}

/// The administrator, at one node.
pub struct Admin<'a> {
    pub http: &'a Client,
    pub url: String,
    pub token: &'a str,
}

impl Admin<'_> {
    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = method.parse().unwrap();
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(self.token)
    }

    /// Allows everybody in workspace 1 to have tokens.
    pub async fn allow_users(&self) {
        let path = "/v4/workspaces/current/configuration";
        let sent = self.request("PATCH", path).json(&setting("allowUsers", true)).send().await.unwrap();
        assert_eq!(sent.status(), 200);
    }

    /// Makes a token and, where the act is done to more than that, a person or a workspace of its own.
    pub async fn prepare(&self, act: Option<Act>, name: &str) -> Result<Right, Outcome> {
        let email = format!("{name}@example.com");
        let person = json!({"email": email, "name": name, "password": PASSWORD, "isAdmin": act == Some(Act::Demote)});
        match act {
            None | Some(Act::DeleteToken | Act::RevokeToken) => {
                let issue = self.request("POST", "/v4/apiAccessTokens");
                let (token, token_id) = issue_token(issue).await?;
                Ok(Right::new(token, act, format!("/v4/apiAccessTokens/{token_id}"), email))
            }
            Some(Act::SwitchOff | Act::DeleteWorkspace) => {
                let workspace = json!({"name": name, "admin": person});
                let made = created(self.request("POST", "/v4/workspaces").json(&workspace)).await?;
                let (token, _) = self.sign_in_for_token(&email).await?;
                Ok(Right::new(token, act, format!("/v4/workspaces/{}", made["id"]), email))
            }
            Some(Act::DisablePerson | Act::DisableAccess | Act::Demote | Act::DeletePerson) => {
                let made = created(self.request("POST", "/v4/people").json(&person)).await?;
                let (token, _) = self.sign_in_for_token(&email).await?;
                Ok(Right::new(token, act, format!("/v4/people/{}", made["id"]), email))
            }
        }
    }

    async fn sign_in_for_token(&self, email: &str) -> Result<(String, String), Outcome> {
        let issue = self.http.post(format!("{}/v4/apiAccessTokens", self.url));
        issue_token(issue.basic_auth(email, Some(PASSWORD))).await
    }

    /// Takes a right away.
    pub async fn act(&self, act: Act, right: &Right) -> Outcome {
        let change = |body: Value| self.request("PATCH", &right.path).json(&body);
        let sent = match act {
            Act::DeleteToken | Act::DeletePerson | Act::DeleteWorkspace => self.request("DELETE", &right.path),
            Act::DisablePerson => change(json!({"isDisabled": true})),
            Act::DisableAccess => change(json!({"tokenAccess": "disabled"})),
            Act::Demote => change(json!({"isAdmin": false})),
            Act::RevokeToken => {
                let form = self.http.post(format!("{}/oauth2/revoke", self.url));
                let form = form.header("content-type", "application/x-www-form-urlencoded");
                form.body(format!("token={}", right.token))
            }
            // A workspace's own administrator decides, by password: tokens are what is switched off.
            Act::SwitchOff => {
                let path = format!("{}{}/configuration", self.url, right.path);
                let patch = self.http.patch(path).basic_auth(&right.email, Some(PASSWORD));
                patch.json(&setting("enabled", false))
            }
        };
        match sent.send().await.map(|reply| reply.status().as_u16()) {
            Ok(200 | 204) => Outcome::Done,
            Ok(404) => Outcome::Gone,
            Ok(503) | Err(_) => Outcome::Failed,
            Ok(401) => Outcome::Disowned,
            Ok(status) => panic!("{act:?} was answered {status}"),
        }
    }
}

fn setting(key: &str, value: bool) -> Value {
    json!({"configuration": [{"key": format!("feature.apiAccessTokens.{key}"), "value": value}]})
}

/// The value and the id of a new token.
async fn issue_token(request: RequestBuilder) -> Result<(String, String), Outcome> {
    let made = created(request.json(&json!({"lifetimeSeconds": -1}))).await?;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Ok((text(&made["tokenValue"]), text(&made["tokenInfo"]["tokenId"])))
}

/// What was made.
async fn created(request: RequestBuilder) -> Result<Value, Outcome> {
    let reply = request.send().await.map_err(|_| Outcome::Failed)?;
    match reply.status().as_u16() {
        201 => reply.json().await.map_err(|_| Outcome::Failed),
        401 => Err(Outcome::Disowned),
        503 => Err(Outcome::Failed),
        status => panic!("{status} instead of 201: {}", reply.text().await.unwrap_or_default()),
    }
}
