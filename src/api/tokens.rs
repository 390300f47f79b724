//! `/v4/apiAccessTokens`: a person's tokens.

use axum::{
    Json,
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
    extract::{TokenCaller, TokenId},
    json_object::Fields,
    serde_types::{WholeNumber, moment, moment_or_null},
    stream::{self, Reader, Tail},
    strict_json::JsonBody,
    strict_query::QueryOf,
};
use crate::{
    app::App,
    domain::{
        time::Timestamp,
        token::{Description, Lifetime, Status, Token},
        token_query::Which,
    },
    http::cursor,
    service::{
        Tokens,
        list_pages::TokenPages,
        tokens::{IdempotencyKey, Listed, Once, Reach},
    },
};

mod query;

use query::ListQuery;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create, delete_all)).routes(routes!(find, delete))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(examples(json!({"lifetimeSeconds": 2_592_000, "description": "nightly job"})))]
struct CreateToken {
    /// -1: never expires, where the workspace's maximum allows it.
    #[schema(schema_with = lifetime)]
    lifetime_seconds: WholeNumber,
    /// A note for recognition.
    #[schema(max_length = 255, pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$")]
    description: Option<String>,
}

impl Fields for CreateToken {
    /// An ignored limit would make a token that may do more than its creator asked for.
    const LIMITS: &'static [&'static str] =
        &["scope", "permission", "network", "cidr", "restrict", "allow", "role", "replace", "grace"];

    fn meant(plain: &str) -> Option<&'static str> {
        let is_end = ["expir", "lifetime", "validuntil"].iter().any(|part| plain.contains(part));
        (is_end || matches!(plain, "ttl" | "validity" | "maxage")).then_some("lifetimeSeconds")
    }
}

fn lifetime() -> RefOr<Schema> {
    let format = Some(SchemaFormat::KnownFormat(KnownFormat::Int64));
    let number = || ObjectBuilder::new().schema_type(Type::Integer).format(format.clone());
    let forever = number().minimum(Some(-1)).maximum(Some(-1));
    let seconds = number().minimum(Some(1)).maximum(Some(Lifetime::MAX_SECONDS));
    Schema::from(AnyOfBuilder::new().item(forever).item(seconds).build()).into()
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreatedToken {
    /// The secret. It is in this answer and in no other.
    #[schema(pattern = r"^[a-z][a-z0-9]{1,11}_[0-9A-Za-z]{49}$")]
    token_value: String,
    token_info: TokenInfo,
}

/// A token without its value.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TokenInfo {
    token_id: Uuid,
    description: String,
    #[schema(schema_with = moment)]
    created_at: Timestamp,
    /// Null: never expires.
    #[schema(schema_with = moment_or_null)]
    expired_at: Option<Timestamp>,
    /// Null: not used yet.
    #[schema(schema_with = moment_or_null)]
    last_used: Option<Timestamp>,
}

impl From<Token> for TokenInfo {
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
struct TokenView {
    #[serde(flatten)]
    info: TokenInfo,
    #[schema(inline)]
    status: StatusName,
    /// The prefix and the first four characters of the value.
    hint: String,
    /// The token that made it; where it was none, its owner did, by password or on a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_token_id: Option<Uuid>,
    /// The owner; in an administrator's list.
    #[serde(skip_serializing_if = "Option::is_none")]
    person_id: Option<i64>,
    /// The owner's e-mail; in an administrator's list.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum StatusName {
    Active,
    Expired,
}

impl From<Status> for StatusName {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::Active,
            Status::Expired => Self::Expired,
        }
    }
}

impl From<StatusName> for Status {
    fn from(name: StatusName) -> Self {
        match name {
            StatusName::Active => Self::Active,
            StatusName::Expired => Self::Expired,
        }
    }
}

impl TokenView {
    fn new(token: Token, status: Status) -> Self {
        Self {
            status: status.into(),
            hint: token.hint.clone(),
            parent_token_id: token.parent_id,
            info: token.into(),
            person_id: None,
            email: None,
        }
    }

    fn with_owner(listed: Listed) -> Self {
        let person_id = Some(listed.token.person_id);
        Self { person_id, email: Some(listed.email), ..Self::new(listed.token, listed.status) }
    }
}

// The schema of what `stream` writes row by row.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TokenList {
    data: Vec<TokenView>,
    /// How many there are in all; with `includeCount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<i64>,
    /// Where the next page begins, if there may be one; in an administrator's list.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Make a token
///
/// The caller will own it. Its value is in this answer and in no other; with an `Idempotency-Key` the same request is answered the same
/// for ten minutes.
#[utoipa::path(post, path = "/v4/apiAccessTokens", operation_id = "createApiAccessToken", tag = "apiAccessTokens",
    request_body = CreateToken,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again: 16 to 255 visible characters, for instance a UUID",
        min_length = 16, max_length = 255, pattern = r"^[!-~]{16,255}$")),
    responses((status = 201, description = "The token, with its value", body = CreatedToken),
        (status = 400), (status = 401), (status = 403), (status = 404), (status = 409), (status = 413), (status = 415)))]
