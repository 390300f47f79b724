//! Descriptions and examples of trust rules and exchanges for the OpenAPI document.

use serde_json::{Value, json};

const RULE_ID: &str = "01a20a6a-c1b5-7dc2-aeac-0281c48408d2";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
const AUDIENCE: &str = "https://tokens.example.com";

/// The descriptions by schema and property.
pub(super) const DESCRIPTIONS: &[(&str, &[(&str, &str)])] = &[
    (
        "TrustRule",
        &[
            ("id", "The ID of the rule."),
            ("conditions", "The conditions, all of which must hold."),
            ("createdAt", "The time at which the rule was created, in UTC."),
            ("lastUsed", "The time at which the last token was issued, in UTC. Null: none yet."),
        ],
    ),
    (
        "TrustCondition",
        &[
            ("value", "The exact text of the claim."),
            ("glob", "A pattern: `*` stands for characters other than `/` and `:`, `**` for any."),
        ],
    ),
    ("TrustRuleList", &[("data", "The trust rules, oldest first.")]),
    ("IssuedToken", &[("issued_token_type", "The kind of token, after an exchange.")]),
];

fn conditions() -> Value {
    json!([{"claim": "repository_id", "value": "74"}, {"claim": "ref", "glob": "refs/heads/release/*"}])
}

fn rule() -> Value {
    json!({
        "id": RULE_ID, "issuer": ISSUER, "audience": AUDIENCE, "conditions": conditions(),
        "maxLifetimeSeconds": 900, "scopes": ["deploy"], "singleUse": true, "createdAt": "2026-11-23T21:58:18.293Z",
        "lastUsed": "2026-11-24T06:10:02.118Z", "issuedTokens": 31
    })
}

/// Returns an example of the body of a request; `None` without a body.
pub(super) fn request_of(operation: &str) -> Option<Value> {
    Some(match operation {
        "createTrustRule" => json!({
            "issuer": ISSUER, "audience": AUDIENCE, "conditions": conditions(), "maxLifetimeSeconds": 900,
            "scopes": ["deploy"]
        }),
        _ => return None,
    })
}

/// Returns an example of the body of a successful response; `None` if there is no body.
pub(super) fn response_of(operation: &str) -> Option<Value> {
    Some(match operation {
        "listTrustRules" => json!({"data": [rule()]}),
        "createTrustRule" => {
            let mut created = rule();
            created["lastUsed"] = Value::Null;
            created["issuedTokens"] = json!(0);
            created
        }
        _ => return None,
    })
}
