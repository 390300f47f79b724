//! The tables of all pages and forms, with the lowest role that may use each.

use crate::support::PASSWORD;

/// The roles, in ascending order of rights.
pub(super) const ROLES: [&str; 4] = ["anonymous", "person", "administrator", "platform administrator"];

/// Each page, with the lowest role that may open it.
pub const PAGES: [(&str, &str); 50] = [
    ("/sign-in", "anonymous"),
    ("/invite/{invite}", "anonymous"),
    ("/preferences/access-tokens", "person"),
    ("/preferences/access-tokens/generate", "administrator"),
    ("/preferences/access-tokens/delete-all", "person"),
    ("/preferences/access-tokens.csv", "person"),
    ("/preferences/access-tokens/delete-matching?status=expired", "person"),
    ("/preferences/profile", "person"),
    ("/preferences/activity", "person"),
    ("/preferences/activity.csv", "person"),
    ("/device", "person"),
    ("/api-reference", "person"),
    ("/api-reference/apiAccessTokens", "person"),
    ("/api-reference/people", "person"),
    ("/admin/users", "administrator"),
    ("/admin/users/new", "administrator"),
    ("/admin/users/{person}", "administrator"),
    ("/admin/users/{person}/password", "administrator"),
    ("/admin/users/{person}/invite", "administrator"),
    ("/admin/users/{person}/disable", "administrator"),
    ("/admin/users/{person}/remove", "administrator"),
    ("/admin/users/{person}/delete-tokens", "administrator"),
    ("/preferences/service-accounts", "person"),
    ("/preferences/service-accounts/{account}", "person"),
    ("/preferences/service-accounts/{account}/generate", "person"),
    ("/preferences/service-accounts/{account}/delete-token?token={accountToken}", "person"),
    ("/admin/service-accounts", "administrator"),
    ("/admin/service-accounts/new", "administrator"),
    ("/admin/service-accounts/{account}", "administrator"),
    ("/admin/service-accounts/{account}/generate", "administrator"),
    ("/admin/service-accounts/{account}/remove", "administrator"),
    ("/admin/service-accounts/{account}/delete-token?token={accountToken}", "administrator"),
    ("/admin/settings", "administrator"),
    ("/admin/settings/feature.apiAccessTokens.enabled", "administrator"),
    ("/admin/tokens", "administrator"),
    ("/admin/tokens?person={person}", "administrator"),
    ("/admin/tokens.csv", "administrator"),
    ("/admin/tokens/delete-matching?status=expired", "administrator"),
    ("/admin/tokens/{token}", "administrator"),
    ("/admin/tokens/{token}/delete", "administrator"),
    ("/admin/webhooks", "administrator"),
    ("/admin/webhooks/new", "administrator"),
    ("/admin/webhooks/{webhook}", "administrator"),
    ("/admin/webhooks/{webhook}/disable", "administrator"),
    ("/admin/webhooks/{webhook}/delete", "administrator"),
    ("/admin/activity", "administrator"),
    ("/admin/activity.csv", "administrator"),
    ("/admin/workspaces", "platform administrator"),
    ("/admin/workspaces/new", "platform administrator"),
    ("/admin/workspaces/{workspace}", "platform administrator"),
];

/// Names and values of form fields.
pub(super) type Fields = &'static [(&'static str, &'static str)];

pub(super) const NEW_PASSWORD: &str = "a wholly different phrase of words";
/// A placeholder for the ID of a form that was shown to its sender.
pub(super) const FORM_ID: &str = "{form}";

/// Returns the fields with the placeholder replaced by a form ID.
pub(super) fn fill_form_id<'a>(fields: &[(&'a str, &'a str)], form: &'a str) -> Vec<(&'a str, &'a str)> {
    fields.iter().map(|(name, value)| (*name, if *value == FORM_ID { form } else { *value })).collect()
}

