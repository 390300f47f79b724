//! The errors of each operation, for the examples of the OpenAPI document.

use crate::{
    api::ApiError,
    domain::{
        ValidationError, id::PersonId, setting::SettingKey, time::Timestamp, token_limits::reserved_scope,
        webhook::MAX_WEBHOOKS,
    },
    service::{Error, health::NotReady, webhooks::InvalidOutboundUrl},
};
use tokenward_guard::{AuthError, DenialReason};

mod checks;
mod people;
mod trust_rules;

use checks::{auth_check, begin_device_authorization, check_tokens, introspect, report_leak, revoke};

/// An error and the name of its example.
pub(super) type NamedError = (&'static str, ApiError);

/// Returns the errors that an operation can return.
pub(super) fn errors_of(operation: &str) -> Vec<NamedError> {
    let own = match operation {
        "listApiAccessTokens" => list_tokens(),
        "createApiAccessToken" => create_token(),
        "deleteMatchingApiAccessTokens" => delete_matching_tokens(),
        "deleteApiAccessTokens" => join([token_route(), administrator(), vec![person_not_found()]]),
        "getApiAccessToken" | "deleteApiAccessToken" => join([token_route(), vec![token_not_found()]]),
        "checkAuthentication" | "checkRequirements" => return auth_check(operation),
        "listEvents" => list_events(),
        "getOpenApiSpec" => Vec::new(),
        "reportLeak" => return report_leak(),
        "introspectToken" => return introspect(),
        "checkTokens" => return check_tokens(),
        "revokeToken" => return revoke(),
        "beginDeviceAuthorization" => return begin_device_authorization(),
        "createTokenByGrant" => return trust_rules::create_token_by_grant(),
        "getTokenFormat" | "getOAuthMetadata" => return vec![invalid_host(), internal()],
        "getLiveness" => return vec![invalid_host()],
        "getReadiness" => return readiness(),
        operation if operation.contains("TrustRule") => trust_rules::trust_rule_errors(operation),
        operation if operation.contains("Webhook") => webhook_errors(operation),
        operation if operation.contains("Person") || operation == "listPeople" => people::person_errors(operation),
        operation => workspace_errors(operation),
    };
    join([authenticated(), own])
}

fn join<const N: usize>(parts: [Vec<NamedError>; N]) -> Vec<NamedError> {
    parts.into_iter().flatten().collect()
}

fn invalid(name: &'static str, error: ValidationError) -> NamedError {
    (name, error.into())
}

fn service(name: &'static str, error: Error) -> NamedError {
    (name, error.into())
}

/// The errors of every operation that requires a credential.
fn authenticated() -> Vec<NamedError> {
    let unknown = "verbose is unknown; this operation accepts no query parameters.".to_owned();
    vec![
        ("unknownParameter", ApiError::BadRequest(format!("Query parameter {unknown}"))),
        ("noCredential", ApiError::Unauthenticated(AuthError::Missing)),
        ("invalidCredential", ApiError::Unauthenticated(AuthError::Denied(DenialReason::UnknownToken))),
        password_change_required(),
        insufficient_scope(reserved_scope::TOKENS_READ),
        ("tooManyFailedLogins", ApiError::LoginThrottled { seconds: 8 }),
        internal(),
        service("databaseUnavailable", Error::timed_out()),
        service("hasherBusy", Error::HasherBusy),
    ]
}

/// The errors of every operation with a JSON body.
fn with_body() -> Vec<NamedError> {
    let not_json = "The body is not JSON: expected value at line 1 column 1.".to_owned();
    vec![
        ("notJson", ApiError::BadRequest(not_json)),
        ("bodyTooLarge", ApiError::BodyTooLarge),
        ("wrongContentType", ApiError::NotJson),
        ("compressedBody", ApiError::UnsupportedEncoding),
    ]
}

/// The errors of every read whose cost grows with the data.
fn reads() -> Vec<NamedError> {
    vec![service("tooManyReads", Error::RateLimited { retry_after_millis: 1_000 })]
}

fn limit() -> NamedError {
    invalid("limitOutOfRange", ValidationError::OutOfRange { parameter: "limit", value: 5_000, min: 1, max: 1_000 })
}

fn administrator() -> Vec<NamedError> {
    vec![service("notAdministrator", Error::NotAdministrator)]
}

fn platform_administrator() -> Vec<NamedError> {
    vec![service("notPlatformAdministrator", Error::NotPlatformAdministrator)]
}

fn token_route() -> Vec<NamedError> {
    vec![("featureOff", ApiError::RouteNotFound)]
}

fn token_not_found() -> NamedError {
    service("tokenNotFound", Error::TokenNotFound)
}

fn person_not_found() -> NamedError {
    service("personNotFound", Error::PersonNotFound)
}

fn workspace_not_found() -> NamedError {
    service("workspaceNotFound", Error::WorkspaceNotFound)
}

fn password_change_required() -> NamedError {
    service("passwordChangeRequired", Error::PasswordChangeRequired { person_id: PersonId::new(7) })
}

fn insufficient_scope(scope: &str) -> NamedError {
    service("insufficientScope", Error::InsufficientScope { required: Some(scope.to_owned()) })
}

fn internal() -> NamedError {
    ("internalError", ApiError::Internal)
}

fn invalid_host() -> NamedError {
    let details = "The request must have one Host header field with a valid host name or address.";
    ("invalidHost", ApiError::BadRequest(details.to_owned()))
}

fn list_tokens() -> Vec<NamedError> {
    let time = "Query parameter createdBefore: invalid value: string \"today\", expected a time such as \
                2026-01-31T00:00:00Z.";
    let own = vec![limit(), person_not_found(), ("invalidTime", ApiError::BadRequest(time.to_owned())), filter()];
    join([token_route(), administrator(), reads(), own])
}

fn filter() -> NamedError {
    invalid("contradictoryFilter", ValidationError::NeverUsedWithRange)
}

fn delete_matching_tokens() -> Vec<NamedError> {
    let time = "createdBefore must be a time such as 2026-01-31T00:00:00Z.".to_owned();
    let own = vec![
        invalid("dryRunMissing", ValidationError::DryRunMissing),
        invalid("emptyFilter", ValidationError::EmptyDeletionFilter),
        invalid("allWithFilter", ValidationError::AllWithFilter),
        ("invalidTime", ApiError::BadRequest(time)),
        filter(),
    ];
    join([token_route(), with_body(), administrator(), reads(), own])
}

fn create_token() -> Vec<NamedError> {
    let misspelled = "descripton is unknown; did you mean description? Correct or remove it.".to_owned();
    let restriction = "tokenScopes is unknown and would not restrict the token; remove it.".to_owned();
    let end = Timestamp::from_millis(1_798_066_098_000);
    let own = vec![
        invalid("lifetime", ValidationError::Lifetime),
        invalid("lifetimeTooLong", ValidationError::LifetimeTooLong { max_days: 365 }),
        invalid("outlivesParent", ValidationError::OutlivesParent { end }),
        invalid("invalidScope", ValidationError::ScopeSyntax { word: "Reports".to_owned() }),
        invalid("scopesExceedMaker", ValidationError::ScopesExceedMaker),
        invalid("scopesRequired", ValidationError::ScopesRequired),
        invalid("invalidNetwork", ValidationError::Network { text: "example.com".to_owned() }),
        invalid("networksExceedMaker", ValidationError::NetworksExceedMaker),
        invalid("graceSeconds", ValidationError::GraceSeconds { seconds: 2_592_001 }),
        service("replacedTokenNotFound", Error::TokenNotFound),
        service("replacedTokenExpired", Error::ReplacedTokenExpired),
        service("alreadyReplaced", Error::AlreadyReplaced),
        service("olderNodes", Error::OlderNodes),
        invalid("idempotencyKeyReused", ValidationError::IdempotencyKeyReused),
        ("misspelledField", ApiError::BadRequest(misspelled)),
        ("unknownRestriction", ApiError::BadRequest(restriction)),
        service("onlyAdministrators", Error::TokenCreationRestricted),
        service("childTokensForbidden", Error::ChildTokensDisabled),
        service("exchangedToken", Error::ExchangedTokenCreates),
        service("tokenAccessDisabled", Error::TokenAccessDisabled),
        service("tokenForAnotherPerson", Error::TokenForAnotherPerson),
        service("notCustodian", Error::NotCustodian),
        service("administratorAccount", Error::AdministratorAccount),
        service("serviceAccountDisabled", Error::ServiceAccountDisabled),
        person_not_found(),
        service("tooManyTokens", Error::TooManyTokens { max: 100 }),
        service("idempotentTokenDeleted", Error::IdempotentTokenDeleted),
        service("tooManyCreations", Error::RateLimited { retry_after_millis: 2_000 }),
    ];
    join([token_route(), with_body(), own])
}

fn list_events() -> Vec<NamedError> {
    let action = "action must be the name of an event, for example token.created.".to_owned();
    let since = "since must be a timestamp such as 2026-11-24T08:00:00Z.".to_owned();
    let cursor = "cursor must be the nextCursor of the same list.".to_owned();
    let own = vec![
        limit(),
        ("unknownAction", ApiError::BadRequest(action)),
        ("invalidTime", ApiError::BadRequest(since)),
        ("invalidCursor", ApiError::BadRequest(cursor)),
    ];
    join([administrator(), reads(), own])
}

fn readiness() -> Vec<NamedError> {
    let schema = NotReady::Schema { database: 4, program: 5 };
    vec![invalid_host(), internal(), ("schemaBehind", ApiError::NotReady(schema))]
}

fn workspace_errors(operation: &str) -> Vec<NamedError> {
    let empty_name = || invalid("emptyName", ValidationError::Empty { field: "name" });
    let settings = || join([administrator(), vec![workspace_not_found()]]);
    match operation {
        "listWorkspaces" => join([platform_administrator(), reads(), vec![limit()]]),
        "createWorkspace" => {
            let own = vec![
                empty_name(),
                invalid("passwordTooShort", ValidationError::PasswordLength { min: 15 }),
                service("emailTaken", Error::EmailTaken),
            ];
            join([platform_administrator(), with_body(), own])
        }
        "patchWorkspace" => {
            let own = vec![empty_name(), workspace_not_found()];
            join([platform_administrator(), with_body(), own])
        }
        "deleteWorkspace" => {
            let own = vec![workspace_not_found(), service("firstWorkspace", Error::CannotRemoveFirstWorkspace)];
            join([platform_administrator(), own])
        }
        "getWorkspaceConfiguration" => join([settings(), vec![unknown_setting()]]),
        "patchWorkspaceConfiguration" => join([settings(), with_body(), setting_values()]),
        "deleteWorkspaceConfiguration" => join([settings(), with_body(), vec![unknown_setting()]]),
        "previewWorkspaceConfiguration" => {
            let key = SettingKey::ChildTokens.as_str();
            let own = vec![
                unknown_setting(),
                invalid("noPreview", ValidationError::SettingWithoutPreview { key }),
                invalid("valueOutOfRange", SettingKey::MaxLifetimeDays.invalid_value()),
                limit(),
            ];
            join([settings(), reads(), own])
        }
        "getWorkspaceConfigurationSchema" => settings(),
        _ => join([reads(), vec![workspace_not_found()]]),
    }
}

fn webhook_errors(operation: &str) -> Vec<NamedError> {
    let not_found = || service("webhookNotFound", Error::WebhookNotFound);
    let unknown = ValidationError::UnknownEvent { name: "token.leakd".to_owned(), nearest: "token.leaked" };
    let content = || {
        let field = ApiError::BadRequest("secret is unknown; the fields are url, events, isEnabled.".to_owned());
        vec![
            ("unknownField", field),
            service("invalidUrl", Error::InvalidWebhookUrl(InvalidOutboundUrl::Scheme)),
            service("unreachableUrl", Error::InvalidWebhookUrl(InvalidOutboundUrl::Localhost)),
            invalid("unknownEvent", unknown.clone()),
        ]
    };
    let own = match operation {
        "createWebhook" => {
            let too_many = service("tooManyWebhooks", Error::TooManyWebhooks { max: MAX_WEBHOOKS });
            join([with_body(), content(), vec![too_many]])
        }
        "patchWebhook" => join([with_body(), content(), vec![not_found()]]),
        "testWebhook" => vec![not_found(), service("webhookDisabled", Error::WebhookDisabled)],
        "listWebhookDeliveries" => join([reads(), vec![limit(), not_found()]]),
        "listWebhooks" => Vec::new(),
        _ => vec![not_found()],
    };
    join([administrator(), own])
}

fn unknown_setting() -> NamedError {
    let known_keys = SettingKey::ALL.map(SettingKey::as_str).join(", ");
    invalid("unknownSetting", ValidationError::UnknownSetting { key: "allowUsers".to_owned(), known_keys })
}

fn setting_values() -> Vec<NamedError> {
    let key = SettingKey::MaxLifetimeDays;
    let wrong_type = format!("{}.", SettingKey::AllowUsers.invalid_value());
    vec![
        unknown_setting(),
        invalid("valueOutOfRange", key.invalid_value()),
        invalid("settingTwice", ValidationError::DuplicateSetting { key: key.as_str() }),
        ("wrongType", ApiError::BadRequest(wrong_type)),
    ]
}
