//! `/v4/people`: the people of the caller's workspace.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    error::ApiResult,
    extract::{Admin, Caller, PasswordChanger, PersonId},
    json_object::Fields,
    person_patch::PatchPerson,
    serde_types::{Updated, moment, moment_or_null},
    stream::{self, Reader, Tail},
    strict_json::JsonBody,
    strict_query::{Paging, QueryOf},
};
use crate::{
    app::App,
    domain::{
        Invalid,
        person::{EmailKey, Person},
        time::Timestamp,
    },
    service::{
        People, Refusal,
        people::{Add, By, Change, PersonFilter},
    },
};

/// Rows of a list where no limit is given, as on the original.
pub(super) const DEFAULT_LIMIT: i64 = 25;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(current)).routes(routes!(find, change, delete))
}

/// Somebody with an account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Person)]
struct PersonView {
    id: i64,
    email: String,
    name: String,
    is_admin: bool,
    is_platform_admin: bool,
    is_disabled: bool,
    /// `default` follows the workspace's `allowUsers`.
    #[schema(pattern = "^(default|enabled|disabled)$")]
    token_access: &'static str,
    workspace_id: i64,
    /// Always `active`.
    state: &'static str,
    /// Always null.
    #[schema(value_type = Option<String>)]
    sso_principal: Option<()>,
    /// Whether the password must be changed before anything else is done with it.
    force_password_change: bool,
    /// The last sign-in by password, to the minute.
    #[schema(schema_with = moment_or_null)]
    last_login_time: Option<Timestamp>,
    #[schema(schema_with = moment)]
    created_at: Timestamp,
    #[schema(schema_with = moment)]
    updated_at: Timestamp,
}

impl From<Person> for PersonView {
    fn from(person: Person) -> Self {
        Self {
            id: person.id,
            is_platform_admin: person.manages_workspaces(),
            email: person.email,
            name: person.name,
            is_admin: person.is_admin,
            is_disabled: person.is_disabled,
            token_access: person.token_access.as_str(),
            workspace_id: person.workspace_id,
            state: "active",
            sso_principal: None,
            force_password_change: person.force_password_change,
            last_login_time: person.last_login_at,
            created_at: person.created_at,
            updated_at: person.updated_at,
        }
    }
}

// The schema of what `stream` writes row by row.
#[derive(Debug, Serialize, ToSchema)]
struct PersonList {
    data: Vec<PersonView>,
    /// How many there are in all; with `includeCount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<i64>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct FilterQuery {
    /// Only the person with this e-mail.
    email: Option<String>,
    /// Only people who are disabled, or only those who are not.
    is_disabled: Option<bool>,
    /// Only people of this state. All are `active`; those that are disabled, too.
    #[param(inline)]
    state: Option<StateName>,
}

/// The states of people on the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum StateName {
    Active,
    Hidden,
}

/// Somebody to be added.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(examples(json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse battery staple"})))]
struct CreatePerson {
    #[schema(schema_with = super::person_patch::email)]
    email: String,
    #[schema(max_length = 255, pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$")]
    name: String,
    /// 15 to 128 characters; common passwords are refused.
    #[schema(format = Password, min_length = 8, max_length = 128)]
    password: String,
    /// If sent, it must equal `password`.
    #[schema(format = Password)]
    password2: Option<String>,
    is_admin: Option<bool>,
}

impl Fields for CreatePerson {
    fn meant(plain: &str) -> Option<&'static str> {
        meant(plain)
    }
}

/// The field of a person that other words stand for.
pub(super) fn meant(plain: &str) -> Option<&'static str> {
    match plain {
        "mail" | "emailaddress" => Some("email"),
        "newpassword" | "passwd" | "passphrase" => Some("password"),
        _ => None,
    }
}

/// A repetition that differs is a slip in one of the two.
pub(super) fn check_repetition(password: &str, repeated: Option<&str>) -> Result<(), Invalid> {
    if repeated.is_some_and(|repeated| repeated != password) { Err(Invalid::PasswordRepeat) } else { Ok(()) }
}

/// Read oneself
#[utoipa::path(get, path = "/v4/people/current", operation_id = "getCurrentPerson", tag = "people",
    responses((status = 200, description = "The caller", body = PersonView), (status = 401), (status = 403), (status = 404)))]
async fn current(Caller(caller): Caller, State(people): State<People>) -> ApiResult<Json<PersonView>> {
    Ok(Json(people.find(&caller, caller.person_id).await?.into()))
}

