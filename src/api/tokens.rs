//! `/v4/apiAccessTokens`: access tokens.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Schema,
        schema::{AnyOfBuilder, SchemaFormat, Type},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    ApiError,
    error::ApiResult,
    extract::{TokenCaller, TokenIdPath},
    json_object::JsonFields,
    serde_types::{Created, WholeNumber, nullable_timestamp_schema, timestamp_schema},
    stream::{self, ListReader, ListTrailer},
    strict_json::JsonBody,
    strict_query::StrictQuery,
};
use crate::{
    app::App,
    domain::{
        id::PersonId,
        time::Timestamp,
        token::{Description, Lifetime, Token, TokenStatus},
        token_query::TokenFilter,
    },
    http::{cursor, json::Json},
    service::{
        Tokens,
        list_pages::TokenPages,
        tokens::{Idempotency, IdempotencyKey, ListedToken, TokenScope},
    },
};

mod query;

use query::ListQuery;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create, delete_all)).routes(routes!(get, delete))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(examples(json!({"lifetimeSeconds": 2_592_000, "description": "nightly job"})))]
struct CreateToken {
    /// -1: never expires, if the workspace's maximum allows it.
    #[schema(schema_with = lifetime_schema)]
    lifetime_seconds: WholeNumber,
    /// The owner's note.
    #[schema(max_length = 255, pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$")]
    description: Option<String>,
}

impl JsonFields for CreateToken {
    // An ignored restriction would create a token with more rights than requested.
    const RESTRICTION_WORDS: &'static [&'static str] =
        &["scope", "permission", "network", "cidr", "restrict", "allow", "role", "replace", "grace"];

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
struct CreatedToken {
    /// The secret token value. No other response contains it.
    #[schema(pattern = r"^[a-z][a-z0-9]{1,11}_[0-9A-Za-z]{49}$")]
    token_value: String,
    token_info: TokenDetails,
}

/// A token without its value.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TokenInfo)]
struct TokenDetails {
    token_id: Uuid,
    description: String,
    #[schema(schema_with = timestamp_schema)]
    created_at: Timestamp,
    /// Null: never expires.
    #[schema(schema_with = nullable_timestamp_schema, required)]
    expired_at: Option<Timestamp>,
    /// Null: never used.
    #[schema(schema_with = nullable_timestamp_schema, required)]
    last_used: Option<Timestamp>,
}

impl From<Token> for TokenDetails {
    fn from(token: Token) -> Self {
        Self {
            token_id: token.id,
            description: token.description,
            created_at: token.created_at,
            expired_at: token.expires_at,
            last_used: token.last_used_at,
        }
    }
}

/// A token in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Token)]
struct TokenView {
    #[serde(flatten)]
    info: TokenDetails,
    status: StatusName,
    /// The prefix and the first four random characters of the value.
    hint: String,
    /// The ID of the token that created this one; absent: the owner did, by password or on a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parent_token_id: Option<Uuid>,
    /// The owner's ID; in lists for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    person_id: Option<i64>,
    /// The owner's e-mail; in lists for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    email: Option<String>,
}

/// The state of a token.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TokenStatus)]
enum StatusName {
    Active,
    Expired,
}

impl From<TokenStatus> for StatusName {
    fn from(status: TokenStatus) -> Self {
        match status {
            TokenStatus::Active => Self::Active,
            TokenStatus::Expired => Self::Expired,
        }
    }
}

impl From<StatusName> for TokenStatus {
    fn from(name: StatusName) -> Self {
        match name {
            StatusName::Active => Self::Active,
            StatusName::Expired => Self::Expired,
        }
    }
}

impl TokenView {
    fn new(token: Token, status: TokenStatus) -> Self {
        Self {
            status: status.into(),
            hint: token.display_prefix.clone(),
            parent_token_id: token.parent_id,
            info: token.into(),
            person_id: None,
            email: None,
        }
    }

    fn with_owner(listed: ListedToken) -> Self {
        let person_id = Some(listed.token.person_id.get());
        Self { person_id, email: Some(listed.email), ..Self::new(listed.token, listed.status) }
    }
}

// Documents the response that `stream` writes row by row.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TokenList {
    data: Vec<TokenView>,
    /// The total number of tokens; with `includeCount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    count: Option<i64>,
    /// The cursor of the next page, if there may be one; in lists for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_cursor: Option<String>,
}

/// Create a token
///
/// The caller becomes its owner. No other response contains the token value. For ten minutes, the
/// same request with the same `Idempotency-Key` gets the same response.
#[utoipa::path(post, path = "/v4/apiAccessTokens", operation_id = "createApiAccessToken", tag = "apiAccessTokens",
    request_body = CreateToken,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat: 16 to 255 visible characters, for example a UUID",
        min_length = 16, max_length = 255, pattern = r"^[!-~]{16,255}$")),
    responses((status = 201, description = "The token, with its value", body = CreatedToken,
            headers(("Location" = String, description = "The path of the token: `/v4/apiAccessTokens/{tokenId}`")))))]
