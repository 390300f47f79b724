//! Linking of an account at a provider by the person who has both: the user of a session, who has just
//! authenticated at the provider.

use super::{LinkRefusal, ProviderSignInError};
use crate::{
    domain::allow_rule::{AllowRule, grant_in},
    service::{
        Error, Login,
        completion::run_to_completion,
        sessions::ActiveSession,
        sign_in::{SignIn, SignInError, external_account::ExternalAccount},
    },
    store::{self, FoundIdentity},
};
use tokenward_guard::AuthError;

impl SignIn {
    /// Links an account to the user of a session, and signs the user in through it. The local password and
    /// all sessions of the user end.
    pub(super) async fn link_account(
        &self,
        account: &ExternalAccount<'_>,
        found: Option<&FoundIdentity>,
        (rules, groups): (&[AllowRule], &[String]),
        session: &ActiveSession,
    ) -> Result<Login, ProviderSignInError> {
        if found.is_some() {
            return Err(ProviderSignInError::NotLinked(LinkRefusal::AlreadyLinked));
        }
        if grant_in(rules, groups, session.person.workspace_id).is_none() {
            return Err(ProviderSignInError::NotLinked(LinkRefusal::NotInAllowedGroup));
        }
        let identities = self.provider.identities.clone();
        let (provider, issuer) = (account.provider.to_owned(), account.issuer.to_owned());
        let (subject, label) = (account.subject.to_owned(), account.label.clone());
        let (actor, person) = (session.actor(account.request.clone()), session.person.clone());
        // In its own task, because this is a transaction of a GET request.
        let linked = run_to_completion(async move {
            identities.link_own(&actor, &person, (&provider, &issuer), &subject, label).await
        });
        linked.await.unwrap_or_else(|| Err(store::Error::timed_out().into())).map_err(|error| match error {
            Error::IdentityTaken => ProviderSignInError::NotLinked(LinkRefusal::AlreadyLinked),
            Error::LastLocalAdministrator => ProviderSignInError::NotLinked(LinkRefusal::LastLocalAdministrator),
            Error::CallerRevoked | Error::PersonNotFound => ProviderSignInError::UnknownFlow,
            error => {
                tracing::warn!(provider = account.provider, %error, "failed to link an account");
                SignInError::from(AuthError::Unavailable).into()
            }
        })?;
        let found = self.reload(account).await?;
        Ok(self.finish_external_sign_in(account, found).await)
    }
}
