//! The account of a person whose password a directory has accepted: admission by state and groups.

use super::{DirectoryLogin, SignIn, SignInError};
use crate::{
    domain::{
        allow_rule::{grant, grant_in},
        causes::Causes,
        directory::{DirectoryPerson, EntryState},
        external_identity::DIRECTORY_ISSUER,
        person::PersonName,
    },
    service::{Login, sign_in::external_account::ExternalAccount},
    store::{FoundIdentity, ProviderChange},
};
use tokenward_guard::DenialReason;

impl<'a> DirectoryLogin<'a> {
    /// Returns the account with the subject of an entry.
    fn account<'b>(&'b self, subject: &'b str) -> ExternalAccount<'b>
    where
        'a: 'b,
    {
        let provider = self.route.provider();
        ExternalAccount {
            provider: provider.name(),
            issuer: DIRECTORY_ISSUER,
            subject,
            label: String::new(),
            name: PersonName::default(),
            email: None,
            actor: "directory",
            first_workspace: provider.first_workspace(),
            provider_session_id: None,
            authenticated_at: None,
            channel: self.channel,
            request: self.request,
        }
    }
}

impl SignIn {
    /// Admits a person with a correct password: checks state and groups of the entry, creates the
    /// account if there is none, and applies what the directory says about it.
    pub(super) async fn admit(
        &self,
        login: &DirectoryLogin<'_>,
        entry: &DirectoryPerson,
        found: Option<FoundIdentity>,
    ) -> Result<Login, SignInError> {
        let provider = login.route.provider();
        let groups = self.in_time(login, provider.directory.groups_of(entry)).await;
        let groups = groups.map_err(|error| super::directory_unavailable(provider, &error))?;
        let granted = match &found {
            Some(found) => grant_in(&provider.rules, &groups, found.person.workspace_id),
            None => grant(&provider.rules, &groups),
        };
        // Groups can be missing for a while, for example after a group was renamed. The sync decides about
        // them, because it notices that.
        let (reason, disabled_for) = match entry.state {
            EntryState::Active => (DenialReason::NotInAllowedGroup, None),
            EntryState::Disabled => (DenialReason::PersonDisabled, Some("disabled")),
            EntryState::Expired => (DenialReason::AccountExpired, Some("account_expired")),
        };
        let (Some(granted), EntryState::Active) = (granted, entry.state) else {
            if let (Some(found), Some(disabled_for)) = (&found, disabled_for) {
                self.disable_by_directory(login, found, disabled_for).await;
            }
            return Err(self.deny(login, found.as_ref(), reason));
        };
        let account = ExternalAccount {
            label: entry.label(),
            name: entry.name.clone(),
            email: entry.email.clone(),
            ..login.account(&entry.subject)
        };
        self.admit_account(&account, found, granted).await
    }

    /// Disables the account of an entry that the directory no longer admits. Errors are logged only:
    /// the sign-in is rejected in any case, and the next sync tries again.
    pub(super) async fn disable_by_directory(
        &self,
        login: &DirectoryLogin<'_>,
        found: &FoundIdentity,
        reason: &'static str,
    ) {
        let change = ProviderChange { disabled_for: Some(reason), grants_admin: false, email: None };
        if let Err(error) = self.apply_change(&login.account(&found.identity.subject), found, &change).await {
            tracing::warn!(
                person.id = found.person.id.get(),
                error = %Causes(&error),
                "failed to disable a person of a directory"
            );
        }
    }
}
