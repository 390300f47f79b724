//! `POST /v4/apiAccessTokens`: creates tokens.

use axum::{extract::State, http::HeaderMap};
use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Schema,
        schema::{AnyOfBuilder, SchemaFormat, Type},
    },
};

use super::TokenDetails;
use crate::{
    api::{
        ApiError,
        error::ApiResult,
        extract::TokenCaller,
        json_object::JsonFields,
        serde_types::{Created, WholeNumber, not_null},
        strict_json::JsonBody,
    },
    domain::{
        ValidationError,
        id::{PersonId, parse_uuid},
        token::{Description, GracePeriod, Lifetime},
        token_limits::{AllowedNetworks, RequestedLimits, parse_scopes},
    },
    service::{
        Error, Tokens,
        tokens::{Idempotency, IdempotencyKey, Replaces, TokenRequest},
    },
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(examples(json!({"lifetimeSeconds": 2_592_000, "description": "nightly job"})))]
pub(super) struct CreateToken {
    /// -1: never expires, if the workspace's maximum allows it. Optional with `replaces`: that of the
    /// replaced token.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(schema_with = lifetime_schema)]
    lifetime_seconds: Option<WholeNumber>,
    /// The owner's note.
    #[schema(max_length = 255, pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$")]
    description: Option<String>,
    /// Uses that the token permits: distinct words, or none for a token that only identifies its
    /// owner. Absent: that of the token that creates this one; otherwise full access.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false, max_items = 32, pattern = r"^[a-z0-9][a-z0-9:._-]{0,63}$")]
    scopes: Option<Vec<String>>,
    /// The networks from which the token authenticates, in CIDR notation. Absent: those of the token that
    /// creates this one; otherwise any.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false, min_items = 1, max_items = 32)]
    allowed_networks: Option<Vec<String>>,
    /// The ID of a token of the same owner that the new one replaces. It is deleted after a grace period.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false, value_type = Option<Uuid>)]
    replaces: Option<String>,
    /// The time until the replaced token is deleted, in seconds; by default one day. 0: at once.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false, minimum = 0, maximum = 2_592_000, value_type = Option<i64>)]
    grace_seconds: Option<WholeNumber>,
    /// The ID of the service account that will own the token, for its custodians and administrators.
    /// Absent: the caller.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false, value_type = Option<i64>)]
    person_id: Option<WholeNumber>,
}

impl JsonFields for CreateToken {
    // An ignored restriction would create a token with more rights than requested.
    const RESTRICTION_WORDS: &'static [&'static str] =
        &["scope", "permission", "network", "cidr", "restrict", "allow", "role", "replace", "grace"];

    const STRICT_FIELDS: &'static [&'static str] =
        &["scopes", "allowedNetworks", "replaces", "graceSeconds", "personId"];

    fn find_alias(normalized: &str) -> Option<&'static str> {
        let is_expiry = ["expir", "lifetime", "validuntil"].iter().any(|part| normalized.contains(part));
        (is_expiry || matches!(normalized, "ttl" | "validity" | "maxage")).then_some("lifetimeSeconds")
    }
}

fn lifetime_schema() -> RefOr<Schema> {
    let format = Some(SchemaFormat::KnownFormat(KnownFormat::Int64));
    let number = || ObjectBuilder::new().schema_type(Type::Integer).format(format.clone());
    let forever = number().minimum(Some(-1)).maximum(Some(-1));
    let seconds = number().minimum(Some(1)).maximum(Some(Lifetime::MAX_SECONDS));
    Schema::from(AnyOfBuilder::new().item(forever).item(seconds).build()).into()
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreatedToken {
    /// The secret token value. No other response contains it.
    #[schema(pattern = r"^[a-z][a-z0-9]{1,11}_[0-9A-Za-z]{49}$")]
    token_value: String,
    token_info: TokenDetails,
}

impl CreateToken {
    /// Validates the request.
    ///
    /// # Errors
    /// 400 if a value is invalid, 404 if `replaces` is no token ID.
    fn into_request(self) -> ApiResult<TokenRequest> {
        let lifetime = self.lifetime_seconds.map(|seconds| Lifetime::from_seconds(seconds.0)).transpose()?;
        if lifetime.is_none() && self.replaces.is_none() {
            return Err(ApiError::BadRequest(format!("{}.", ValidationError::LifetimeMissing)));
        }
        let description = self.description.map(Description::parse).transpose()?;
        let limits = RequestedLimits {
            scopes: self.scopes.as_deref().map(parse_scopes).transpose()?,
            networks: self.allowed_networks.as_deref().map(AllowedNetworks::parse).transpose()?,
        };
        let replaces = match (self.replaces, self.grace_seconds) {
            (None, Some(_)) => return Err(ValidationError::GraceWithoutReplaces.into()),
            (None, None) => None,
            (Some(id), grace) => {
                let grace = grace.map_or(Ok(GracePeriod::DEFAULT), |seconds| GracePeriod::from_seconds(seconds.0))?;
                // Text that is not a UUID names no token.
                Some(Replaces { token_id: parse_uuid(&id).ok_or(Error::TokenNotFound)?, grace })
            }
        };
        let owner = self.person_id.map(|id| PersonId::new(id.0));
        Ok(TokenRequest { lifetime, description, limits, replaces, owner })
    }
}

/// Create a token
///
/// The caller becomes its owner or, with `personId`, a service account of which the caller is a
/// custodian or an administrator. No caller creates a token for another person. No other response
/// contains the token value. For ten minutes, the same request with the same `Idempotency-Key` gets the
/// same response. With `replaces`, the new token takes the place of an older one, which is deleted after
/// a grace period.
#[utoipa::path(post, path = "/v4/apiAccessTokens", operation_id = "createApiAccessToken", tag = "apiAccessTokens",
    request_body = CreateToken,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat: 16 to 255 visible characters, for example a UUID",
        min_length = 16, max_length = 255, pattern = r"^[!-~]{16,255}$")),
    responses((status = 201, description = "The token, with its value", body = CreatedToken,
            headers(("Location" = String, description = "The path of the token: `/v4/apiAccessTokens/{tokenId}`")))))]
pub(super) async fn create(
    TokenCaller(caller): TokenCaller,
    State(tokens): State<Tokens>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<CreateToken>,
) -> ApiResult<Created<CreatedToken>> {
    let request = body.into_request()?;
    let key = parse_idempotency_key(&headers)?;
    let idempotency = key.as_ref().map_or(Idempotency::Disabled, Idempotency::Key);
    let (value, token) = tokens.issue(&caller, request, idempotency).await?;
    let location = format!("/v4/apiAccessTokens/{}", token.id);
    let created = CreatedToken { token_value: value.expose().to_owned(), token_info: token.into() };
    Ok(Created { location, body: created })
}

/// Returns the key by which the client marks a request as a repetition.
///
/// # Errors
/// 400 if there are several keys, or the key is malformed.
fn parse_idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, ApiError> {
    let mut keys = headers.get_all("idempotency-key").iter();
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(key), None) => Ok(Some(IdempotencyKey::parse(key.to_str().unwrap_or_default())?)),
        (Some(_), Some(_)) => Err(ApiError::BadRequest("Send at most one Idempotency-Key header.".to_owned())),
    }
}
