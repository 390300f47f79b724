//! `POST /v4/apiAccessTokens/delete`: deletes the tokens that match a filter.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    StatusName,
    filter::{FilterQuery, RequestTime},
    query::scope_of,
};
use crate::{
    api::{
        ApiError,
        error::ApiResult,
        extract::TokenCaller,
        json_object::JsonFields,
        serde_types::{PersonKindName, WholeNumber, not_null, timestamp_schema},
        strict_json::JsonBody,
    },
    app::App,
    domain::ValidationError,
    http::json::Json,
    service::{Tokens, tokens::BulkDeletion},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(delete_matching))
}

/// The tokens to delete: a filter, or `all`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeleteTokens {
    /// True: count the tokens, and delete none.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(required, nullable = false)]
    dry_run: Option<bool>,
    /// Required without a filter, and not allowed with one: delete all tokens of the caller, of the
    /// person, or of the workspace.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false)]
    all: Option<bool>,
    /// For administrators: the tokens of all people of the workspace.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false)]
    all_users: Option<bool>,
    /// For administrators: the tokens of one person. For custodians: those of a service account.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Option<i64>, nullable = false)]
    person_id: Option<WholeNumber>,
    /// Only tokens with this status.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false)]
    status: Option<StatusName>,
    /// Only tokens whose description contains this text. The letters A to Z match in either case.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false, min_length = 1, max_length = 255)]
    description: Option<String>,
    /// Only tokens created before this time.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(schema_with = timestamp_schema, required = false)]
    created_before: Option<RequestTime>,
    /// Only tokens created at or after this time.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(schema_with = timestamp_schema, required = false)]
    created_after: Option<RequestTime>,
    /// Only tokens that expire before this time.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(schema_with = timestamp_schema, required = false)]
    expires_before: Option<RequestTime>,
    /// Only tokens that expire at or after this time. Tokens that never expire do not match.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(schema_with = timestamp_schema, required = false)]
    expires_after: Option<RequestTime>,
    /// Only tokens whose last use was before this time. Tokens that were never used do not match.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(schema_with = timestamp_schema, required = false)]
    last_used_before: Option<RequestTime>,
    /// Only tokens whose last use was at or after this time.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(schema_with = timestamp_schema, required = false)]
    last_used_after: Option<RequestTime>,
    /// `true`: only tokens that were never used; `false`: only tokens that were used.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false)]
    never_used: Option<bool>,
    /// Only tokens with this scope. Unrestricted tokens do not match.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false, pattern = "^[a-z0-9][a-z0-9:._-]{0,63}$")]
    scope: Option<String>,
    /// Only tokens of people (`person`), or only those of service accounts (`service`).
    #[serde(default, deserialize_with = "not_null")]
    #[schema(nullable = false)]
    kind: Option<PersonKindName>,
}

impl JsonFields for DeleteTokens {
    const IS_STRICT: bool = true;
}

impl DeleteTokens {
    fn filter(&self) -> FilterQuery {
        FilterQuery {
            status: self.status,
            description: self.description.clone(),
            created_before: self.created_before,
            created_after: self.created_after,
            expires_before: self.expires_before,
            expires_after: self.expires_after,
            last_used_before: self.last_used_before,
            last_used_after: self.last_used_after,
            never_used: self.never_used,
            scope: self.scope.clone(),
            kind: self.kind,
        }
    }
}

/// The result of a bulk deletion.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeletedTokens)]
struct DeletedTokens {
    /// The number of tokens that matched.
    matched: u64,
    /// The number of tokens that were deleted, at most 1,000. Repeat the request while it is less than
    /// `matched`.
    deleted: u64,
}

impl From<BulkDeletion> for DeletedTokens {
    fn from(deletion: BulkDeletion) -> Self {
        Self { matched: deletion.matched, deleted: deletion.deleted }
    }
}

/// Delete the tokens that match a filter
///
/// The caller's tokens. For administrators with `allUsers` or `personId`: those of the workspace or of
/// one person. For custodians with `personId`: those of a service account. Deletes at most 1,000 tokens;
/// repeat the request while `deleted` is less than `matched`. After the 200 no check accepts any of
/// them. The token that authenticates the request is deleted too if it matches.
#[utoipa::path(post, path = "/v4/apiAccessTokens/delete", operation_id = "deleteMatchingApiAccessTokens", tag = "apiAccessTokens",
    request_body = DeleteTokens,
    responses((status = 200, description = "The numbers of matching and of deleted tokens", body = DeletedTokens)))]
async fn delete_matching(
    TokenCaller(caller): TokenCaller,
    State(tokens): State<Tokens>,
    JsonBody(body): JsonBody<DeleteTokens>,
) -> ApiResult<Json<DeletedTokens>> {
    let is_dry_run = body.dry_run.ok_or(ValidationError::DryRunMissing)?;
    let person_id = body.person_id.map(|id| id.0);
    // A number that is out of the range of an ID saturates.
    if matches!(person_id, Some(i64::MIN | i64::MAX)) {
        return Err(ApiError::BadRequest("personId must be the ID of a person.".to_owned()));
    }
    let scope = scope_of(&caller, body.all_users, person_id);
    let filter = body.filter().to_filter()?;
    let deletion = tokens.delete_matching(&caller, scope, filter, body.all.unwrap_or(false), is_dry_run).await?;
    Ok(Json(deletion.into()))
}
