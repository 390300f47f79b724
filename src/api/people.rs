//! `/v4/people`: the people of the caller's workspace.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    error::ApiResult,
    extract::{AdminCaller, AnyCaller, PasswordChanger, PersonIdPath},
    person_create::{CreatePersonBody, FirstPassword},
    person_patch::PatchPerson,
    serde_types::{Created, PersonKindName, TokenAccessName, Updated, nullable_timestamp_schema, timestamp_schema},
    stream::{self, ListReader, ListTrailer},
    strict_json::JsonBody,
    strict_query::{Paging, StrictQuery},
};
use crate::{
    app::App,
    domain::{
        ValidationError,
        id::{PersonId, WorkspaceId},
        person::{EmailKey, Person},
        service_account::PersonKind,
        time::Timestamp,
    },
    http::json::Json,
    service::{
        Error, Invites, People,
        invites::{InviteLink, InvitePerson},
        people::{ActorKind, CreatePerson, CreateServiceAccount, PersonFilter, UpdatePerson},
    },
};

/// The number of rows of a list without `limit`, as in the original API.
pub(super) const DEFAULT_LIMIT: i64 = 25;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(current)).routes(routes!(get, update, delete))
}

/// A person with an account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Person)]
struct PersonView {
    id: i64,
    /// A person, or a service account.
    kind: PersonKindName,
    /// Null for a service account.
    #[schema(required)]
    email: Option<String>,
    name: String,
    is_admin: bool,
    is_platform_admin: bool,
    is_disabled: bool,
    /// The parties that disabled the person, `administrator`, `directory` and `scim`; empty if not disabled.
    /// Each lifts only its own.
    disabled_by: Vec<&'static str>,
    /// `default` follows the workspace's `allowUsers`.
    #[schema(value_type = TokenAccessName)]
    token_access: &'static str,
    workspace_id: i64,
    /// Always `active`.
    state: &'static str,
    /// The login at the identity provider; null for a person who signs in with a local password.
    #[schema(required)]
    sso_principal: Option<String>,
    /// The password must be changed before any other use of it.
    force_password_change: bool,
    /// Present if the person has switched off e-mail about tokens that expire soon: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    notify_on_expiry: Option<bool>,
    /// The last sign-in by password, with a precision of one minute.
    #[schema(schema_with = nullable_timestamp_schema, required)]
    last_login_time: Option<Timestamp>,
    #[schema(schema_with = timestamp_schema)]
    created_at: Timestamp,
    #[schema(schema_with = timestamp_schema)]
    updated_at: Timestamp,
    /// The IDs of the people who manage the tokens of a service account; absent for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    custodians: Option<Vec<i64>>,
}

impl From<Person> for PersonView {
    fn from(person: Person) -> Self {
        Self {
            id: person.id.get(),
            is_platform_admin: person.can_manage_workspaces(),
            kind: person.kind.into(),
            email: person.email().map(str::to_owned),
            custodians: person.is_service_account().then(|| person.custodians.iter().map(|id| id.get()).collect()),
            name: person.name,
            is_admin: person.is_admin,
            is_disabled: person.is_disabled,
            disabled_by: person.disabled_by.names().collect(),
            token_access: person.token_access.as_str(),
            workspace_id: person.workspace_id.get(),
            state: "active",
            sso_principal: person.sso_principal,
            force_password_change: person.force_password_change,
            notify_on_expiry: (!person.notify_on_expiry).then_some(false),
            last_login_time: person.last_login_at,
            created_at: person.created_at,
            updated_at: person.updated_at,
        }
    }
}

/// A person who was added, with the invite link if there is one.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreatedPerson {
    #[serde(flatten)]
    person: PersonView,
    /// The invite link, a secret URL. Absent without `invite`. No other response contains it.
    #[serde(skip_serializing_if = "Option::is_none")]
    invite_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = timestamp_schema)]
    invite_expires_at: Option<Timestamp>,
}

