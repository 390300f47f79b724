//! `/v4/leaks` and `/.well-known/api-token-format`: for whoever finds a token where it should not be. Without authentication.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use zeroize::Zeroizing;

use super::{ApiError, error::ApiResult, json_object::Fields, strict_json::JsonBody};
use crate::{
    app::App,
    config::Delegate,
    service::{Leaks, leaks::MOST_VALUES},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(report))
}

/// The route that says where to report, which depends on the configuration.
pub(super) fn format_routes(config: &Delegate) -> OpenApiRouter<App> {
    let issuer = config.issuer().to_owned();
    OpenApiRouter::new().routes(routes!(format)).layer(axum::Extension(Issuer(issuer)))
}

#[derive(Clone)]
struct Issuer(String);

#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({"values": ["twd_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1234567"]})))]
struct ReportLeak {
    /// What was found.
    #[schema(max_items = 100, value_type = Vec<String>)]
    values: Vec<Zeroizing<String>>,
}

impl Fields for ReportLeak {}

/// Report leaked tokens
///
/// Anybody may: whoever has a value could use it. Tokens that live are deleted, and events tell their owners. The answer does not say
/// whether there were any.
#[utoipa::path(post, path = "/v4/leaks", operation_id = "reportLeak", tag = "leaks", security(()), request_body = ReportLeak,
    responses((status = 202, description = "Those that lived are deleted"), (status = 400), (status = 413), (status = 415), (status = 429)))]
async fn report(State(leaks): State<Leaks>, JsonBody(body): JsonBody<ReportLeak>) -> ApiResult<StatusCode> {
    if body.values.len() > MOST_VALUES as usize {
        return Err(ApiError::Form(format!("values must have at most {MOST_VALUES} elements.")));
    }
    leaks.report(&body.values).await?;
    Ok(StatusCode::ACCEPTED)
}

/// What token values look like, and where to report one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TokenFormat {
    /// What values that are made now begin with.
    #[schema(examples("twd_"))]
    prefix: String,
    /// All beginnings that are accepted.
    prefixes: Vec<String>,
    /// A regular expression that finds values; without anchors.
    #[schema(examples("twd_[0-9A-Za-z]{49}"))]
    regular_expression: String,
    checksum: Checksum,
    /// Where to send values that were found: POST a JSON object with `values`.
    report_to: String,
}

/// How to tell a value from what only looks like one.
#[derive(Debug, Serialize, ToSchema)]
struct Checksum {
    algorithm: &'static str,
    covers: &'static str,
    encoding: &'static str,
    characters: usize,
}

/// Learn what token values look like
///
/// For scanners: prefix, regular expression, checksum, and where to report what was found.
#[utoipa::path(get, path = "/.well-known/api-token-format", operation_id = "getTokenFormat", tag = "leaks", security(()),
    responses((status = 200, description = "The format", body = TokenFormat)))]
async fn format(
    State(leaks): State<Leaks>,
    axum::Extension(Issuer(issuer)): axum::Extension<Issuer>,
) -> Json<TokenFormat> {
    let format = leaks.format();
    let prefixes: Vec<String> = format.prefixes().map(|prefix| format!("{}_", prefix.as_str())).collect();
    Json(TokenFormat {
        prefix: prefixes.first().cloned().unwrap_or_default(),
        prefixes,
        regular_expression: format.pattern(),
        checksum: Checksum {
            algorithm: "CRC-32/ISO-HDLC",
            covers: "everything before it, the prefix included",
            encoding: "base62 (0-9A-Za-z), most significant digit first, padded with 0 on the left",
            characters: 6,
        },
        report_to: format!("{issuer}/v4/leaks"),
    })
}
