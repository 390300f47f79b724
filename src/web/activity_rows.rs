//! Rows of the activity tables: events grouped by day, described in words.

use serde_json::Value;

use super::{format::DisplayTime, user_agent::browser_name};
use crate::domain::event::{Action, Event, Outcome};

/// The events of one day in UTC.
pub(super) struct ActivityDay {
    pub day: DisplayTime,
    pub rows: Vec<ActivityRow>,
}

/// An event in words.
pub(super) struct ActivityRow {
    pub at: DisplayTime,
    pub label: &'static str,
    pub subject: String,
    pub details: String,
    pub by: String,
    /// The path of the events of the token that authenticated the actor.
    pub token_path: Option<String>,
    pub address: String,
}

/// Groups events by day. `activity_path` is the page that lists the events of a token.
pub(super) fn group_by_day(events: Vec<Event>, activity_path: &str) -> Vec<ActivityDay> {
    let mut days: Vec<ActivityDay> = Vec::new();
    for event in events {
        let row = activity_row(event, activity_path);
        match days.last_mut() {
            Some(last) if last.day.date() == row.at.date() => last.rows.push(row),
            _ => days.push(ActivityDay { day: row.at, rows: vec![row] }),
        }
    }
    days
}

/// Returns the details of an event as text.
fn describe_details(event: &Event) -> String {
    let fields = &event.details.0;
    let text =
        |name: &str| fields.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    match event.action {
        Action::SessionCreated => browser_name(event.context.request.user_agent.as_str()),
        Action::LoginSucceeded => String::new(),
        Action::SettingChanged => [text("from"), text("to")].into_iter().flatten().collect::<Vec<_>>().join(" → "),
        Action::TokenCreated | Action::TokenDeleted | Action::TokenReplaced | Action::TokenLeaked => {
            text("description").unwrap_or_default()
        }
        Action::EventsPruned => text("upTo").map(|number| format!("up to event {number}")).unwrap_or_default(),
        action if action.outcome() == Outcome::Denied => {
            let times = text("count").filter(|count| count != "1").map(|count| format!("{count} times"));
            [text("cause"), times].into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
        _ => {
            let describe_field = |(name, value): (&String, &Value)| {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                format!("{}: {value}", field_label(name))
            };
            fields.iter().filter(|(name, _)| *name != "count").map(describe_field).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Returns the label of a field of the details.
fn field_label(name: &str) -> &str {
    match name {
        "email" => "e-mail",
        "tokenAccess" => "token access",
        "forcePasswordChange" => "password change required",
        "expiresAt" => "valid until",
        "deletesAt" => "deleted at",
        "allowedNetworks" => "allowed networks",
        "replacedBy" => "replaced by",
        "requestedFrom" => "requested from",
        "requestedBy" => "program",
        "trustRule" => "trust rule",
        "maxLifetimeSeconds" => "maximum lifetime in seconds",
        "singleUse" => "single use",
        name => name,
    }
}

/// Returns an action in words.
pub(super) fn action_label(action: Action) -> &'static str {
    match action {
        Action::TokenCreated => "Token generated",
        Action::TokenDeleted => "Token deleted",
        Action::TokenReplaced => "Token replaced by a newer one",
        Action::TokenOutsideNetworks => "Token rejected by its allowed networks",
        Action::TokensDeleted => "All tokens of a person deleted",
        Action::TokensBulkDeleted => "Tokens that match a filter deleted",
        Action::DeviceAuthorizationApproved => "Login of a program approved",
        Action::DeviceAuthorizationDenied => "Login of a program denied",
        Action::SettingChanged => "Setting changed",
        Action::PersonAdded => "User added",
        Action::PersonChanged => "User changed",
        Action::PersonDisabled => "Account disabled",
        Action::PersonEnabled => "Account enabled",
        Action::PersonRemoved => "User removed",
        Action::PersonProvisioned => "Account taken over by SCIM",
        Action::PersonDeprovisioned => "User deleted by SCIM",
        Action::ScimCredentialCreated => "SCIM credential created",
        Action::ScimCredentialRevoked => "SCIM credential revoked",
        Action::ServiceAccountUnowned => "Service account without custodian",
        Action::TrustRuleCreated => "Trust rule added",
        Action::TrustRuleDeleted => "Trust rule deleted with its tokens",
        Action::PasswordChanged => "Password changed",
        Action::IdentityLinked => "Linked to an identity provider",
        Action::IdentityUnlinked => "Link to an identity provider removed",
        Action::IdentityEmailTaken => "Sign-in failed: another account has the e-mail of the directory entry",
        Action::DirectorySyncHeld => "Directory sync held: too many users would be disabled",
        Action::InviteCreated => "Invite link created",
        Action::InviteUsed => "Invite link used",
        Action::ResetLinkCreated => "Password reset link created",
        Action::ResetLinkUsed => "Password reset link used",
        Action::MailGivenUp => "E-mail not delivered",
        Action::SessionCreated => "Signed in",
        Action::TokenLeaked => "Token deleted: reported as leaked",
        Action::RevokedTokenRejected => "Token rejected: revoked or expired",
        Action::LoginSucceeded => "Signed in to the API by password",
        Action::LoginFailed => "Sign-in failed: wrong e-mail or password",
        Action::LoginThrottled => "Sign-in throttled: too many failed attempts",
        Action::AuthCheckDenied => "Auth checks denied",
        Action::WorkspaceCreated => "Workspace created",
        Action::WorkspaceRenamed => "Workspace renamed",
        Action::WorkspaceRemoved => "Workspace removed",
        Action::TokenExpiring => "Token expires soon",
        Action::WebhookCreated => "Webhook added",
        Action::WebhookChanged => "Webhook changed",
        Action::WebhookDeleted => "Webhook deleted",
        Action::WebhookDisabled => "Webhook disabled after failures",
        Action::WebhookTested => "Webhook test requested",
        Action::EventsPruned => "Old events removed",
    }
}

fn activity_row(event: Event, activity_path: &str) -> ActivityRow {
    let details = describe_details(&event);
    let subject = match event.action {
        Action::TokenCreated | Action::TokenDeleted | Action::TokenReplaced | Action::TokenLeaked => {
            format!("{}…", event.label)
        }
        Action::RevokedTokenRejected if !event.label.is_empty() => format!("{}…", event.label),
        Action::SessionCreated | Action::LoginSucceeded => String::new(),
        _ => event.label,
    };
    let context = event.context;
    ActivityRow {
        at: DisplayTime(context.at),
        label: action_label(event.action),
        subject,
        details,
        by: context.actor_name,
        token_path: context.token_id.map(|id| format!("{activity_path}?token={id}")),
        address: context.request.client_ip.map(|address| address.to_string()).unwrap_or_default(),
    }
}