async fn create(
    TokenCaller(caller): TokenCaller,
    State(tokens): State<Tokens>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<CreateToken>,
) -> ApiResult<Created<CreatedToken>> {
    let lifetime = Lifetime::from_seconds(body.lifetime_seconds.0)?;
    let description = Description::parse(body.description.unwrap_or_default())?;
    let key = parse_idempotency_key(&headers)?;
    let idempotency = key.as_ref().map_or(Idempotency::Disabled, Idempotency::Key);
    let (value, token) = tokens.issue(&caller, lifetime, description, idempotency).await?;
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

/// List tokens
///
/// The caller's tokens, including expired ones, oldest first. For administrators with `allUsers`:
/// the tokens of the workspace.
#[utoipa::path(get, path = "/v4/apiAccessTokens", operation_id = "listApiAccessTokens", tag = "apiAccessTokens",
    params(ListQuery),
    responses((status = 200, description = "The tokens", body = TokenList)))]
async fn list(
    TokenCaller(caller): TokenCaller,
    reader: ListReader,
    State(tokens): State<Tokens>,
    StrictQuery(query): StrictQuery<ListQuery>,
) -> ApiResult<Response> {
    let scope = query.scope(&caller);
    let page = query.to_page_query(scope)?;
    let wants_count = query.include_count.unwrap_or(false);
    let filter = TokenFilter { status: query.status.map(TokenStatus::from), ..TokenFilter::default() };
    let (pages, count) = tokens.pages(&caller, scope, filter, &page, wants_count).await?;
    let view = move |listed: ListedToken| match scope {
        TokenScope::Own => TokenView::new(listed.token, listed.status),
        TokenScope::Workspace { .. } => TokenView::with_owner(listed),
    };
    let trailer = move |pages: &TokenPages| {
        let next_cursor = pages.next_cursor().filter(|_| matches!(scope, TokenScope::Workspace { .. }));
        ListTrailer { count, next_cursor: next_cursor.map(|cursor| cursor::encode(cursor, page.sort)) }
    };
    stream::respond(pages, reader, view, trailer).await
}

/// Get a token
///
/// One of the caller's tokens. For administrators: any token of the workspace. The response does
/// not contain the token value.
#[utoipa::path(get, path = "/v4/apiAccessTokens/{tokenId}", operation_id = "getApiAccessToken", tag = "apiAccessTokens",
    params(("tokenId" = Uuid, Path, description = "The token ID")),
    responses((status = 200, description = "The token", body = TokenView)))]
async fn get(
    TokenCaller(caller): TokenCaller,
    TokenIdPath(id): TokenIdPath,
    State(tokens): State<Tokens>,
) -> ApiResult<Json<TokenView>> {
    let (token, status) = tokens.find(&caller, id).await?;
    Ok(Json(TokenView::new(token, status)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct DeleteAllQuery {
    /// For administrators: the owner of the tokens; the caller by default.
    person_id: Option<i64>,
}

/// Delete all tokens of a person
///
/// The caller's tokens. For administrators: the tokens of one person of the workspace. After the
/// 204 no check accepts any of them. A path with a trailing slash gets 404, so that a request with
/// an empty `tokenId` deletes nothing.
#[utoipa::path(delete, path = "/v4/apiAccessTokens", operation_id = "deleteApiAccessTokens", tag = "apiAccessTokens",
    params(DeleteAllQuery),
    responses((status = 204, description = "Deleted")))]
async fn delete_all(
    TokenCaller(caller): TokenCaller,
    State(tokens): State<Tokens>,
    StrictQuery(query): StrictQuery<DeleteAllQuery>,
) -> ApiResult<StatusCode> {
    tokens.delete_all(&caller, query.person_id.map_or(PersonId::of(&caller), PersonId::new)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeleteQuery {
    /// Delete all descendants of the token as well. This also works if the token itself is already
    /// deleted.
    descendants: Option<bool>,
}

/// Delete a token
///
/// One of the caller's tokens. For administrators: any token of the workspace. After the 204 no
/// check accepts it.
#[utoipa::path(delete, path = "/v4/apiAccessTokens/{tokenId}", operation_id = "deleteApiAccessToken", tag = "apiAccessTokens",
    params(("tokenId" = Uuid, Path, description = "The token ID"), DeleteQuery),
    responses((status = 204, description = "Deleted")))]
async fn delete(
    TokenCaller(caller): TokenCaller,
    TokenIdPath(id): TokenIdPath,
    State(tokens): State<Tokens>,
    StrictQuery(query): StrictQuery<DeleteQuery>,
) -> ApiResult<StatusCode> {
    if query.descendants.unwrap_or(false) {
        tokens.delete_with_descendants(&caller, id).await?;
    } else {
        tokens.delete(&caller, id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
