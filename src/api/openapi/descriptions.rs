//! Descriptions of properties whose schema has no doc comment to take one from: hand-written
//! schemas, and references to other schemas.

use utoipa::openapi::{
    RefOr,
    schema::{AllOf, Object, Schema},
};

/// The descriptions by schema and property.
const DESCRIPTIONS: &[(&str, &[(&str, &str)])] = &[
    (
        "Caller",
        &[
            ("personId", "The ID of the person; 1 or more."),
            ("workspaceId", "The ID of the person's workspace; 1 or more."),
            ("email", "The e-mail of the person, at most 254 bytes."),
            ("name", "The name of the person, at most 255 characters; may be empty."),
            ("isAdmin", "Whether the person is an administrator of the workspace."),
            (
                "tokenExpiredAt",
                "The time at which the token expires, in UTC. Null if it never expires, or if there is no \
                 token.",
            ),
        ],
    ),
    (
        "Checksum",
        &[
            ("algorithm", "The name of the checksum algorithm."),
            ("covers", "The part of the value that the checksum covers."),
            ("encoding", "How the checksum is written."),
            ("characters", "The number of characters of the checksum."),
        ],
    ),
    (
        "CreatePerson",
        &[
            ("email", "The e-mail, 3 to 254 bytes; unique in the whole service, without regard to case."),
            ("isAdmin", "Whether the person is an administrator of the workspace; false by default."),
            ("name", "The name, at most 255 characters; may be empty."),
        ],
    ),
    (
        "CreateToken",
        &[(
            "lifetimeSeconds",
            "The lifetime in seconds, from 1 to 3153600000 (100 years) and within the maximum \
                 lifetime of the workspace. -1: the token never expires, if the workspace allows that.",
        )],
    ),
    (
        "DeleteTokens",
        &[
            ("createdBefore", "Only tokens created before this time."),
            ("createdAfter", "Only tokens created at or after this time."),
            ("expiresBefore", "Only tokens that expire before this time."),
            ("expiresAfter", "Only tokens that expire at or after this time. Tokens that never expire do not match."),
            (
                "lastUsedBefore",
                "Only tokens whose last use was before this time. Tokens that were never used do not match.",
            ),
            ("lastUsedAfter", "Only tokens whose last use was at or after this time."),
        ],
    ),
    (
        "CreateWorkspace",
        &[("admin", "The first administrator of the workspace."), ("name", "The name, 1 to 255 characters.")],
    ),
    (
        "CreatedAdmin",
        &[("email", "The e-mail of the administrator."), ("id", "The person ID of the administrator; 1 or more.")],
    ),
    (
        "CreatedPerson",
        &[("inviteExpiresAt", "The time at which the invite link expires, in UTC. Absent without `invite`.")],
    ),
    ("CreatedToken", &[("tokenInfo", "The token without its value.")]),
    ("CreatedWorkspace", &[("admin", "The first administrator of the workspace.")]),
    (
        "CurrentWorkspace",
        &[
            ("personCount", "The number of people; 1 or more."),
            ("tokenCount", "The number of tokens, including expired ones; 0 or more."),
        ],
    ),
    ("Error", &[("exception", "The error.")]),
    (
        "Event",
        &[
            ("time", "The time of the event, in UTC."),
            (
                "requestId",
                "The ID of the request; empty if no request caused the event, or if the caller may not \
                 see it.",
            ),
            (
                "userAgent",
                "The User-Agent header of the request; empty if there is none, or if the caller may not \
                 see it.",
            ),
        ],
    ),
    ("EventList", &[("data", "The events, newest first.")]),
    (
        "FirstAdmin",
        &[
            ("email", "The e-mail, 3 to 254 bytes; unique in the whole service, without regard to case."),
            ("name", "The name, at most 255 characters; may be empty."),
        ],
    ),
    (
        "Introspection",
        &[
            ("active", "Whether the token authenticates. If false, no other field is present."),
            ("iss", "The public URL of this service."),
            ("tokenward_workspace_id", "The ID of the owner's workspace; 1 or more."),
            ("tokenward_is_admin", "Whether the owner is an administrator of the workspace."),
            ("tokenward_name", "The name of the owner; may be empty."),
        ],
    ),
    ("Invite", &[("inviteExpiresAt", "The time at which the invite link expires, in UTC.")]),
    (
        "OAuthMetadata",
        &[
            ("issuer", "The public URL of this service."),
            ("introspection_endpoint", "The URL of token introspection."),
            (
                "introspection_endpoint_auth_methods_supported",
                "How clients authenticate at the introspection endpoint.",
            ),
            ("revocation_endpoint", "The URL of token revocation."),
            ("revocation_endpoint_auth_methods_supported", "Always `none`: the token is the only credential."),
            ("response_types_supported", "Always empty: there is no authorization endpoint."),
            ("device_authorization_endpoint", "The URL at which a device authorization begins."),
            ("token_endpoint", "The URL at which a grant creates a token."),
            ("token_endpoint_auth_methods_supported", "Always `none`: clients are not registered."),
            ("grant_types_supported", "The grants: device codes (RFC 8628) and token exchange (RFC 8693)."),
        ],
    ),
    (
        "OAuthError",
        &[("error", "The error code (RFC 6749, section 5.2)."), ("error_description", "What to do about the error.")],
    ),
    (
        "PatchPerson",
        &[
            (
                "email",
                "For administrators: the new e-mail, 3 to 254 bytes; unique in the whole service, without \
                 regard to case.",
            ),
            ("name", "The new name, at most 255 characters; may be empty."),
        ],
    ),
    ("PatchSettings", &[("configuration", "The settings to change, each at most once.")]),
    ("PatchWorkspace", &[("name", "The new name, 1 to 255 characters.")]),
    (
        "Person",
        &[
            ("id", "The ID; 1 or more, never reused."),
            ("email", "The e-mail, at most 254 bytes; unique in the whole service, without regard to case."),
            ("name", "The name, at most 255 characters; may be empty."),
            ("isAdmin", "Whether the person is an administrator of the workspace."),
            ("isPlatformAdmin", "Whether the person also manages the workspaces of the service."),
            ("isDisabled", "Whether neither the password nor the tokens of the person authenticate."),
            ("workspaceId", "The ID of the person's workspace; 1 or more."),
            (
                "lastLoginTime",
                "The time of the last sign-in by password, in UTC, with a precision of one minute. Null: \
                 none yet.",
            ),
            ("createdAt", "The time at which the account was created, in UTC."),
            ("updatedAt", "The time of the last change of the account, in UTC."),
        ],
    ),
    ("PersonList", &[("data", "The people, by ID.")]),
    ("ResetSettings", &[("settings", "The keys of the settings to reset.")]),
    (
        "SetSetting",
        &[
            ("key", "The key of the setting."),
            (
                "value",
                "The new value, of the type of the setting: true or false; a number of days from 1 to \
                 36500, or -1 for unlimited; a word; or at most 8 numbers of days from 1 to 3650. Null resets the setting to its default.",
            ),
        ],
    ),
    (
        "Setting",
        &[
            ("key", "The key of the setting."),
            ("value", "The value that an administrator set. Null: the default is in effect."),
            ("effectiveValue", "The value in effect."),
            ("default", "The value in effect after a reset."),
        ],
    ),
    (
        "SettingSchema",
        &[
            ("key", "The key of the setting."),
            ("default", "The value of a workspace that has set none."),
            ("label", "The label on the settings page."),
            ("help", "The help text on the settings page."),
            ("maximum", "The maximum number of days."),
        ],
    ),
    ("BatchCheck", &[("tokens", "The tokens to check, 1 to 100.")]),
    ("BatchResult", &[("data", "The result for each token, in the order of the request.")]),
    ("PresentedToken", &[("token", "The token value.")]),
    ("TokenFormat", &[("checksum", "The checksum at the end of a value.")]),
    (
        "TokenInfo",
        &[
            ("tokenId", "The token ID. It is not secret."),
            ("description", "The owner's note, at most 255 characters; may be empty."),
            ("createdAt", "The time at which the token was created, in UTC."),
            ("deletesAt", "When the token, which was replaced, is deleted. It does not authenticate from then on."),
            ("expiredAt", "The time from which the token does not authenticate, in UTC. Null: never."),
            ("lastUsed", "The time of the last request that the token authenticated, in UTC. Null: none yet."),
        ],
    ),
    ("TokenList", &[("data", "The tokens, in the requested order.")]),
    ("Token", &[("status", "Whether the token has expired.")]),
    ("Updated", &[("id", "The ID of the changed object."), ("updatedAt", "The time of the change, in UTC.")]),
    (
        "Workspace",
        &[
            ("createdAt", "The time at which the workspace was created, in UTC."),
            ("id", "The ID; 1 or more, never reused."),
            ("name", "The name, 1 to 255 characters."),
        ],
    ),
    ("WorkspaceList", &[("data", "The workspaces, by ID.")]),
];

