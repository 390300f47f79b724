//! Descriptions and examples of webhooks for the OpenAPI document.

use serde_json::{Value, json};

const WEBHOOK_ID: &str = "01a20a6a-c1b5-7dc2-aeac-0281c48408c1";
const URL: &str = "https://hooks.example.com/tokenward";

const URL_TEXT: &str = "The URL, at most 2048 bytes: `https` or `http`, without a user name, password or fragment. Only \
                        globally routable addresses are connected to, unless the operator allows others.";
const EVENTS_TEXT: &str = "The names of the events, such as `token.leaked`, or `*` alone for all events.";

/// The descriptions by schema and property.
pub(super) const DESCRIPTIONS: &[(&str, &[(&str, &str)])] = &[
    (
        "Webhook",
        &[
            ("id", "The ID of the webhook."),
            ("url", URL_TEXT),
            ("events", EVENTS_TEXT),
            (
                "isEnabled",
                "Whether events are sent. The service disables a webhook that accepts nothing for three days.",
            ),
            ("failingSince", "The time of the first failed attempt after the last successful one, in UTC. Null: none."),
            ("createdAt", "The time at which the webhook was created, in UTC."),
            ("updatedAt", "The time of the last change, in UTC."),
        ],
    ),
    (
        "CreatedWebhook",
        &[("secret", "The signing secret: `whsec_` and the Base64 of 32 bytes. No other response contains it.")],
    ),
    ("WebhookList", &[("data", "The webhooks, oldest first.")]),
    ("UpdatedWebhook", &[("id", "The ID of the webhook."), ("updatedAt", "The time of the change, in UTC.")]),
    (
        "CreateWebhook",
        &[("url", URL_TEXT), ("events", EVENTS_TEXT), ("isEnabled", "Whether events are sent; true by default.")],
    ),
    ("PatchWebhook", &[("url", URL_TEXT), ("events", EVENTS_TEXT), ("isEnabled", "Whether events are sent.")]),
    (
        "WebhookDelivery",
        &[
            ("id", "The ID of the delivery; 1 or more."),
            ("eventId", "The ID of the event. Null: the event was removed by the retention of events."),
            ("action", "The kind of event. Null: the event was removed by the retention of events."),
            ("createdAt", "The time of the event, in UTC."),
            ("attempts", "The number of attempts that began; 0 or more."),
            ("attemptedAt", "The time of the last attempt, in UTC. Null: none yet."),
            ("durationMillis", "The duration of the last attempt, in milliseconds. Null: none has ended."),
            ("responseStatus", "The status of the last response. Null: there was none."),
            ("nextAttemptAt", "The time of the next attempt, in UTC. Null: there is none, or the webhook is disabled."),
        ],
    ),
    ("WebhookDeliveryList", &[("data", "The deliveries, newest first.")]),
];

/// Returns an example of the body of a request; `None` without a body.
pub(super) fn request_of(operation: &str) -> Option<Value> {
    Some(match operation {
        "createWebhook" => json!({"url": URL, "events": ["token.expiring", "token.leaked"]}),
        "patchWebhook" => json!({"events": ["*"], "isEnabled": true}),
        _ => return None,
    })
}

/// Returns an example of the body of a successful response; `None` if there is no body.
pub(super) fn response_of(operation: &str) -> Option<Value> {
    Some(match operation {
        "listWebhooks" => json!({"data": [webhook()]}),
        "getWebhook" => webhook(),
        "createWebhook" => {
            let mut created = webhook();
            created["secret"] = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazfyh4kxUPY=".into();
            created
        }
        "patchWebhook" => json!({"id": WEBHOOK_ID, "updatedAt": "2026-11-23T21:58:20.311Z"}),
        "listWebhookDeliveries" => json!({"data": [delivery()], "nextCursor": "41"}),
        _ => return None,
    })
}

fn webhook() -> Value {
    json!({
        "id": WEBHOOK_ID, "url": URL, "events": ["token.expiring", "token.leaked"], "isEnabled": true,
        "failingSince": null, "createdAt": "2026-11-23T21:58:18.293Z", "updatedAt": "2026-11-23T21:58:18.293Z"
    })
}

fn delivery() -> Value {
    json!({
        "id": 41, "eventId": 42, "action": "token.leaked", "createdAt": "2026-11-23T21:58:18.293Z", "status": "pending",
        "attempts": 1, "attemptedAt": "2026-11-23T21:58:19.004Z", "durationMillis": 211, "responseStatus": 503,
        "outcome": "rejected", "nextAttemptAt": "2026-11-23T21:58:24.104Z"
    })
}
