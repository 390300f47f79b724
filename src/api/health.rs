//! `/health/live` and `/health/ready`: health checks, without authentication.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ApiError, error::ApiResult};
use crate::{app::App, http::json::Json, service::health::Health};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(liveness)).routes(routes!(readiness))
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
struct HealthView {
    /// Always `ok`. A failed check has another HTTP status than 200.
    status: &'static str,
}

const OK: HealthView = HealthView { status: "ok" };

/// Check liveness
///
/// Succeeds while the process runs.
#[utoipa::path(get, path = "/health/live", operation_id = "getLiveness", tag = "health", security(()),
    responses((status = 200, description = "The process runs", body = HealthView)))]
async fn liveness() -> Json<HealthView> {
    Json(OK)
}

/// Check readiness
///
/// Succeeds if the database is reachable and has the expected schema version.
#[utoipa::path(get, path = "/health/ready", operation_id = "getReadiness", tag = "health", security(()),
    responses((status = 200, description = "The service can process requests", body = HealthView)))]
async fn readiness(State(health): State<Health>) -> ApiResult<Json<HealthView>> {
    health.check().await.map_err(ApiError::NotReady)?;
    Ok(Json(OK))
}
