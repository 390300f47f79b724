//! `tokenward sso test` for OpenID providers.

use anyhow::Context as _;
use tokenward_oidc::{Flow, Prompt};

use crate::{
    cli::output::Output,
    service::{openid_providers::OpenIdProvider, provider_list::RedirectProvider as _},
};

/// Loads the metadata of a provider, and prints what must be registered there.
///
/// # Errors
/// If the metadata cannot be loaded, or cannot be used.
pub(super) async fn test(provider: &OpenIdProvider, output: &mut Output) -> anyhow::Result<()> {
    output.print_line(format_args!("issuer: {}", provider.issuer()));
    let flow = Flow::from_bytes([0; 96], Prompt::None);
    let mut url = provider.client().authorization_url(&flow).await.context(provider.name().to_owned())?;
    url.set_query(None);
    output.print_line(format_args!("sign-in page: {url}"));
    let has_logout = provider.client().end_session_url(None).await?.is_some();
    output.print_line(format_args!("sign-out at the provider: {}", if has_logout { "yes" } else { "no" }));
    let base = provider.redirect_uri().trim_end_matches("/callback");
    output.print_line(format_args!("register as redirect URI: {}", provider.redirect_uri()));
    output.print_line(format_args!("register as post-logout redirect URI: {}", provider.post_logout_redirect_uri()));
    output.print_line(format_args!("register as back-channel logout URI: {base}/logout"));
    output.print_line(format_args!("the metadata can be used; a sign-in also checks the client secret and the groups"));
    Ok(())
}
