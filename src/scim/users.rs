//! `/scim/v2/Users`.

use axum::{
    Extension,
    extract::{FromRef, FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
};
use serde_json::json;

use super::{
    BaseUrl, ScimError,
    authenticate::Client,
    body::{ScimBody, ScimJson},
    patch::parse_patch,
    query::ScimQuery,
    user_body::UserBody,
    user_view::{location, view},
};
use crate::{
    app::App,
    domain::id::PersonId,
    service::{
        Error, Scim,
        scim::{CreateScimUser, ScimChange, ScimClient, ScimUserPage},
    },
};

pub(super) const LIST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// The ID of a user in the path. Text that is not a canonical number names no user.
pub(super) struct UserId(PersonId);

impl<S: Send + Sync> FromRequestParts<S> for UserId
where
    App: FromRef<S>,
{
    type Rejection = ScimError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ScimError> {
        let text = Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text).unwrap_or_default();
        let id = text.parse::<i64>().ok().filter(|id| id.to_string() == text);
        id.map(|id| Self(PersonId::new(id))).ok_or(Error::ScimUserNotFound.into())
    }
}

/// Lists users. Without a match, the list is empty.
pub(super) async fn list(
    Client(client): Client,
    State(scim): State<Scim>,
    Extension(base): Extension<BaseUrl>,
    query: ScimQuery,
) -> Result<ScimJson, ScimError> {
    page(&client, &scim, &base, query).await
}

/// Lists users by a query in the body. Users are the only resources, so a search over all types finds
/// the same.
pub(super) async fn search(
    Client(client): Client,
    State(scim): State<Scim>,
    Extension(base): Extension<BaseUrl>,
    ScimBody(body): ScimBody,
) -> Result<ScimJson, ScimError> {
    page(&client, &scim, &base, ScimQuery::from_body(&body)?).await
}

async fn page(client: &ScimClient, scim: &Scim, base: &BaseUrl, query: ScimQuery) -> Result<ScimJson, ScimError> {
    let part = (query.count, query.start_index - 1);
    let ScimUserPage { users, total } = scim.list_users(client, query.filter, part).await?;
    let users: Vec<_> = users.iter().map(|user| view(base, user, &query.selection)).collect();
    Ok(ScimJson::ok(json!({
        "schemas": [LIST_SCHEMA],
        "totalResults": total,
        "startIndex": query.start_index,
        "itemsPerPage": users.len(),
        "Resources": users,
    })))
}

/// Reads a user.
pub(super) async fn find(
    Client(client): Client,
    UserId(id): UserId,
    State(scim): State<Scim>,
    Extension(base): Extension<BaseUrl>,
    query: ScimQuery,
) -> Result<ScimJson, ScimError> {
    let user = scim.find_user(&client, id).await?;
    Ok(ScimJson::ok(view(&base, &user, &query.selection)))
}

/// Creates a user.
pub(super) async fn create(
    Client(client): Client,
    State(scim): State<Scim>,
    Extension(base): Extension<BaseUrl>,
    query: ScimQuery,
    ScimBody(body): ScimBody,
) -> Result<ScimJson, ScimError> {
    let UserBody { attributes, is_active } = UserBody::parse(&body)?;
    let new = CreateScimUser { attributes, is_active: is_active.unwrap_or(true) };
    let user = scim.create_user(&client, new).await?;
    let body = view(&base, &user, &query.selection);
    Ok(ScimJson { status: StatusCode::CREATED, location: Some(location(&base, &user)), body })
}

/// Replaces a user. A state that is not sent is kept.
pub(super) async fn replace(
    Client(client): Client,
    UserId(id): UserId,
    State(scim): State<Scim>,
    Extension(base): Extension<BaseUrl>,
    query: ScimQuery,
    ScimBody(body): ScimBody,
) -> Result<ScimJson, ScimError> {
    let UserBody { attributes, is_active } = UserBody::parse(&body)?;
    let user = scim.change_user(&client, id, &ScimChange::Replace { attributes, is_active }).await?;
    Ok(ScimJson::ok(view(&base, &user, &query.selection)))
}

/// Changes attributes of a user.
pub(super) async fn change(
    Client(client): Client,
    UserId(id): UserId,
    State(scim): State<Scim>,
    Extension(base): Extension<BaseUrl>,
    query: ScimQuery,
    ScimBody(body): ScimBody,
) -> Result<ScimJson, ScimError> {
    let edits = parse_patch(&body)?;
    let user = scim.change_user(&client, id, &ScimChange::Edit(edits)).await?;
    Ok(ScimJson::ok(view(&base, &user, &query.selection)))
}

/// Deletes a user.
pub(super) async fn delete(
    Client(client): Client,
    UserId(id): UserId,
    State(scim): State<Scim>,
) -> Result<StatusCode, ScimError> {
    scim.delete_user(&client, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
