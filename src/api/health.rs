//! Whether the service lives and is ready; without authentication.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ApiError, error::ApiResult};
use crate::{app::App, service::health::Health};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

#[derive(Debug, Serialize, ToSchema)]
struct HealthView {
    /// Always `ok`: what is not well is not 200.
    status: &'static str,
}

const OK: HealthView = HealthView { status: "ok" };

/// The process runs
#[utoipa::path(get, path = "/health/live", operation_id = "getLiveness", tag = "health", security(()),
    responses((status = 200, description = "It does", body = HealthView)))]
async fn live() -> Json<HealthView> {
    Json(OK)
}

/// The store can be reached and has the right schema
#[utoipa::path(get, path = "/health/ready", operation_id = "getReadiness", tag = "health", security(()),
    responses((status = 200, description = "Ready to answer", body = HealthView)))]
async fn ready(State(health): State<Health>) -> ApiResult<Json<HealthView>> {
    health.check().await.map_err(ApiError::NotReady)?;
    Ok(Json(OK))
}