// Documents the response that `stream` writes row by row.
#[derive(Debug, Serialize, ToSchema)]
struct PersonList {
    data: Vec<PersonView>,
    /// The total number of people; with `includeCount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    count: Option<i64>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct PersonFilterQuery {
    /// Only the person with this e-mail.
    email: Option<String>,
    /// Only people who are disabled (`true`), or only those who are not (`false`).
    is_disabled: Option<bool>,
    /// Only people in this state. All people are `active`, including disabled ones.
    #[param(inline)]
    state: Option<PersonState>,
    /// `person` (the default): people; `service`: service accounts.
    #[param(inline)]
    kind: Option<PersonKindName>,
}

/// The states of people in the original API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum PersonState {
    Active,
    Hidden,
}

/// Checks the optional repetition of a password, which reveals typing errors.
pub(super) fn check_password_confirmation(password: &str, confirmation: Option<&str>) -> Result<(), ValidationError> {
    if confirmation.is_some_and(|confirmation| confirmation != password) {
        Err(ValidationError::PasswordMismatch)
    } else {
        Ok(())
    }
}

/// Get the current person
///
/// The caller. SDKs use this operation to test a connection and a credential.
#[utoipa::path(get, path = "/v4/people/current", operation_id = "getCurrentPerson", tag = "people",
    responses((status = 200, description = "The caller", body = PersonView)))]
async fn current(AnyCaller(caller): AnyCaller, State(people): State<People>) -> ApiResult<Json<PersonView>> {
    Ok(Json(people.find(&caller, PersonId::of(&caller)).await?.into()))
}

/// List people
///
/// For administrators: the people of the workspace, or its service accounts.
#[utoipa::path(get, path = "/v4/people", operation_id = "listPeople", tag = "people", params(Paging, PersonFilterQuery),
    responses((status = 200, description = "The people, by ID", body = PersonList)))]
async fn list(
    AdminCaller(admin): AdminCaller,
    reader: ListReader,
    State(people): State<People>,
    StrictQuery(paging): StrictQuery<Paging>,
    StrictQuery(filter): StrictQuery<PersonFilterQuery>,
) -> ApiResult<Response> {
    let (limit, offset) = paging.validate(DEFAULT_LIMIT)?;
    if filter.state == Some(PersonState::Hidden) {
        let empty = PersonList { data: Vec::new(), count: paging.wants_count().then_some(0) };
        return Ok(Json(empty).into_response());
    }
    let kind = filter.kind.map_or(PersonKind::Person, PersonKind::from);
    let email = filter.email.as_deref().map(EmailKey::from_text);
    let filter = PersonFilter { email, is_disabled: filter.is_disabled, kind: Some(kind) };
    let (pages, count) = people.pages(&admin, filter, (limit, offset), paging.wants_count()).await?;
    stream::respond(pages, reader, PersonView::from, move |_| ListTrailer { count, next_cursor: None }).await
}

/// Get a person
///
/// The caller. For administrators: any person of the workspace.
#[utoipa::path(get, path = "/v4/people/{id}", operation_id = "getPerson", tag = "people",
    params(("id" = i64, Path, description = "The person's ID")),
    responses((status = 200, description = "The person", body = PersonView)))]
async fn get(
    AnyCaller(caller): AnyCaller,
    PersonIdPath(id): PersonIdPath,
    State(people): State<People>,
) -> ApiResult<Json<PersonView>> {
    Ok(Json(people.find(&caller, id).await?.into()))
}

/// Add a person
///
/// For administrators: adds a person to the workspace, with a password or with an invite link. If an
/// identity provider is configured, neither is required: the person is linked to it later. An e-mail
/// has one account in the whole service. With `kind: service`: adds a service account, which has a name
/// and custodians instead of e-mail and password.
#[utoipa::path(post, path = "/v4/people", operation_id = "createPerson", tag = "people", request_body = CreatePersonBody,
    responses((status = 201, description = "The person", body = CreatedPerson,
            headers(("Location" = String, description = "The path of the person: `/v4/people/{id}`")))))]