/// Adds the descriptions to the schemas of a document.
pub(super) fn add_descriptions(components: &mut utoipa::openapi::Components) {
    for (name, properties) in
        DESCRIPTIONS.iter().chain(super::webhooks::DESCRIPTIONS).chain(super::trust_rules::DESCRIPTIONS)
    {
        let Some(RefOr::T(schema)) = components.schemas.get_mut(*name) else { continue };
        for (property, description) in *properties {
            if let Some(property) = find_property(schema, property) {
                describe(property, description);
            }
        }
    }
}

/// Finds a property of an object, or of one of the objects that it is composed of.
fn find_property<'a>(schema: &'a mut Schema, name: &str) -> Option<&'a mut RefOr<Schema>> {
    match schema {
        Schema::Object(Object { properties, .. }) => properties.get_mut(name),
        Schema::AllOf(AllOf { items, .. }) => items.iter_mut().find_map(|item| match item {
            RefOr::T(part) => find_property(part, name),
            RefOr::Ref(_) => None,
        }),
        _ => None,
    }
}

fn describe(property: &mut RefOr<Schema>, description: &str) {
    let description = description.to_owned();
    match property {
        RefOr::Ref(reference) => reference.description = description,
        RefOr::T(Schema::Object(object)) => object.description = Some(description),
        RefOr::T(Schema::Array(array)) => array.description = Some(description),
        RefOr::T(Schema::OneOf(one_of)) => one_of.description = Some(description),
        RefOr::T(Schema::AllOf(all_of)) => all_of.description = Some(description),
        RefOr::T(Schema::AnyOf(any_of)) => any_of.description = Some(description),
        RefOr::T(_) => {}
    }
}
