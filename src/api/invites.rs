//! `/v4/people/{id}/invite`: invite links.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    error::ApiResult,
    extract::{AdminCaller, PersonIdPath},
    serde_types::timestamp_schema,
};
use crate::{
    app::App,
    domain::{id::WorkspaceId, time::Timestamp},
    http::json::Json,
    service::{Invites, people::ActorKind},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create))
}

/// A new invite link.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Invite {
    /// The ID of the person; 1 or more.
    id: i64,
    /// The invite link, a secret URL. No other response contains it.
    invite_url: String,
    #[schema(schema_with = timestamp_schema)]
    invite_expires_at: Timestamp,
}

/// Create an invite link
///
/// For administrators: creates a link with which another person of the workspace sets the password,
/// once, within 72 hours. An older link is void. The present password, if there is one, stays valid
/// until the link is used.
#[utoipa::path(post, path = "/v4/people/{id}/invite", operation_id = "invitePerson", tag = "people",
    params(("id" = i64, Path, description = "The person's ID")),
    responses((status = 200, description = "The link", body = Invite)))]
async fn create(
    AdminCaller(admin): AdminCaller,
    PersonIdPath(id): PersonIdPath,
    State(invites): State<Invites>,
) -> ApiResult<Json<Invite>> {
    let (person, link) = invites.create(ActorKind::Person(&admin), WorkspaceId::of(&admin), id).await?;
    Ok(Json(Invite { id: person.id.get(), invite_url: link.url, invite_expires_at: link.expires_at }))
}
