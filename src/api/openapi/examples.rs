//! Examples of the requests and of the successful responses of each operation.

use serde_json::{Value, json};

use super::{trust_rules, webhooks};

const TOKEN_VALUE: &str = "twd_4BOMZDU7HXsvyLIVQgtML6LPF8h7EUwT2nTEnVmlfgq0x6hsD";
const DEVICE_CODE: &str = "8f2Kq0ZpVt3sYw6LxJmN5bRcDhGe1uAiOa9TnXvQy7E";
const INVITE_URL: &str = "https://tokens.example.com/invite/7hVq3nX0bTz9LkR2mW5cYp8sJd1gFa4eUo6iKxQvHtN";
const TOKEN_ID: &str = "01a20a6a-c1b5-7dc2-aeac-0281c48408b8";

/// Returns an example of the body of a request; `None` without a body.
pub(super) fn request_of(operation: &str) -> Option<Value> {
    Some(match operation {
        "createApiAccessToken" => json!({"lifetimeSeconds": 2_592_000, "description": "nightly job"}),
        "createPerson" => {
            json!({"email": "ada@example.com", "name": "Ada Lovelace", "invite": true})
        }
        "patchPerson" => json!({"tokenAccess": "enabled"}),
        "createWorkspace" => json!({
            "name": "Laboratory",
            "admin": {"email": "rosalind@example.org", "name": "Rosalind", "password": "correct horse battery staple"}
        }),
        "patchWorkspace" => json!({"name": "Data science"}),
        "patchWorkspaceConfiguration" => json!({"configuration": [
            {"key": "feature.apiAccessTokens.allowUsers", "value": true},
            {"key": "feature.apiAccessTokens.maxLifetimeDays", "value": null}
        ]}),
        "deleteMatchingApiAccessTokens" => {
            json!({"neverUsed": true, "createdBefore": "2026-08-24T00:00:00Z", "allUsers": true, "dryRun": true})
        }
        "deleteWorkspaceConfiguration" => json!({"settings": ["feature.apiAccessTokens.maxLifetimeDays"]}),
        "reportLeak" => json!({"values": [TOKEN_VALUE]}),
        "introspectToken" | "revokeToken" => json!({"token": TOKEN_VALUE}),
        "beginDeviceAuthorization" => {
            json!({"client_id": "tokenward", "description": "build server", "lifetime": 2_592_000, "scope": "reports:read"})
        }
        "createTokenByGrant" => {
            json!({"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": DEVICE_CODE})
        }
        "checkTokens" => json!({
            "tokens": [TOKEN_VALUE, {"token": TOKEN_VALUE, "clientAddress": "192.0.2.7"}], "requirements": "scope=reports:read"
        }),
        operation => return webhooks::request_of(operation).or_else(|| trust_rules::request_of(operation)),
    })
}

/// Returns an example of the body of a successful response; `None` if there is no body.
pub(super) fn response_of(operation: &str) -> Option<Value> {
    Some(match operation {
        "listApiAccessTokens" => json!({"data": [token()]}),
        "createApiAccessToken" => json!({"tokenValue": TOKEN_VALUE, "tokenInfo": token_info()}),
        "getApiAccessToken" => token(),
        "deleteMatchingApiAccessTokens" => json!({"matched": 31, "deleted": 0}),
        "checkAuthentication" | "checkRequirements" => json!({
            "personId": 7, "workspaceId": 1, "email": "ada@example.com", "name": "Ada Lovelace", "isAdmin": false,
            "tokenId": TOKEN_ID, "tokenExpiredAt": "2026-12-23T21:58:18.293Z"
        }),
        "listEvents" => json!({"data": [event()], "nextCursor": "41"}),
        "introspectToken" => introspection(),
        "beginDeviceAuthorization" => device_authorization(),
        "createTokenByGrant" => oauth_token(),
        "checkTokens" => {
            let mut active = introspection();
            active["permitted"] = json!(true);
            json!({"data": [active, {"active": false}]})
        }
        "getOAuthMetadata" => oauth_metadata(),
        "getTokenFormat" => token_format(),
        "getLiveness" | "getReadiness" => json!({"status": "ok"}),
        "getOpenApiSpec" => {
            json!({"openapi": "3.1.0", "info": {"title": "Tokenward", "version": "0.1.0"}, "paths": {}})
        }
        "getCurrentPerson" | "getPerson" => person(),
        "createPerson" => invited_person(),
        "invitePerson" => json!({"id": 7, "inviteUrl": INVITE_URL, "inviteExpiresAt": "2026-11-26T21:58:18.293Z"}),
        "listPeople" => json!({"data": [person()], "count": 1}),
        "patchPerson" => json!({"id": 7, "updatedAt": "2026-11-23T21:58:20.311Z"}),
        operation => return workspace_response(operation),
    })
}