/// List the people of the workspace
///
/// For administrators.
#[utoipa::path(get, path = "/v4/people", operation_id = "listPeople", tag = "people", params(Paging, FilterQuery),
    responses((status = 200, description = "The people, by id", body = PersonList), (status = 400), (status = 401), (status = 403)))]
async fn list(
    Admin(admin): Admin,
    reader: Reader,
    State(people): State<People>,
    QueryOf(paging): QueryOf<Paging>,
    QueryOf(filter): QueryOf<FilterQuery>,
) -> ApiResult<Response> {
    let (limit, offset) = paging.checked(DEFAULT_LIMIT)?;
    if filter.state == Some(StateName::Hidden) {
        let none = PersonList { data: Vec::new(), count: paging.is_counted().then_some(0) };
        return Ok(Json(none).into_response());
    }
    let filter = PersonFilter { email: filter.email.as_deref().map(EmailKey::of), is_disabled: filter.is_disabled };
    let (pages, count) = people.pages(&admin, filter, (limit, offset), paging.is_counted()).await?;
    stream::respond(pages, reader, PersonView::from, move |_| Tail { count, next_cursor: None }).await
}

/// Read somebody
///
/// Oneself, or for administrators anybody of the workspace.
#[utoipa::path(get, path = "/v4/people/{id}", operation_id = "getPerson", tag = "people",
    params(("id" = i64, Path, description = "The person's id")),
    responses((status = 200, description = "The person", body = PersonView), (status = 401), (status = 403), (status = 404)))]
async fn find(
    Caller(caller): Caller,
    PersonId(id): PersonId,
    State(people): State<People>,
) -> ApiResult<Json<PersonView>> {
    Ok(Json(people.find(&caller, id).await?.into()))
}

/// Add somebody to the workspace
///
/// For administrators. An e-mail has one account in the whole service.
#[utoipa::path(post, path = "/v4/people", operation_id = "createPerson", tag = "people", request_body = CreatePerson,
    responses((status = 201, description = "The person", body = PersonView), (status = 400), (status = 401), (status = 403),
        (status = 404), (status = 409), (status = 413), (status = 415)))]
async fn create(
    Admin(admin): Admin,
    State(people): State<People>,
    JsonBody(body): JsonBody<CreatePerson>,
) -> ApiResult<(StatusCode, Json<PersonView>)> {
    check_repetition(&body.password, body.password2.as_deref())?;
    let add = Add {
        email: &body.email,
        name: &body.name,
        password: &body.password,
        is_admin: body.is_admin.unwrap_or(false),
        is_platform_admin: false,
        force_password_change: false,
    };
    let person = people.add(By::Person(&admin), admin.workspace_id, add).await?;
    Ok((StatusCode::CREATED, Json(person.into())))
}

/// Change somebody
///
/// Oneself: name and password; administrators also the rest, of anybody in the workspace. Everything that is sent is changed,
/// or nothing. Changing one's own password needs e-mail and password as credential, not a token.
#[utoipa::path(patch, path = "/v4/people/{id}", operation_id = "patchPerson", tag = "people",
    params(("id" = i64, Path, description = "The person's id")), request_body = PatchPerson,
    responses((status = 200, description = "Changed", body = Updated), (status = 400), (status = 401), (status = 403),
        (status = 404), (status = 409), (status = 413), (status = 415)))]
async fn change(
    caller: PasswordChanger,
    PersonId(id): PersonId,
    State(people): State<People>,
    JsonBody(body): JsonBody<PatchPerson>,
) -> ApiResult<Json<Updated>> {
    let person_id = caller.actor.person_id;
    if caller.must_change_password && !(id == person_id && body.changes_only_the_password()) {
        return Err(Refusal::PasswordChangeRequired { person_id }.into());
    }
    let is_own = id == person_id;
    let change = Change { proof: caller.proof.as_ref().filter(|_| is_own), ..body.as_change()? };
    let updated_at = people.change(By::Person(&caller.actor), caller.actor.workspace_id, id, &change).await?;
    Ok(Json(Updated { id, updated_at }))
}

/// Remove somebody
///
/// For administrators, not oneself. The person's tokens go, too.
#[utoipa::path(delete, path = "/v4/people/{id}", operation_id = "deletePerson", tag = "people",
    params(("id" = i64, Path, description = "The person's id")),
    responses((status = 204, description = "Removed"), (status = 401), (status = 403), (status = 404), (status = 409)))]
async fn delete(Admin(admin): Admin, PersonId(id): PersonId, State(people): State<People>) -> ApiResult<StatusCode> {
    people.remove(&admin, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
