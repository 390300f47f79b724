//! `POST /v4/auth/batch`: checks up to 100 tokens in one request, for services.

use std::net::IpAddr;

use axum::{
    body::Bytes,
    http::{HeaderMap, Response, StatusCode},
};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{
    denied::Denied,
    introspection::{Introspection, IntrospectionResponse, authorize_client, is_visible_to},
    requirements::{self, ParseRequirementsError},
};
use crate::{
    app::App,
    config::Config,
    domain::event::RequestContext,
    http::{ApiError, json::not_null, json_body, request_id::RequestId},
    service::tokens::ValidToken,
};
use tokenward_guard::{Principal, Requirements, token_format::BearerToken};

/// The path of the endpoint. Only POST is accepted.
pub const PATH: &str = "/v4/auth/batch";
/// The maximum number of tokens in a request.
const MAX_TOKENS: usize = 100;

/// Decides batches of checks, each as an introspection does.
#[derive(Clone)]
pub struct BatchCheck(Introspection);

/// The tokens to check.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = BatchCheck, examples(json!({"tokens": ["twd_..."], "requirements": "any"})))]
pub(super) struct BatchRequest {
    #[schema(min_items = 1, max_items = 100)]
    tokens: Vec<TokenEntry>,
    /// Requirements on the owners and their tokens, as in the path of forward auth; `any` by default.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false)]
    requirements: Option<String>,
}

/// A token value, or one with the address of the client that presented it.
#[derive(Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a token value, or an object with token and clientAddress")]
enum TokenEntry {
    Value(TokenText),
    FromClient(PresentedToken),
}

/// A token value. The memory is overwritten when it is no longer needed.
#[derive(Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
struct TokenText(Zeroizing<String>);

/// A token value with the address of the client that presented it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PresentedToken {
    token: TokenText,
    /// Tokens with allowed networks are inactive without it.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Option<String>, nullable = false)]
    client_address: Option<IpAddr>,
}

impl TokenEntry {
    fn value(&self) -> &str {
        match self {
            Self::Value(token) | Self::FromClient(PresentedToken { token, .. }) => &token.0,
        }
    }

    fn client_address(&self) -> Option<IpAddr> {
        match self {
            Self::Value(_) => None,
            Self::FromClient(presented) => presented.client_address,
        }
    }
}

/// The results, in the order of the tokens.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchResult)]
pub(super) struct BatchResponse<'a> {
    data: Vec<CheckedToken<'a>>,
}

/// The result for one token.
#[derive(Debug, Default, Serialize, ToSchema)]
struct CheckedToken<'a> {
    #[serde(flatten)]
    introspection: IntrospectionResponse<'a>,
    /// The owner and the scopes of an active token meet the requirements.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    permitted: Option<bool>,
}

/// The result of a batch.
pub(crate) struct BatchOutcome {
    /// The authenticated client.
    pub(crate) client: Principal,
    /// Each token, if it is active and visible to the client.
    tokens: Vec<Option<ValidToken>>,
    requirements: Requirements,
}

impl BatchOutcome {
    /// Returns the status that each check counts as.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = StatusCode> {
        self.tokens.iter().map(|token| match token {
            None => StatusCode::UNAUTHORIZED,
            Some(token) if self.requirements.check(token.principal()).is_ok() => StatusCode::OK,
            Some(_) => StatusCode::FORBIDDEN,
        })
    }
}

impl BatchCheck {
    /// Creates the checks of a running service.
    #[must_use]
    pub fn new(app: &App, config: &Config) -> Self {
        Self(Introspection::new(app, config))
    }

    /// Authenticates the client and checks the tokens in the body.
    ///
    /// # Errors
    /// 401 or 403 if the client is not authenticated or may not introspect, 400 if the body is invalid,
    /// 503 if a token could not be checked.
    pub(super) async fn check(
        &self,
        headers: &HeaderMap,
        body: &Bytes,
        context: &RequestContext,
    ) -> Result<BatchOutcome, Denied<ApiError>> {
        let client = authorize_client(self.0.authenticator.authenticate(headers, context).await?)?;
        match self.check_tokens(&client, headers, body, context).await {
            Ok((tokens, requirements)) => Ok(BatchOutcome { client, tokens, requirements }),
            Err(error) => Err(Denied::of(&client, error)),
        }
    }

    /// Checks the tokens in the body. Returns each token that is active and visible to the client, and the
    /// requirements.
    async fn check_tokens(
        &self,
        client: &Principal,
        headers: &HeaderMap,
        body: &Bytes,
        context: &RequestContext,
    ) -> Result<(Vec<Option<ValidToken>>, Requirements), ApiError> {
        let Self(introspection) = self;
        let request = parse_body(headers, body)?;
        let requirements = requirements::parse(request.requirements.as_deref().unwrap_or("any"));
        let requirements = requirements.map_err(|ParseRequirementsError| {
            ApiError::BadRequest(
                "requirements must be any, or a list of workspace=<id>, admin, unrestricted and scope=<word>, joined by commas."
                    .to_owned(),
            )
        })?;
        let presented = request.tokens.iter().map(|entry| (BearerToken::parse(entry.value()), entry.client_address()));
        let validated =
            introspection.tokens.validate_batch(presented, context).await.map_err(ApiError::Unauthenticated)?;
        let visible = |token: &ValidToken| is_visible_to(client, token);
        let tokens: Vec<_> = validated.into_iter().map(|token| token.filter(visible)).collect();
        if introspection.updates_last_used {
            // The address of the client is only a claim of the service that asks.
            tokens.iter().flatten().for_each(|token| introspection.tokens.record_use(token, &|| None));
        }
        Ok((tokens, requirements))
    }

    /// Returns the response to a batch.
    pub(crate) fn response(&self, outcome: &BatchOutcome, id: &RequestId) -> Response<Full<Bytes>> {
        let data = outcome.tokens.iter().map(|token| match token {
            None => CheckedToken::default(),
            Some(token) => CheckedToken {
                introspection: IntrospectionResponse::active(token.principal(), &self.0.issuer),
                permitted: Some(outcome.requirements.check(token.principal()).is_ok()),
            },
        });
        // Serializing this struct into memory cannot fail.
        let text = serde_json::to_vec(&BatchResponse { data: data.collect() }).unwrap_or_default();
        self.0.render(text, &outcome.client, id)
    }
}

/// Parses the body.
fn parse_body(headers: &HeaderMap, body: &[u8]) -> Result<BatchRequest, ApiError> {
    let BatchRequest { tokens, requirements } = json_body::parse(headers, body)?;
    if tokens.is_empty() || tokens.len() > MAX_TOKENS {
        let count = tokens.len();
        return Err(ApiError::BadRequest(format!("tokens has {count} entries; send from 1 to {MAX_TOKENS}.")));
    }
    Ok(BatchRequest { tokens, requirements })
}

/// Check many tokens
///
/// For services: the same as an introspection of each token, in order, with the result of the
/// requirements. Tokens with allowed networks are inactive without the address of their client.
#[utoipa::path(post, path = "/v4/auth/batch", operation_id = "checkTokens", tag = "auth",
    request_body = BatchRequest,
    responses((status = 200, description = "The results, in the order of the tokens", body = BatchResponse<'static>)))]
#[expect(dead_code, reason = "documents the endpoint that `BatchCheck` serves")]
pub(super) fn check_batch() {}