async fn create(
    AdminCaller(admin): AdminCaller,
    State(people): State<People>,
    State(invites): State<Invites>,
    JsonBody(body): JsonBody<CreatePersonBody>,
) -> ApiResult<Created<CreatedPerson>> {
    let (initiator, workspace_id) = (ActorKind::Person(&admin), WorkspaceId::of(&admin));
    let (name, is_admin) = (&body.name, body.is_admin.unwrap_or(false));
    if body.is_service_account()? {
        let request = CreateServiceAccount { name, custodians: &body.custodian_ids()?, is_admin };
        return Ok(created(people.add_service_account(initiator, workspace_id, request).await?, None));
    }
    let email = body.email()?;
    let (person, link) = match body.password()? {
        FirstPassword::Password(password) => {
            check_password_confirmation(password, body.password2.as_deref())?;
            let (is_platform_admin, force_password_change) = (false, false);
            let request = CreatePerson { email, name, password, is_admin, is_platform_admin, force_password_change };
            (people.add(initiator, workspace_id, request).await?, None)
        }
        FirstPassword::Provider => {
            (people.add_without_password(initiator, workspace_id, email, name, is_admin).await?, None)
        }
        FirstPassword::Invite => {
            let request = InvitePerson { email, name, is_admin, is_platform_admin: false };
            let (person, link) = invites.add_person(initiator, workspace_id, request).await?;
            (person, Some(link))
        }
    };
    Ok(created(person, link))
}

fn created(person: Person, link: Option<InviteLink>) -> Created<CreatedPerson> {
    let location = format!("/v4/people/{}", person.id);
    let invite_expires_at = link.as_ref().map(|link| link.expires_at);
    let body = CreatedPerson { person: person.into(), invite_url: link.map(|link| link.url), invite_expires_at };
    Created { location, body }
}

/// Update a person
///
/// Callers may change their own name and password. Administrators may change all fields of any
/// person in the workspace. Either all sent fields are changed, or none. Callers who change their
/// own password must authenticate with e-mail and password, not with a token. The fields of a service
/// account are changed by administrators only.
#[utoipa::path(patch, path = "/v4/people/{id}", operation_id = "patchPerson", tag = "people",
    params(("id" = i64, Path, description = "The person's ID")), request_body = PatchPerson,
    responses((status = 200, description = "Updated", body = Updated)))]
async fn update(
    caller: PasswordChanger,
    PersonIdPath(id): PersonIdPath,
    State(people): State<People>,
    JsonBody(body): JsonBody<PatchPerson>,
) -> ApiResult<Json<Updated>> {
    let person_id = PersonId::of(&caller.actor);
    let is_own = id == person_id;
    if caller.must_change_password && !(is_own && body.changes_only_password()) {
        return Err(Error::PasswordChangeRequired { person_id }.into());
    }
    let custodians = body.custodian_ids();
    let update = UpdatePerson {
        proof: caller.proof.as_ref().filter(|_| is_own),
        custodians: custodians.as_deref(),
        ..body.to_update()?
    };
    let updated_at =
        people.update(ActorKind::Person(&caller.actor), WorkspaceId::of(&caller.actor), id, &update).await?;
    Ok(Json(Updated { id: id.get(), updated_at }))
}

/// Delete a person
///
/// For administrators, who cannot delete their own account. The person's tokens are deleted as
/// well.
#[utoipa::path(delete, path = "/v4/people/{id}", operation_id = "deletePerson", tag = "people",
    params(("id" = i64, Path, description = "The person's ID")),
    responses((status = 204, description = "Deleted")))]
async fn delete(
    AdminCaller(admin): AdminCaller,
    PersonIdPath(id): PersonIdPath,
    State(people): State<People>,
) -> ApiResult<StatusCode> {
    people.remove(&admin, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
