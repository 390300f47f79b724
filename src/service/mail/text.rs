//! The texts of messages: the event, its time and address, and one link. No text contains a token value.

use serde_json::Value;

use crate::domain::{
    event::{AuditContext, Event},
    mail::MailKind,
    time::Timestamp,
};

/// The maximum length of a description in a message, in characters.
const MAX_DESCRIPTION_CHARS: usize = 200;

/// Subject and text of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) subject: &'static str,
    pub(super) text: String,
}

/// Returns the message about an event. `None` for a kind that has no event.
pub(super) fn of_event(kind: MailKind, event: &Event, public_url: &str) -> Option<Text> {
    let from = source(&event.context);
    let at = format_time(event.context.at);
    let (subject, paragraphs, path) = match kind {
        MailKind::TokenExpiring => (
            "An access token expires soon",
            format!(
                "Your access token {} expires at {}.\n\nRenew it before that, or programs that use it stop working. If it is \
                 not needed, there is nothing to do. You can switch off these messages in your profile.",
                token(event),
                text_of(event, "expiresAt")
                    .and_then(Timestamp::parse)
                    .map_or_else(|| "an unknown time".to_owned(), format_time),
            ),
            "/preferences/access-tokens",
        ),
        MailKind::TokenLeaked => (
            "An access token was deleted because it leaked",
            format!(
                "The value of your access token {} was reported as leaked at {at}{from}, and the token was deleted. It no \
                 longer works.\n\nFind out how the value became known and what it was used for, and generate another token \
                 where one is needed.",
                token(event),
            ),
            "/preferences/access-tokens",
        ),
        MailKind::NewAddress => (
            "Sign-in from a new address",
            format!(
                "Your account was used to sign in at {at}{from}. No sign-in in the last 90 days came \
                 from this address.\n\nIf this was you, there is nothing to \
                 do. If it was not, change your password and sign out all other browsers in your profile."
            ),
            "/preferences/profile",
        ),
        MailKind::EmailChanged => (
            "The e-mail address of your account was changed",
            format!(
                "At {at}{from}, {} changed the e-mail address of your account. Messages go to the new address from now \
                 on.\n\nIf you do not expect this, ask an administrator of your workspace.",
                changer(event)
            ),
            "/sign-in",
        ),
        MailKind::PasswordChanged => (
            "The password of your account was changed",
            format!(
                "The password of your account was changed at {at}{from}. Earlier web sessions have ended.\n\nIf this was not you, \
                 reset the password, and then check your access tokens and your activity."
            ),
            "/forgot-password",
        ),
        MailKind::PasswordReset => return None,
    };
    Some(Text { subject, text: assemble(&paragraphs, &format!("{public_url}{path}")) })
}

/// Returns the message with a link that resets the password.
pub(super) fn of_reset_link(link: &str, context: &AuditContext) -> Text {
    let paragraphs = format!(
        "A link that resets the password of your account was requested at {}{}. Open it within one hour, and choose a new \
         password. It works once, and only until another one is requested.\n\nIf you did not request it, there is nothing to \
         do: your password stays as it is.",
        format_time(context.at),
        source(context),
    );
    Text { subject: "Reset your password", text: assemble(&paragraphs, link) }
}

/// Returns the message to a person whose password an identity provider has.
pub(super) fn of_linked(provider: &str, context: &AuditContext, public_url: &str) -> Text {
    let paragraphs = format!(
        "A link that resets the password of your account was requested at {}{}. Your account has no password of its own: you \
         sign in with the password of {provider}. Change it where you sign in to your computer.",
        format_time(context.at),
        source(context),
    );
    Text { subject: "Reset your password", text: assemble(&paragraphs, &format!("{public_url}/sign-in")) }
}

fn assemble(paragraphs: &str, link: &str) -> String {
    format!("{paragraphs}\n\n{link}\n\n-- \nThis message was sent by Tokenward. Replies are not read.\n")
}

/// Returns the client address of an event as the end of a sentence.
fn source(context: &AuditContext) -> String {
    context.request.client_ip.map(|address| format!(" from the address {address}")).unwrap_or_default()
}

/// Returns the name of the party that changed an e-mail address.
fn changer(event: &Event) -> &str {
    match (text_of(event, "provider"), event.context.actor_id) {
        (Some(provider), _) => provider,
        (None, Some(_)) => &event.context.actor_name,
        (None, None) => "the operator of the service",
    }
}

/// Returns the name of a token: the first characters of its value, which identify nothing else, and its
/// description.
fn token(event: &Event) -> String {
    let description: String =
        text_of(event, "description").unwrap_or_default().chars().take(MAX_DESCRIPTION_CHARS).collect();
    let description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    if description.is_empty() { format!("{}…", event.label) } else { format!("{}… ({description})", event.label) }
}

pub(super) fn text_of<'a>(event: &'a Event, field: &str) -> Option<&'a str> {
    event.details.0.get(field).and_then(Value::as_str)
}

/// Returns a time to the minute, for example `2026-11-26 19:29 UTC`.
fn format_time(time: Timestamp) -> String {
    let text = time.to_string();
    let minute = text.get(..16).unwrap_or(&text);
    format!("{} UTC", minute.replacen('T', " ", 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Action, Details, RequestContext};

    fn event(details: Details) -> Event {
        let request = RequestContext { client_ip: Some([192, 0, 2, 7].into()), ..RequestContext::default() };
        Event {
            id: 1,
            seq: Some(1),
            context: AuditContext::for_named_actor(
                "admin@example.com",
                Timestamp::from_millis(1_767_225_600_000),
                request,
            ),
            action: Action::TokenExpiring,
            person_id: None,
            target: String::new(),
            label: "twd_abcd".to_owned(),
            details,
        }
    }

    #[test]
    fn every_message_has_time_address_and_exactly_one_link() {
        let details = Details::default().with("expiresAt", "2026-01-08T00:00:00Z").with("description", "deploy\njob");
        let event = event(details);
        for kind in MailKind::ALL {
            let message = match kind {
                MailKind::PasswordReset => of_reset_link("https://t.example/reset-password/x", &event.context),
                kind => of_event(kind, &event, "https://t.example").unwrap(),
            };
            assert_eq!(message.text.matches("https://").count(), 1, "{message:?}");
            assert!(message.text.contains("UTC") && !message.subject.contains('\n'), "{message:?}");
            let names_address = message.text.contains("from the address 192.0.2.7");
            assert!(names_address || kind == MailKind::TokenExpiring, "{message:?}");
        }
        let expiring = of_event(MailKind::TokenExpiring, &event, "https://t.example").unwrap();
        assert!(expiring.text.starts_with("Your access token twd_abcd… (deploy job) expires at 2026-01-08 00:00 UTC."));
    }
}
