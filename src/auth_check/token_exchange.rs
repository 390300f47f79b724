//! The grant of RFC 8693: exchanges a JWT for a token of a service account.

use utoipa::openapi::{RefOr, Schema};

use super::{
    oauth::OAuthError,
    token_form::{Form, TokenResponse},
};
use crate::{
    domain::{event::RequestContext, token::IssueError, token_limits},
    http::{ApiError, schema::words_schema, sentence::sentence},
    service::{
        WorkloadIdentity,
        workload_identity::{ExchangeError, ExchangeRequest},
    },
};
use tokenward_guard::Scopes;

/// The value of `grant_type`.
pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const SUBJECT_TOKEN_TYPES: [&str; 2] =
    ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"];
/// Parameters that would change the token, so they are not ignored.
const UNSUPPORTED: [&str; 3] = ["resource", "actor_token", "actor_token_type"];

/// Returns the schema of `subject_token_type`.
pub(super) fn subject_token_type_schema() -> RefOr<Schema> {
    words_schema("The kind of the subject token.", SUBJECT_TOKEN_TYPES)
}

/// Exchanges the JWT in the form.
pub(super) async fn exchange(
    workload_identity: &WorkloadIdentity,
    form: &Form,
    context: &RequestContext,
) -> Result<TokenResponse, OAuthError> {
    for name in UNSUPPORTED {
        if form.get(name)?.is_some() {
            let text = format!("The parameter {name} is not supported; leave it out.");
            return Err(OAuthError::grant(if name == "resource" { "invalid_target" } else { "invalid_request" }, text));
        }
    }
    if form.get("requested_token_type")?.is_some_and(|kind| kind != ACCESS_TOKEN) {
        let text = format!("requested_token_type must be {ACCESS_TOKEN}, or absent.");
        return Err(OAuthError::invalid_request(text));
    }
    let types = SUBJECT_TOKEN_TYPES.join(" or ");
    if !SUBJECT_TOKEN_TYPES.contains(&form.require("subject_token_type", &format!("send {types}"))?) {
        return Err(OAuthError::invalid_request(format!("subject_token_type must be {types}.")));
    }
    let scopes = form.get("scope")?.map(parse_scopes).transpose()?;
    let request = ExchangeRequest {
        subject_token: form.require("subject_token", "send the JWT of the workload")?,
        account: form.require("audience", "send the name of the service account")?,
        scopes: scopes.as_ref(),
    };
    let (value, token) = workload_identity.exchange(request, context).await?;
    Ok(TokenResponse { issued_token_type: Some(ACCESS_TOKEN), ..TokenResponse::new(&value, &token) })
}

fn parse_scopes(text: &str) -> Result<Scopes, OAuthError> {
    let words: Vec<String> = text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let invalid = |error| OAuthError::grant("invalid_scope", sentence(&format!("{error}")));
    token_limits::parse_scopes(&words).map_err(invalid)
}

impl From<ExchangeError> for OAuthError {
    fn from(error: ExchangeError) -> Self {
        let code = match &error {
            ExchangeError::Scope(_) | ExchangeError::Issue(IssueError::Limits(_)) => "invalid_scope",
            ExchangeError::Issue(_) => "invalid_target",
            // RFC 8693, section 2.2.2.
            ExchangeError::NotAccepted(_)
            | ExchangeError::NotValidNow(_)
            | ExchangeError::Assertion(_)
            | ExchangeError::Mismatch(_)
            | ExchangeError::AlreadyUsed => "invalid_request",
            ExchangeError::Service(_) => "",
        };
        match error {
            ExchangeError::Service(error) => Self::Api(ApiError::Service(error)),
            error => Self::Grant {
                error: code,
                description: sentence(&error.to_string()),
                cause: Some(error.cause().unwrap_or_else(|| error.to_string())),
            },
        }
    }
}
