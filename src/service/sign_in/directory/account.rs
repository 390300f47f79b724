//! The account of a person whose password a directory has accepted: admission, creation and changes.

use super::{DirectoryLogin, SignIn, SignInError};
use crate::{
    domain::{
        allow_rule::{Grant, grant, grant_in},
        authority::{Mutation, VerifiedCredential},
        causes::Causes,
        directory::{DirectoryPerson, EntryState},
        event::{Action, AuditContext},
        external_identity::DIRECTORY_ISSUER,
        person::Person,
    },
    service::{
        PasswordLogin,
        actor::audit_context,
        completion::run_to_completion,
        denied_attempts::DeniedAttempt,
        directories::DirectoryProvider,
        sign_in::{
            LoginChannel, principal_of_person,
            records::{LAST_LOGIN_INTERVAL_SECONDS, log_unavailable},
        },
        tokens::generate_id,
    },
    store::{self, DirectoryChange, FoundIdentity, NewDirectoryPerson, NewExternalIdentity, NewPerson},
};
use tokenward_guard::{AuthError, DenialReason};

impl SignIn {
    /// Admits a person with a correct password: checks state and groups of the entry, creates the
    /// account if there is none, and applies what the directory says about it.
    pub(super) async fn admit(
        &self,
        login: &DirectoryLogin<'_>,
        entry: &DirectoryPerson,
        found: Option<FoundIdentity>,
    ) -> Result<PasswordLogin, SignInError> {
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
        let found = match found {
            Some(found) => self.update_account(login, found, entry, granted).await?,
            None => self.create_account(login, entry, granted).await?,
        };
        if found.person.is_disabled || found.person.has_password {
            return Err(self.deny(login, Some(&found), DenialReason::PersonDisabled));
        }
        Ok(self.finish_directory_sign_in(login, found, entry).await)
    }

    /// Disables the account of an entry that the directory no longer admits. Errors are logged only:
    /// the sign-in is rejected in any case, and the next sync tries again.
    pub(super) async fn disable_by_directory(
        &self,
        login: &DirectoryLogin<'_>,
        found: &FoundIdentity,
        reason: &'static str,
    ) {
        let change = DirectoryChange { disabled_for: Some(reason), grants_admin: false, email: None };
        if let Err(error) = self.apply_change(login, found, &change).await {
            tracing::warn!(
                person.id = found.person.id.get(),
                error = %Causes(&error),
                "failed to disable a person of a directory"
            );
        }
    }

    async fn apply_change(
        &self,
        login: &DirectoryLogin<'_>,
        found: &FoundIdentity,
        change: &DirectoryChange,
    ) -> store::Result<()> {
        let context = AuditContext::for_named_actor("directory", self.clock.now(), login.request.clone());
        let mutation = Mutation::without_caller(context);
        let (store, node, request) = (self.store.clone(), self.directory.node.clone(), login.request.clone());
        let (found, change) = (found.clone(), change.clone());
        // In its own task, because this is a transaction, also of a GET request.
        let applied = run_to_completion(async move {
            let applied = store.apply_directory_change(&found, &change, &mutation).await;
            node.revoke_and_wait(&request, applied).await.map(|_| ())
        });
        applied.await.unwrap_or_else(|| Err(store::Error::timed_out()))
    }

    /// Applies role and e-mail address to an account, and lifts what the directory disabled.
    async fn update_account(
        &self,
        login: &DirectoryLogin<'_>,
        found: FoundIdentity,
        entry: &DirectoryPerson,
        granted: Grant,
    ) -> Result<FoundIdentity, SignInError> {
        let email = entry.email.clone();
        let mut change = DirectoryChange { disabled_for: None, grants_admin: granted.is_admin, email };
        if !change.is_needed(&found.person) {
            return Ok(found);
        }
        let mut applied = self.apply_change(login, &found, &change).await;
        if matches!(applied, Err(store::Error::Conflict)) {
            // Another account has the new address. This one keeps the old address.
            self.record_email_taken(login, Some(&found.person));
            change.email = None;
            applied = self.apply_change(login, &found, &change).await;
        }
        applied.map_err(|error| log_unavailable(&error))?;
        self.reload(login, &found.identity.subject).await
    }