/// Each form, the lowest role that may send it, valid fields, and the location of the redirect on
/// success; empty if the response is a page. The order allows one role to send all of its forms.
pub(super) const FORMS: [(&str, &str, Fields, &str); 40] = [
    (
        "/preferences/access-tokens/generate",
        "administrator",
        &[("form", FORM_ID), ("lifetime", "30"), ("description", "of a form")],
        "",
    ),
    // There is no such login in the session. `tests/it/device` has those that there are.
    ("/device/00000000-0000-7000-8000-000000000000/approve", "person", &[], "/device"),
    ("/device/00000000-0000-7000-8000-000000000000/deny", "person", &[], "/device"),
    ("/preferences/access-tokens/{token}/replace", "none", &[], ""),
    ("/preferences/access-tokens/{token}/delete", "none", &[], ""),
    ("/preferences/access-tokens/{own}/delete", "person", &[], "/preferences/access-tokens?done=deleted"),
    (
        "/preferences/access-tokens/delete-matching",
        "person",
        &[("status", "expired"), ("count", "0")],
        "/preferences/access-tokens?status=expired&done=deleted-0",
    ),
    ("/preferences/access-tokens/delete-all", "person", &[], "/preferences/access-tokens?done=all-deleted"),
    ("/preferences/profile", "person", &[("name", "Other")], "/preferences/profile?done=saved"),
    ("/preferences/profile/sessions/{session}/end", "person", &[], "/preferences/profile?done=ended"),
    ("/preferences/profile/sessions/end-others", "person", &[], "/preferences/profile?done=others-ended"),
    (
        "/preferences/profile/password",
        "person",
        &[("old_password", PASSWORD), ("new_password", NEW_PASSWORD), ("repeated_password", NEW_PASSWORD)],
        "/preferences/profile?done=password",
    ),
    (
        "/change-password",
        "person",
        &[("old_password", NEW_PASSWORD), ("new_password", PASSWORD), ("repeated_password", PASSWORD)],
        "/preferences/access-tokens",
    ),
    (
        "/admin/users/new",
        "administrator",
        &[("email", "new@example.com"), ("name", "New"), ("password", PASSWORD)],
        "/admin/users?done=added",
    ),
    (
        "/admin/users/{person}",
        "administrator",
        &[("email", "target@example.com"), ("name", "Target"), ("role", "member"), ("token_access", "enabled")],
        "/admin/users/{person}?done=saved",
    ),
    ("/admin/users/{person}/disable", "administrator", &[], "/admin/users/{person}?done="),
    ("/admin/users/{person}/enable", "administrator", &[], "/admin/users/{person}?done="),
    ("/admin/users/{person}/force-password-change", "administrator", &[], "/admin/users/{person}?done="),
    (
        "/admin/users/{person}/password",
        "administrator",
        &[("password", NEW_PASSWORD)],
        "/admin/users/{person}?done=password-set",
    ),
    ("/admin/users/{person}/invite", "administrator", &[], ""),
    ("/admin/users/{person}/end-sessions", "administrator", &[], "/admin/users/{person}?done=sessions-ended"),
    ("/admin/tokens/{token}/delete", "administrator", &[], "/admin/tokens?done=deleted"),
    (
        "/admin/tokens/delete-matching",
        "administrator",
        &[("status", "expired"), ("count", "0")],
        "/admin/tokens?status=expired&done=deleted-0",
    ),
    ("/admin/users/{person}/delete-tokens", "administrator", &[], "/admin/users/{person}?done=all-deleted"),
    (
        "/admin/settings/feature.apiAccessTokens.maxLifetimeDays",
        "administrator",
        &[("value", "custom"), ("days", "7")],
        "/admin/settings?done=setting",
    ),
    (
        "/admin/service-accounts/new",
        "administrator",
        &[("name", "new"), ("custodians", "target@example.com")],
        "/admin/service-accounts/",
    ),
    (
        "/admin/service-accounts/{account}/generate",
        "administrator",
        &[("form", FORM_ID), ("lifetime", "7"), ("description", "of a form")],
        "",
    ),
    (
        "/admin/service-accounts/{account}",
        "administrator",
        &[("operation", "save"), ("name", "renamed"), ("custodians", "target@example.com, person@example.com")],
        "/admin/service-accounts/{account}?done=saved",
    ),
    (
        "/admin/service-accounts/{account}",
        "administrator",
        &[("operation", "disable")],
        "/admin/service-accounts/{account}?done=account-disabled",
    ),
    ("/admin/service-accounts/{account}/remove", "administrator", &[], "/admin/service-accounts?done=account-removed"),
    (
        "/admin/webhooks/new",
        "administrator",
        &[("url", "https://hooks.example.com/"), ("scope", "some"), ("event.token.leaked", "yes")],
        "",
    ),
    (
        "/admin/webhooks/{webhook}",
        "administrator",
        &[("operation", "test")],
        "/admin/webhooks/{webhook}?done=webhook-tested",
    ),
    ("/admin/webhooks/{webhook}/disable", "administrator", &[], "/admin/webhooks/{webhook}?done=saved"),
    ("/admin/webhooks/{webhook}/delete", "administrator", &[], "/admin/webhooks?done=webhook-deleted"),
    ("/admin/users/{person}/remove", "administrator", &[], "/admin/users?done=removed"),
    (
        "/admin/workspaces/new",
        "platform administrator",
        &[("name", "Third"), ("admin_email", "third@example.com"), ("password", PASSWORD)],
        "/admin/workspaces?done=workspace-added",
    ),
    (
        "/admin/workspaces/{workspace}",
        "platform administrator",
        &[("name", "Renamed")],
        "/admin/workspaces/{workspace}?done=saved",
    ),
    (
        "/admin/workspaces/{workspace}/remove",
        "platform administrator",
        &[("confirm", "Renamed")],
        "/admin/workspaces?done=workspace-removed",
    ),
    // Ends the session of this browser.
    (
        "/invite/{invite}",
        "anonymous",
        &[("new_password", NEW_PASSWORD), ("repeated_password", NEW_PASSWORD)],
        "/sign-in?set=yes",
    ),
    ("/sign-out", "anonymous", &[], "/sign-in?out=yes"),
];

pub(super) fn is_permitted(role: &str, least: &str) -> bool {
    let rank = |name: &str| ROLES.iter().position(|role| *role == name).unwrap_or(ROLES.len());
    rank(role) >= rank(least)
}
