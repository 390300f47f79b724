//! `/v4/people/{id}/trust`: the trust rules of a service account.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    error::ApiResult,
    extract::{AdminCaller, PersonIdPath, TrustRulePath},
    json_object::JsonFields,
    serde_types::{Created, WholeNumber, not_null, nullable_timestamp_schema, timestamp_schema},
    strict_json::JsonBody,
};
use crate::{
    app::App,
    domain::{
        time::Timestamp,
        trust_rule::{Condition, ConditionText, Expectation, TrustRule, TrustRuleText},
    },
    http::json::Json,
    service::WorkloadIdentity,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(delete))
}

/// A trust rule: the JWTs of an issuer that the service account accepts in exchange for tokens.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TrustRule)]
struct TrustRuleView {
    id: Uuid,
    /// The claim `iss`.
    issuer: String,
    /// The public keys of the issuer (RFC 7517); absent: they are found by discovery.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    jwks: Option<Value>,
    /// The audience that the claim `aud` must contain.
    audience: String,
    conditions: Vec<ConditionView>,
    /// The maximum lifetime of the tokens.
    max_lifetime_seconds: i64,
    /// The scopes of the tokens; absent: they are unrestricted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scopes: Option<Vec<String>>,
    /// Each JWT is accepted once.
    single_use: bool,
    #[schema(schema_with = timestamp_schema)]
    created_at: Timestamp,
    /// When the last token was issued; null: never.
    #[schema(schema_with = nullable_timestamp_schema, required)]
    last_used: Option<Timestamp>,
    /// The number of tokens that were issued.
    issued_tokens: i64,
}

/// A condition on a claim: `value` is its exact text, or `glob` a pattern in which `*` stands for
/// characters other than `/` and `:`, and `**` for any.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TrustCondition)]
struct ConditionView {
    /// The name of the claim, or a JSON pointer that begins with a slash.
    #[schema(min_length = 1, max_length = 255, examples("repository_id"))]
    claim: String,
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 255, examples("74"))]
    value: Option<String>,
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, min_length = 2, max_length = 255)]
    glob: Option<String>,
}

impl From<&Condition> for ConditionView {
    fn from(condition: &Condition) -> Self {
        let (value, glob) = match &condition.expectation {
            Expectation::Value(text) => (Some(text.clone()), None),
            Expectation::Glob(text) => (None, Some(text.clone())),
        };
        Self { claim: condition.claim.as_str().to_owned(), value, glob }
    }
}

impl From<TrustRule> for TrustRuleView {
    fn from(rule: TrustRule) -> Self {
        let terms = rule.terms;
        let is_restricted = !terms.scopes.is_unrestricted();
        Self {
            id: rule.id,
            issuer: terms.issuer,
            jwks: terms.key_set.and_then(|keys| serde_json::from_str(keys.as_str()).ok()),
            audience: terms.audience,
            conditions: terms.conditions.iter().map(ConditionView::from).collect(),
            max_lifetime_seconds: terms.max_lifetime_seconds,
            scopes: is_restricted.then(|| terms.scopes.words().map(str::to_owned).collect()),
            single_use: terms.single_use,
            created_at: rule.created_at,
            last_used: rule.last_used_at,
            issued_tokens: rule.issued_tokens,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct TrustRuleList {
    data: Vec<TrustRuleView>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreateTrustRule)]
struct CreateBody {
    /// The claim `iss`, byte for byte: an https:// URL.
    #[schema(min_length = 1, max_length = 1024, examples("https://token.actions.githubusercontent.com"))]
    issuer: String,
    /// The public keys of the issuer (RFC 7517). Leave it out to find them by discovery.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Object, required = false)]
    jwks: Option<Value>,
    /// The audience that the claim `aud` must contain; no default of the issuer.
    #[schema(min_length = 1, max_length = 255, examples("https://tokens.example.com"))]
    audience: String,
    /// All must hold. At least one is the exact value of a claim that the issuer never gives to another
    /// workload.
    #[schema(min_items = 1, max_items = 16)]
    conditions: Vec<ConditionView>,
    /// 1 to 3600; 3600 by default.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 3600)]
    max_lifetime_seconds: Option<WholeNumber>,
    /// The scopes of the tokens. Leave it out for unrestricted tokens.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Vec<String>, required = false, max_items = 32)]
    scopes: Option<Vec<String>>,
    /// False only with the exact UID of a Kubernetes service account; true by default.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = bool, required = false)]
    single_use: Option<bool>,
}

impl JsonFields for CreateBody {
    const IS_STRICT: bool = true;
}

/// List trust rules
///
/// For administrators, with an unrestricted token or password: the trust rules of a service account,
/// oldest first.
#[utoipa::path(get, path = "/v4/people/{id}/trust", operation_id = "listTrustRules", tag = "people",
    params(("id" = i64, Path, description = "The ID of the service account")),
    responses((status = 200, description = "The trust rules", body = TrustRuleList)))]
async fn list(
    AdminCaller(admin): AdminCaller,
    PersonIdPath(id): PersonIdPath,
    State(workload_identity): State<WorkloadIdentity>,
) -> ApiResult<Json<TrustRuleList>> {
    let rules = workload_identity.list(&admin, id).await?;
    Ok(Json(TrustRuleList { data: rules.into_iter().map(TrustRuleView::from).collect() }))
}

/// Create a trust rule
///
/// For administrators, with an unrestricted token or password. From now on `POST /oauth2/token` issues
/// tokens of the service account for JWTs that the rule accepts. A rule is never changed.
#[utoipa::path(post, path = "/v4/people/{id}/trust", operation_id = "createTrustRule", tag = "people",
    params(("id" = i64, Path, description = "The ID of the service account")), request_body = CreateBody,
    responses((status = 201, description = "Created", body = TrustRuleView)))]
async fn create(
    AdminCaller(admin): AdminCaller,
    PersonIdPath(id): PersonIdPath,
    State(workload_identity): State<WorkloadIdentity>,
    JsonBody(body): JsonBody<CreateBody>,
) -> ApiResult<Created<TrustRuleView>> {
    let text = |condition: ConditionView| {
        let ConditionView { claim, value, glob } = condition;
        ConditionText { claim, value, glob }
    };
    let conditions: Vec<ConditionText> = body.conditions.into_iter().map(text).collect();
    let rule = TrustRuleText {
        issuer: &body.issuer,
        jwks: body.jwks.as_ref(),
        audience: &body.audience,
        conditions: &conditions,
        max_lifetime_seconds: body.max_lifetime_seconds.map(|WholeNumber(seconds)| seconds),
        scopes: body.scopes.as_deref(),
        single_use: body.single_use,
    };
    let rule = workload_identity.create(&admin, id, &rule).await?;
    Ok(Created { location: format!("/v4/people/{id}/trust/{}", rule.id), body: rule.into() })
}

/// Delete a trust rule
///
/// For administrators, with an unrestricted token or password. After the response no auth check accepts a
/// token that was issued by the rule.
#[utoipa::path(delete, path = "/v4/people/{id}/trust/{ruleId}", operation_id = "deleteTrustRule", tag = "people",
    params(("id" = i64, Path, description = "The ID of the service account"),
        ("ruleId" = Uuid, Path, description = "The ID of the trust rule")),
    responses((status = 204, description = "Deleted")))]
async fn delete(
    AdminCaller(admin): AdminCaller,
    TrustRulePath { account_id, rule_id }: TrustRulePath,
    State(workload_identity): State<WorkloadIdentity>,
) -> ApiResult<StatusCode> {
    workload_identity.delete(&admin, account_id, rule_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