fn workspace_response(operation: &str) -> Option<Value> {
    let workspace = json!({"id": 2, "name": "Laboratory", "createdAt": "2026-11-23T21:58:18.293Z"});
    Some(match operation {
        "getCurrentWorkspace" => json!({
            "id": 1, "name": "Workspace 1", "createdAt": "2026-11-23T21:58:18.293Z", "personCount": 12, "tokenCount": 31
        }),
        "listWorkspaces" => json!({"data": [workspace], "count": 1}),
        "createWorkspace" => json!({
            "id": 2, "name": "Laboratory", "createdAt": "2026-11-23T21:58:18.293Z",
            "admin": {"id": 8, "email": "rosalind@example.org"}
        }),
        "patchWorkspace" => json!({"id": 2, "updatedAt": "2026-11-23T21:58:20.311Z"}),
        "getWorkspaceConfiguration" => json!([
            {"key": "feature.apiAccessTokens.enabled", "value": null, "effectiveValue": true, "default": true,
             "source": "default"},
            {"key": "feature.apiAccessTokens.maxLifetimeDays", "value": 365, "effectiveValue": 365, "default": -1,
             "source": "workspace"}
        ]),
        "patchWorkspaceConfiguration" => json!({"id": 1, "updatedAt": "2026-11-23T21:58:20.311Z"}),
        "deleteWorkspaceConfiguration" => json!({"numberOfRowsDeleted": 1}),
        "previewWorkspaceConfiguration" => json!({
            "key": "feature.apiAccessTokens.maxLifetimeDays", "value": "30", "tokenCount": 1, "personCount": 1,
            "data": [{
                "tokenId": TOKEN_ID, "description": "nightly job", "createdAt": "2026-11-23T21:58:18.293Z",
                "expiredAt": null, "lastUsed": null, "status": "active", "hint": "twd_4BOM", "personId": 7,
                "email": "ada@example.com"
            }]
        }),
        "getWorkspaceConfigurationSchema" => json!([{
            "key": "feature.apiAccessTokens.allowUsers", "type": "boolean", "default": false,
            "label": "Allow users to generate access tokens",
            "help": "If off, only administrators and individually enabled people may generate tokens."
        }]),
        operation => return webhooks::response_of(operation).or_else(|| trust_rules::response_of(operation)),
    })
}

fn token_info() -> Value {
    json!({
        "tokenId": TOKEN_ID, "description": "nightly job", "createdAt": "2026-11-23T21:58:18.293Z",
        "expiredAt": "2026-12-23T21:58:18.293Z", "lastUsed": null
    })
}

fn token() -> Value {
    json!({
        "tokenId": TOKEN_ID, "description": "nightly job", "createdAt": "2026-11-23T21:58:18.293Z",
        "expiredAt": "2026-12-23T21:58:18.293Z", "lastUsed": "2026-11-24T02:00:03.120Z", "status": "active",
        "hint": "twd_4BOM", "lastUsedFrom": "203.0.113.9"
    })
}

fn person() -> Value {
    json!({
        "id": 7, "kind": "person", "email": "ada@example.com", "name": "Ada Lovelace", "isAdmin": false, "isPlatformAdmin": false,
        "isDisabled": false, "disabledBy": [], "tokenAccess": "default", "workspaceId": 1, "state": "active", "ssoPrincipal": null,
        "forcePasswordChange": false, "lastLoginTime": "2026-11-23T21:58:00.000Z",
        "createdAt": "2026-11-23T21:58:18.293Z", "updatedAt": "2026-11-23T21:58:18.293Z"
    })
}

fn invited_person() -> Value {
    let mut person = person();
    person["lastLoginTime"] = Value::Null;
    person["inviteUrl"] = INVITE_URL.into();
    person["inviteExpiresAt"] = "2026-11-26T21:58:18.293Z".into();
    person
}

fn event() -> Value {
    json!({
        "id": 42, "seq": 17, "time": "2026-11-23T21:58:18.293Z", "action": "token.created", "outcome": "success",
        "actorId": 7, "actor": "ada@example.com", "actorTokenId": null, "personId": 7, "target": TOKEN_ID,
        "label": "twd_4BOM", "details": {"description": "nightly job"}, "address": "203.0.113.9",
        "userAgent": "curl/8.5.0", "requestId": "64d12b0c7fd24a7f9b3c1e5a90f3a2c1"
    })
}

fn introspection() -> Value {
    json!({
        "active": true, "token_type": "Bearer", "sub": "7", "username": "ada@example.com", "exp": 1_798_066_098,
        "iat": 1_795_474_098, "jti": TOKEN_ID, "iss": "https://tokens.example.com", "tokenward_workspace_id": 1,
        "tokenward_is_admin": false, "tokenward_name": "Ada Lovelace"
    })
}

fn oauth_metadata() -> Value {
    json!({
        "issuer": "https://tokens.example.com",
        "introspection_endpoint": "https://tokens.example.com/oauth2/introspect",
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "bearer"],
        "revocation_endpoint": "https://tokens.example.com/oauth2/revoke",
        "revocation_endpoint_auth_methods_supported": ["none"],
        "device_authorization_endpoint": "https://tokens.example.com/oauth2/device_authorization",
        "token_endpoint": "https://tokens.example.com/oauth2/token", "token_endpoint_auth_methods_supported": ["none"],
        "response_types_supported": [],
        "grant_types_supported": [
            "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange"
        ]
    })
}

fn device_authorization() -> Value {
    json!({
        "device_code": DEVICE_CODE, "user_code": "BCDF-GHJK",
        "verification_uri": "https://tokens.example.com/device", "expires_in": 600, "interval": 5
    })
}

fn oauth_token() -> Value {
    json!({"access_token": TOKEN_VALUE, "token_type": "Bearer", "expires_in": 2_592_000, "scope": "reports:read"})
}

fn token_format() -> Value {
    json!({
        "prefix": "twd_", "prefixes": ["twd_"], "regularExpression": "twd_[0-9A-Za-z]{49}",
        "checksum": {
            "algorithm": "CRC-32/ISO-HDLC", "covers": "all characters before the checksum, including the prefix",
            "encoding": "base62 (0-9A-Za-z), most significant digit first, left-padded with 0", "characters": 6
        },
        "reportTo": "https://tokens.example.com/v4/leaks"
    })
}
