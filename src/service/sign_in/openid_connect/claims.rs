//! The account that an ID token names.

use tokenward_oidc::IdentityClaims;

use crate::{
    domain::{
        event::RequestContext,
        person::{Email, PersonName},
        source::DeviceValue,
        time::Timestamp,
    },
    service::{
        openid_providers::OpenIdProvider,
        provider_list::RedirectProvider as _,
        sign_in::{
            LoginChannel,
            external_account::{ExternalAccount, MAX_PROVIDER_SESSION_BYTES, label},
        },
    },
};

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
        provider_session_id: claims.session_id.clone().filter(|id| id.len() <= MAX_PROVIDER_SESSION_BYTES),
        channel: LoginChannel::Page { device: Some(device) },
        request,
    }
}
