//! The account that an ID token names.

use tokenward_oidc::IdentityClaims;

use crate::{
    domain::{
        event::RequestContext,
        person::{Email, PersonName},
        source::DeviceValue,
        text_rules,
        time::Timestamp,
    },
    service::{
        openid_providers::OpenIdProvider,
        sign_in::{LoginChannel, external_account::ExternalAccount},
    },
};

/// The longest label of an account, in characters.
const MAX_LABEL_CHARS: usize = 255;
/// The longest identifier of a session at a provider that is stored. Longer ones cannot be named by a logout.
const MAX_SESSION_ID_BYTES: usize = 255;

/// Returns the account that an ID token names.
pub(super) fn account<'a>(
    provider: &'a OpenIdProvider,
    claims: &'a IdentityClaims,
    device: &'a DeviceValue,
    request: &'a RequestContext,
) -> ExternalAccount<'a> {
    let email = claims.email.as_deref().and_then(|email| Email::parse(email).ok());
    let shown = claims.preferred_username.as_deref().or(claims.email.as_deref()).unwrap_or(&claims.subject);
    let names = [claims.name.as_deref(), claims.preferred_username.as_deref()];
    let name = names.into_iter().flatten().find_map(|name| PersonName::parse(name).ok()).unwrap_or_default();
    ExternalAccount {
        provider: provider.name(),
        issuer: &claims.issuer,
        subject: &claims.subject,
        label: label(shown),
        name,
        email,
        authenticated_at: Some(claims.auth_time.map_or(Timestamp::MIN, Timestamp::from)),
        actor: "identity provider",
        first_workspace: provider.first_workspace(),
        provider_session_id: claims.session_id.clone().filter(|id| id.len() <= MAX_SESSION_ID_BYTES),
        channel: LoginChannel::Page { device: Some(device) },
        request,
    }
}

/// Returns the login as the provider shows it, without the characters that a name must not have.
fn label(text: &str) -> String {
    text.chars().filter(|c| !text_rules::is_forbidden(*c)).take(MAX_LABEL_CHARS).collect()
}
