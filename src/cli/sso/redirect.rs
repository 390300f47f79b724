//! `tokenward sso link` for providers to which browsers are redirected.

use anyhow::{Context as _, bail};

use crate::{
    app::App,
    cli::{
        output::{Output, printable},
        person::find_person,
    },
    service::provider_list::RedirectProvider,
};

/// Links a person to the account with a subject.
///
/// # Errors
/// If the person or the account is linked already, or there is no such person.
pub(super) async fn link(
    provider: &dyn RedirectProvider,
    email: &str,
    subject: Option<&str>,
    app: &App,
    output: &mut Output,
) -> anyhow::Result<()> {
    let Some(subject) = subject else {
        bail!("name the account by --subject: {} has no search", provider.name());
    };
    let person = find_person(app, email).await?;
    let account = (provider.name(), provider.issuer());
    app.identities()
        .link_subject(&person, account, subject, subject.to_owned())
        .await
        .context("failed to link the person")?;
    output.notice(format_args!(
        "{} signs in as {} of {} from now on; the local password and all sessions ended",
        person.email,
        printable(subject),
        provider.name()
    ));
    Ok(())
}