async fn create(
    TokenCaller(caller): TokenCaller,
    State(tokens): State<Tokens>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<CreateToken>,
) -> ApiResult<(StatusCode, Json<CreatedToken>)> {
    let lifetime = Lifetime::from_seconds(body.lifetime_seconds.0)?;
    let description = Description::parse(body.description.unwrap_or_default())?;
    let key = idempotency_key(&headers)?;
    let once = key.as_ref().map_or(Once::Never, Once::Key);
    let (value, token) = tokens.issue(&caller, lifetime, description, once).await?;
    let created = CreatedToken { token_value: value.expose().to_owned(), token_info: token.into() };
    Ok((StatusCode::CREATED, Json(created)))
}

/// By what the client says that the request may be the same as one before.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, ApiError> {
    let mut keys = headers.get_all("idempotency-key").iter();
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(key), None) => Ok(Some(IdempotencyKey::parse(key.to_str().unwrap_or_default())?)),
        (Some(_), Some(_)) => Err(ApiError::Form("Send one Idempotency-Key at the most.".to_owned())),
    }
}

/// List tokens
///
/// The caller's own, expired ones included, oldest first; for administrators with `allUsers` the workspace's.
#[utoipa::path(get, path = "/v4/apiAccessTokens", operation_id = "listApiAccessTokens", tag = "apiAccessTokens",
    params(ListQuery),
    responses((status = 200, description = "The tokens", body = TokenList),
        (status = 400), (status = 401), (status = 403), (status = 404)))]
async fn list(
    TokenCaller(caller): TokenCaller,
    reader: Reader,
    State(tokens): State<Tokens>,
    QueryOf(query): QueryOf<ListQuery>,
) -> ApiResult<Response> {
    let reach = query.reach(&caller);
    let page = query.page(reach)?;
    let count = query.include_count.unwrap_or(false);
    let which = Which { status: query.status.map(Status::from), ..Which::default() };
    let (pages, count) = tokens.pages(&caller, reach, which, &page, count).await?;
    let view = move |listed: Listed| match reach {
        Reach::Own => TokenView::new(listed.token, listed.status),
        Reach::Workspace { .. } => TokenView::with_owner(listed),
    };
    let tail = move |pages: &TokenPages| {
        let cut_at = pages.cut_at().filter(|_| matches!(reach, Reach::Workspace { .. }));
        Tail { count, next_cursor: cut_at.map(|cursor| cursor::write(cursor, page.sort)) }
    };
    stream::respond(pages, reader, view, tail).await
}

/// Read a token
///
/// One's own, or for administrators one of the workspace. The value is not in it.
#[utoipa::path(get, path = "/v4/apiAccessTokens/{tokenId}", operation_id = "getApiAccessToken", tag = "apiAccessTokens",
    params(("tokenId" = Uuid, Path, description = "The token's id")),
    responses((status = 200, description = "The token", body = TokenView), (status = 401), (status = 403), (status = 404)))]
async fn find(
    TokenCaller(caller): TokenCaller,
    TokenId(id): TokenId,
    State(tokens): State<Tokens>,
) -> ApiResult<Json<TokenView>> {
    let (token, status) = tokens.find(&caller, id).await?;
    Ok(Json(TokenView::new(token, status)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct DeleteAllQuery {
    /// For administrators: whose tokens. Without it the caller's own.
    person_id: Option<i64>,
}

/// Delete all tokens of a person
///
/// The caller's own, or for administrators those of one person of the workspace, however many. After the 204 no check accepts any of
/// them. Not with a slash at the end of the path: a deletion that has lost its `tokenId` is none.
#[utoipa::path(delete, path = "/v4/apiAccessTokens", operation_id = "deleteApiAccessTokens", tag = "apiAccessTokens",
    params(DeleteAllQuery),
    responses((status = 204, description = "Deleted"), (status = 400), (status = 401), (status = 403), (status = 404)))]
async fn delete_all(
    TokenCaller(caller): TokenCaller,
    State(tokens): State<Tokens>,
    QueryOf(query): QueryOf<DeleteAllQuery>,
) -> ApiResult<StatusCode> {
    tokens.delete_all(&caller, query.person_id.unwrap_or(caller.person_id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeleteQuery {
    /// Also what it has made, and what those have made; also where the token itself is gone already.
    descendants: Option<bool>,
}

/// Delete a token
///
/// One's own, or for administrators one of the workspace. After the 204 no check accepts it.
#[utoipa::path(delete, path = "/v4/apiAccessTokens/{tokenId}", operation_id = "deleteApiAccessToken", tag = "apiAccessTokens",
    params(("tokenId" = Uuid, Path, description = "The token's id"), DeleteQuery),
    responses((status = 204, description = "Deleted"), (status = 400), (status = 401), (status = 403), (status = 404)))]
async fn delete(
    TokenCaller(caller): TokenCaller,
    TokenId(id): TokenId,
    State(tokens): State<Tokens>,
    QueryOf(query): QueryOf<DeleteQuery>,
) -> ApiResult<StatusCode> {
    if query.descendants.unwrap_or(false) {
        tokens.delete_family(&caller, id).await?;
    } else {
        tokens.delete(&caller, id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
