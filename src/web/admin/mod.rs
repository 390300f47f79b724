//! The admin console: people, settings and tokens of a workspace, and the workspaces of the service.

mod role;
mod service_accounts;
mod setting_preview;
mod settings;
mod tokens;
mod user;
mod user_actions;
mod user_invite;
mod user_password;
mod users;
mod webhook_actions;
mod webhooks;
mod workspaces;

use axum::{Router, routing::get};

use super::{error::see_other, state::WebState};

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/admin", get(async || see_other("/admin/users")))
        .merge(users::routes())
        .merge(user::routes())
        .merge(user_actions::routes())
        .merge(user_password::routes())
        .merge(user_invite::routes())
        .merge(service_accounts::routes())
        .merge(settings::routes())
        .merge(tokens::routes())
        .merge(webhooks::routes())
        .merge(webhook_actions::routes())
        .merge(workspaces::routes())
}
