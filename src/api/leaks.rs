//! `/v4/leaks` and `/.well-known/api-token-format`: leak reports and the token format, for secret
//! scanners. Without authentication.

use axum::{Extension, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use zeroize::Zeroizing;

use super::{ApiError, error::ApiResult, json_object::JsonFields, strict_json::JsonBody};
use crate::{
    app::App,
    config::Config,
    domain::event::RequestContext,
    http::json::Json,
    service::{Leaks, leaks::MAX_REPORTED_VALUES},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(report_leak))
}

/// Returns the route of the token format, which contains the public URL.
pub(super) fn format_routes(config: &Config) -> OpenApiRouter<App> {
    let public_url = config.public_url();
    OpenApiRouter::new().routes(routes!(token_format)).layer(Extension(LeakReportBaseUrl(public_url)))
}

#[derive(Clone)]
struct LeakReportBaseUrl(String);

#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({"values": ["twd_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1234567"]})))]
struct ReportLeak {
    /// The token values that were found.
    #[schema(max_items = 100, value_type = Vec<String>)]
    values: Vec<Zeroizing<String>>,
}

impl JsonFields for ReportLeak {}

/// Report leaked tokens
///
/// Requires no authentication: a client that has a value could use it. Active tokens are deleted,
/// and an event is recorded for each owner. The response does not reveal whether there were any.
#[utoipa::path(post, path = "/v4/leaks", operation_id = "reportLeak", tag = "leaks", security(()), request_body = ReportLeak,
    responses((status = 202, description = "Active tokens among the values are deleted")))]
async fn report_leak(
    State(leaks): State<Leaks>,
    Extension(context): Extension<RequestContext>,
    JsonBody(body): JsonBody<ReportLeak>,
) -> ApiResult<StatusCode> {
    if body.values.len() > MAX_REPORTED_VALUES as usize {
        return Err(ApiError::BadRequest(format!(
            "values has {} elements; at most {MAX_REPORTED_VALUES} elements are allowed.",
            body.values.len()
        )));
    }
    leaks.report(&body.values, &context).await?;
    Ok(StatusCode::ACCEPTED)
}

/// The format of token values, and the URL for leak reports.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TokenFormat)]
struct TokenFormatView {
    /// The prefix of values that are issued now.
    #[schema(examples("twd_"))]
    prefix: String,
    /// All accepted prefixes.
    prefixes: Vec<String>,
    /// An unanchored regular expression that matches token values.
    #[schema(examples("twd_[0-9A-Za-z]{49}"))]
    regular_expression: String,
    checksum: Checksum,
    /// The URL for leak reports: POST a JSON object with `values`.
    report_to: String,
}

/// The checksum at the end of a value, which distinguishes token values from similar text.
#[derive(Debug, Serialize, ToSchema)]
struct Checksum {
    algorithm: &'static str,
    covers: &'static str,
    encoding: &'static str,
    characters: usize,
}

/// Get the token format
///
/// For secret scanners: prefix, regular expression, checksum, and the URL for leak reports.
#[utoipa::path(get, path = "/.well-known/api-token-format", operation_id = "getTokenFormat", tag = "leaks", security(()),
    responses((status = 200, description = "The format", body = TokenFormatView)))]
async fn token_format(
    State(leaks): State<Leaks>,
    Extension(LeakReportBaseUrl(public_url)): Extension<LeakReportBaseUrl>,
) -> Json<TokenFormatView> {
    let format = leaks.format();
    let prefixes: Vec<String> = format.prefixes().map(|prefix| format!("{}_", prefix.as_str())).collect();
    Json(TokenFormatView {
        prefix: prefixes.first().cloned().unwrap_or_default(),
        prefixes,
        regular_expression: format.pattern(),
        checksum: Checksum {
            algorithm: "CRC-32/ISO-HDLC",
            covers: "all characters before the checksum, including the prefix",
            encoding: "base62 (0-9A-Za-z), most significant digit first, left-padded with 0",
            characters: 6,
        },
        report_to: format!("{public_url}/v4/leaks"),
    })
}
