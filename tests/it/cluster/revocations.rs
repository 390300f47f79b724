//! The operations that revoke a grant, and the creation of the grants.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::tracked_grant::TrackedGrant;
use crate::support::PASSWORD;

/// An operation that revokes a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revocation {
    DeleteToken,
    /// `POST /oauth2/revoke`
    RevokeToken,
    DisablePerson,
    DisableAccess,
    /// Removes the administrator role. The token stays valid.
    Demote,
    DeletePerson,
    /// `feature.apiAccessTokens.enabled` of the workspace
    DisableTokens,
    DeleteWorkspace,
    /// A new token replaces it. It stays valid for the grace period.
    Replace,
}

/// The result of a revocation request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationOutcome {
    Succeeded,
    /// 404, or 409 of a token that was replaced: an earlier attempt succeeded although its response was
    /// an error or was lost.
    NotFound,
    /// 503 or no response. The grant may be revoked or not.
    Unavailable,
    /// 401: the credential of the caller was rejected.
    WrongCredential,
}

impl Revocation {
    /// Every kind of revocation.
    pub const ALL: [Self; 9] = [
        Self::DeleteToken,
        Self::DisablePerson,
        Self::Demote,
        Self::RevokeToken,
        Self::DisableTokens,
        Self::DeletePerson,
        Self::Replace,
        Self::DisableAccess,
        Self::DeleteWorkspace,
    ];
    const GRACE_SECONDS: u64 = 1;

    /// Returns the kind for a turn. Every other one deletes a token, as that is the most frequent
    /// operation.
    pub fn for_turn(turn: usize) -> Self {
        if turn.is_multiple_of(2) { Self::DeleteToken } else { Self::ALL[turn / 2 % Self::ALL.len()] }
    }

    /// Returns the time from the revocation until no node may accept the grant.
    pub fn grace_period(self) -> Duration {
        Duration::from_secs(if self == Self::Replace { Self::GRACE_SECONDS } else { 0 })
    }
}

/// The administrator as a client of one node.
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

    /// Allows all users of workspace 1 to have tokens.
    pub async fn allow_users(&self) {
        let path = "/v4/workspaces/current/configuration";
        let response = self.request("PATCH", path).json(&setting("allowUsers", true)).send().await.unwrap();
        assert_eq!(response.status(), 200);
    }

    /// Creates a token, with an owner or a workspace of its own if the revocation affects them.
    pub async fn create_grant(
        &self,
        revocation: Option<Revocation>,
        name: &str,
    ) -> Result<TrackedGrant, RevocationOutcome> {
        let email = format!("{name}@example.com");
        let person = json!({"email": email, "name": name, "password": PASSWORD, "isAdmin": revocation == Some(Revocation::Demote)});
        match revocation {
            None | Some(Revocation::DeleteToken | Revocation::RevokeToken | Revocation::Replace) => {
                let request = self.request("POST", "/v4/apiAccessTokens");
                let (token, token_id) = create_token(request).await?;
                Ok(TrackedGrant::new(token, revocation, format!("/v4/apiAccessTokens/{token_id}"), email))
            }
            Some(Revocation::DisableTokens | Revocation::DeleteWorkspace) => {
                let workspace = json!({"name": name, "admin": person});
                let created = send_create(self.request("POST", "/v4/workspaces").json(&workspace)).await?;
                let (token, _) = self.create_token_by_password(&email).await?;
                Ok(TrackedGrant::new(token, revocation, format!("/v4/workspaces/{}", created["id"]), email))
            }
            Some(
                Revocation::DisablePerson | Revocation::DisableAccess | Revocation::Demote | Revocation::DeletePerson,
            ) => {
                let created = send_create(self.request("POST", "/v4/people").json(&person)).await?;
                let (token, _) = self.create_token_by_password(&email).await?;
                Ok(TrackedGrant::new(token, revocation, format!("/v4/people/{}", created["id"]), email))
            }
        }
    }

    async fn create_token_by_password(&self, email: &str) -> Result<(String, String), RevocationOutcome> {
        let request = self.http.post(format!("{}/v4/apiAccessTokens", self.url));
        create_token(request.basic_auth(email, Some(PASSWORD))).await
    }

    /// Revokes a grant.
    pub async fn revoke(&self, revocation: Revocation, grant: &TrackedGrant) -> RevocationOutcome {
        let change = |body: Value| self.request("PATCH", &grant.path).json(&body);
        let request = match revocation {
            Revocation::DeleteToken | Revocation::DeletePerson | Revocation::DeleteWorkspace => {
                self.request("DELETE", &grant.path)
            }
            Revocation::Replace => {
                let token_id = grant.path.rsplit('/').next().unwrap();
                let body = json!({"replaces": token_id, "graceSeconds": Revocation::GRACE_SECONDS});
                self.request("POST", "/v4/apiAccessTokens").json(&body)
            }
            Revocation::DisablePerson => change(json!({"isDisabled": true})),
            Revocation::DisableAccess => change(json!({"tokenAccess": "disabled"})),
            Revocation::Demote => change(json!({"isAdmin": false})),
            Revocation::RevokeToken => {
                let form = self.http.post(format!("{}/oauth2/revoke", self.url));
                let form = form.header("content-type", "application/x-www-form-urlencoded");
                form.body(format!("token={}", grant.token))
            }
            // The administrator of the workspace uses the password, because the own token is about
            // to be disabled.
            Revocation::DisableTokens => {
                let path = format!("{}{}/configuration", self.url, grant.path);
                let patch = self.http.patch(path).basic_auth(&grant.email, Some(PASSWORD));
                patch.json(&setting("enabled", false))
            }
        };
        match request.send().await.map(|reply| reply.status().as_u16()) {
            Ok(200 | 201 | 204) => RevocationOutcome::Succeeded,
            Ok(404) => RevocationOutcome::NotFound,
            Ok(409) if revocation == Revocation::Replace => RevocationOutcome::NotFound,
            Ok(503) | Err(_) => RevocationOutcome::Unavailable,
            Ok(401) => RevocationOutcome::WrongCredential,
            Ok(status) => panic!("{revocation:?}: unexpected status {status}"),
        }
    }
}

fn setting(key: &str, value: bool) -> Value {
    json!({"configuration": [{"key": format!("feature.apiAccessTokens.{key}"), "value": value}]})
}

/// Creates a token. Returns its value and its ID.
async fn create_token(request: RequestBuilder) -> Result<(String, String), RevocationOutcome> {
    let created = send_create(request.json(&json!({"lifetimeSeconds": -1}))).await?;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Ok((text(&created["tokenValue"]), text(&created["tokenInfo"]["tokenId"])))
}

/// Sends a request that creates a resource. Returns the JSON of the response.
async fn send_create(request: RequestBuilder) -> Result<Value, RevocationOutcome> {
    let reply = request.send().await.map_err(|_| RevocationOutcome::Unavailable)?;
    match reply.status().as_u16() {
        201 => reply.json().await.map_err(|_| RevocationOutcome::Unavailable),
        401 => Err(RevocationOutcome::WrongCredential),
        503 => Err(RevocationOutcome::Unavailable),
        status => panic!("unexpected status {status} instead of 201: {}", reply.text().await.unwrap_or_default()),
    }
}
