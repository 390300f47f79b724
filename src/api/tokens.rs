//! `/v4/apiAccessTokens`: access tokens.

use std::net::IpAddr;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    error::ApiResult,
    extract::{TokenCaller, TokenIdPath},
    serde_types::{nullable_timestamp_schema, timestamp_schema},
    stream::{self, ListReader, ListTrailer},
    strict_query::StrictQuery,
};
use crate::{
    app::App,
    domain::{
        id::PersonId,
        service_account::email_of,
        time::Timestamp,
        token::{Token, TokenStatus},
    },
    http::{
        csv, cursor,
        json::Json,
        list_stream,
        token_csv::{self, TokenCsv},
    },
    service::{
        Tokens,
        list_pages::TokenPages,
        tokens::{ListedToken, TokenScope},
    },
};

mod bulk_delete;
mod create;
mod filter;
mod query;

use filter::FilterQuery;
use query::ListQuery;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create::create, delete_all))
        .routes(routes!(get, delete))
        .merge(bulk_delete::routes())
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
    /// Uses that the token permits; absent: anything that its owner may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scopes: Option<Vec<String>>,
    /// The networks from which the token authenticates; absent: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    allowed_networks: Vec<String>,
    /// When the token, which was replaced, is deleted. It does not authenticate from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = timestamp_schema, required = false)]
    deletes_at: Option<Timestamp>,
    /// The ID of the token that replaces this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    replaced_by: Option<Uuid>,
    /// The client address of the last use; absent: unknown, or the workspace does not record it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    last_used_from: Option<IpAddr>,
}

impl From<Token> for TokenDetails {
    fn from(token: Token) -> Self {
        let Token { limits, replacement, .. } = token;
        let scopes = &limits.scopes;
        Self {
            token_id: token.id,
            description: token.description,
            created_at: token.created_at,
            expired_at: token.expires_at,
            last_used: token.last_used_at,
            scopes: (!scopes.is_unrestricted()).then(|| scopes.words().map(str::to_owned).collect()),
            allowed_networks: limits.networks.iter().map(ToString::to_string).collect(),
            deletes_at: replacement.map(|replacement| replacement.deletes_at),
            replaced_by: replacement.map(|replacement| replacement.replaced_by),
            last_used_from: token.last_used_from,
        }
    }
}

/// A token in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Token)]
pub(super) struct TokenView {
    #[serde(flatten)]
    info: TokenDetails,
    status: StatusName,
    /// The prefix and the first four random characters of the value.
    hint: String,
    /// The ID of the token that created this one; absent: a person did, by password or on a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parent_token_id: Option<Uuid>,
    /// The ID of the trust rule by which the token was issued in exchange for a JWT; absent: issued
    /// otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    trust_rule_id: Option<Uuid>,
    /// The owner's ID; in lists for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    person_id: Option<i64>,
    /// The owner's e-mail, null for a service account; in lists for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    email: Option<Option<String>>,
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
            trust_rule_id: token.trust_rule_id,
            info: token.into(),
            person_id: None,
            email: None,
        }
    }

    pub(super) fn with_owner(listed: ListedToken) -> Self {
        let person_id = Some(listed.token.person_id.get());
        let email = Some(email_of(&listed.email).map(str::to_owned));
        Self { person_id, email, ..Self::new(listed.token, listed.status) }
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

/// List tokens
///
/// The caller's tokens, including expired ones, oldest first. For administrators with `allUsers`:
/// the tokens of the workspace. With `personId`, for administrators and for the custodians of a service
/// account: the tokens of one owner. With `Accept: text/csv` the response is a CSV file with a header row
/// (RFC 4180) and, unless `limit` is sent, all rows; `count` and `nextCursor` are omitted.
#[utoipa::path(get, path = "/v4/apiAccessTokens", operation_id = "listApiAccessTokens", tag = "apiAccessTokens",
    params(ListQuery, FilterQuery),
    responses((status = 200, description = "The tokens", body = TokenList)))]
async fn list(
    TokenCaller(caller): TokenCaller,
    reader: ListReader,
    State(tokens): State<Tokens>,
    headers: HeaderMap,
    StrictQuery(query): StrictQuery<ListQuery>,
    StrictQuery(filter): StrictQuery<FilterQuery>,
) -> ApiResult<Response> {
    let scope = query.scope(&caller);
    let is_csv = csv::is_requested(&headers);
    let page = query.to_page_query(scope, is_csv)?;
    let wants_count = query.include_count.unwrap_or(false);
    let (pages, count) = tokens.pages(&caller, scope, filter.to_filter()?, &page, wants_count).await?;
    let reader = ListReader(reader.0.for_tokens(scope));
    if is_csv {
        let mut response = list_stream::respond(pages, reader.0, TokenCsv).await?;
        csv::set_download_headers(response.headers_mut(), token_csv::FILE_NAME);
        return Ok(response);
    }
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
/// One of the caller's tokens or, for custodians, of a service account's. For administrators: any token
/// of the workspace. The response does not contain the token value.
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
    /// For administrators and custodians: the owner of the tokens; the caller by default.
    person_id: Option<i64>,
}

/// Delete all tokens of a person
///
/// The caller's tokens. For administrators: the tokens of one person of the workspace. For custodians:
/// those of a service account. After the 204 no check accepts any of them. A path with a trailing slash
/// gets 404, so that a request with an empty `tokenId` deletes nothing.
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
/// One of the caller's tokens or, for custodians, of a service account's. For administrators: any token
/// of the workspace. After the 204 no check accepts it.
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