    /// Creates the account of a person who signs in for the first time.
    async fn create_account(
        &self,
        login: &DirectoryLogin<'_>,
        entry: &DirectoryPerson,
        granted: Grant,
    ) -> Result<FoundIdentity, SignInError> {
        let provider = login.route.provider();
        let Some(email) = entry.email.clone().filter(|_| granted.creates) else {
            let reason = if granted.creates { DenialReason::NoEmailAddress } else { DenialReason::NoAccount };
            return Err(self.deny(login, None, reason));
        };
        let now = self.clock.now();
        let new = NewDirectoryPerson {
            person: NewPerson {
                email,
                name: entry.name.clone(),
                password_hash: None,
                invite: None,
                is_admin: granted.is_admin,
                is_platform_admin: false,
                force_password_change: false,
            },
            token_access: granted.token_access,
            identity: NewExternalIdentity {
                id: generate_id(now, &self.random),
                provider: provider.name().to_owned(),
                issuer: DIRECTORY_ISSUER.to_owned(),
                subject: entry.subject.clone(),
                label: entry.label(),
            },
        };
        let context = AuditContext::for_named_actor("directory", now, login.request.clone());
        let mutation = Mutation::without_caller(context);
        let (store, workspace_id) = (self.store.clone(), granted.workspace_id);
        // In its own task, because this is a transaction, also of a GET request.
        let inserted =
            run_to_completion(async move { store.insert_directory_person(workspace_id, &new, &mutation).await });
        match inserted.await.unwrap_or_else(|| Err(store::Error::timed_out())) {
            Ok(Some(_)) => self.reload(login, &entry.subject).await,
            Ok(None) => {
                tracing::warn!(provider = provider.name(), "an allow rule names a workspace that does not exist");
                Err(self.deny(login, None, DenialReason::NoAccount))
            }
            // The same person on another node, or an account with the same address.
            Err(store::Error::Conflict) => match self.reload(login, &entry.subject).await {
                Err(SignInError::Denied(AuthError::Denied(_))) => {
                    self.record_email_taken(login, None);
                    Err(AuthError::Denied(DenialReason::EmailTaken).into())
                }
                result => result,
            },
            Err(error) => Err(log_unavailable(&error).into()),
        }
    }

    /// Reads identity and person again.
    async fn reload(&self, login: &DirectoryLogin<'_>, subject: &str) -> Result<FoundIdentity, SignInError> {
        let provider = login.route.provider().name();
        let found = self.store.find_identity(provider, DIRECTORY_ISSUER, subject).await;
        let found = found.map_err(|error| log_unavailable(&error))?;
        found.ok_or_else(|| AuthError::Denied(DenialReason::NoAccount).into())
    }

    /// Records that another account has the e-mail address of the entry. An address never links
    /// accounts.
    fn record_email_taken(&self, login: &DirectoryLogin<'_>, person: Option<&Person>) {
        let provider: &DirectoryProvider = login.route.provider();
        tracing::warn!(
            provider = provider.name(),
            person.id = person.map(|person| person.id.get()),
            "another account has the e-mail address of a directory entry; link it with tokenward sso link"
        );
        self.denied_attempts.record(
            DeniedAttempt {
                workspace_id: person.map_or_else(|| provider.first_workspace(), |person| person.workspace_id),
                action: Action::IdentityEmailTaken,
                person_id: person.map(|person| person.id),
                target: person.map(|person| person.id.to_string()).unwrap_or_default(),
                label: person.map_or_else(|| "unknown account".to_owned(), |person| person.email.clone()),
                reason: format!("e-mail address taken; provider {}", provider.name()),
                address: login.request.client_ip,
            },
            login.request.clone(),
        );
    }

    /// Records the sign-in, and returns its evidence.
    async fn finish_directory_sign_in(
        &self,
        login: &DirectoryLogin<'_>,
        found: FoundIdentity,
        entry: &DirectoryPerson,
    ) -> PasswordLogin {
        let creates_event = !matches!(login.channel, LoginChannel::Page { .. });
        let sources = self.throttle.record_known_sources(found.person.id, login.request, login.channel.device());
        let now = self.clock.now();
        let context = audit_context(&principal_of_person(found.person.clone()), now, login.request);
        let result = PasswordLogin {
            principal: principal_of_person(found.person.clone()),
            must_change_password: false,
            credential: VerifiedCredential::Identity(found.identity.id),
        };
        let (store, label) = (self.store.clone(), entry.label());
        // In its own task, because these are transactions, also of a GET request.
        run_to_completion(async move {
            sources.await;
            let not_before = now.plus_seconds(-LAST_LOGIN_INTERVAL_SECONDS);
            let recorded = store.record_identity_sign_in(&found, &label, &context, not_before, creates_event).await;
            if let Err(error) = recorded {
                tracing::warn!(
                    person.id = found.person.id.get(),
                    error = %Causes(&error),
                    "failed to record a sign-in"
                );
            }
        })
        .await;
        result
    }
}
