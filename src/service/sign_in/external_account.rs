//! The account of a person whom an identity provider has authenticated: its creation, and the role and
//! the address that the provider grants.

use super::{
    LoginChannel, SignIn, SignInError, principal_of_person,
    records::{LAST_LOGIN_INTERVAL_SECONDS, log_unavailable},
};
use crate::{
    domain::{
        allow_rule::Grant,
        authority::{Mutation, VerifiedCredential},
        causes::Causes,
        event::{Action, AuditContext, RequestContext},
        id::WorkspaceId,
        person::{Email, Person, PersonName},
        text_rules,
        time::Timestamp,
    },
    service::{
        Login, actor::audit_context, completion::run_to_completion, denied_attempts::DeniedAttempt, tokens::generate_id,
    },
    store::{self, FoundIdentity, NewExternalIdentity, NewExternalPerson, NewPerson, ProviderChange},
};
use tokenward_guard::{AuthError, DenialReason};

/// The longest label of an account, in characters.
const MAX_LABEL_CHARS: usize = 255;
/// The longest identifier of a session at a provider that is stored. Longer ones cannot be named by a logout.
pub(super) const MAX_PROVIDER_SESSION_BYTES: usize = 255;

/// Returns the login as the provider shows it, without the characters that a name must not have.
pub(super) fn label(text: &str) -> String {
    text.chars().filter(|c| !text_rules::is_forbidden(*c)).take(MAX_LABEL_CHARS).collect()
}

/// An account at an identity provider whose holder has just authenticated there.
pub(super) struct ExternalAccount<'a> {
    /// The name of the provider.
    pub provider: &'a str,
    /// The namespace of the subject.
    pub issuer: &'a str,
    pub subject: &'a str,
    /// The login as the provider shows it.
    pub label: String,
    pub name: PersonName,
    pub email: Option<Email>,
    /// The actor of the events about changes.
    pub actor: &'static str,
    /// The workspace that has the events about people without an account.
    pub first_workspace: WorkspaceId,
    /// The session at the provider, if it has an identifier.
    pub provider_session_id: Option<String>,
    /// When the person authenticated at the provider; `None`: just now.
    pub authenticated_at: Option<Timestamp>,
    pub channel: LoginChannel<'a>,
    pub request: &'a RequestContext,
}

impl SignIn {
    /// Applies what a provider grants to an account, or creates the account, and records the sign-in.
    pub(super) async fn admit_account(
        &self,
        account: &ExternalAccount<'_>,
        found: Option<FoundIdentity>,
        granted: Grant,
    ) -> Result<Login, SignInError> {
        let found = match found {
            Some(found) => self.update_account(account, found, granted).await?,
            None => self.create_account(account, granted).await?,
        };
        if found.person.is_disabled || found.person.has_password {
            return Err(self.deny_account(account, Some(&found.person), DenialReason::PersonDisabled));
        }
        Ok(self.finish_external_sign_in(account, found).await)
    }

    /// Records and logs a rejected sign-in and returns its error.
    pub(super) fn deny_account(
        &self,
        account: &ExternalAccount<'_>,
        person: Option<&Person>,
        reason: DenialReason,
    ) -> SignInError {
        self.record_denied(Action::LoginFailed, person, reason, account.request);
        AuthError::Denied(reason).into()
    }

    /// Changes the person of an account, in a transaction of its own.
    pub(super) async fn apply_change(
        &self,
        account: &ExternalAccount<'_>,
        found: &FoundIdentity,
        change: &ProviderChange,
    ) -> store::Result<()> {
        let context = AuditContext::for_named_actor(account.actor, self.clock.now(), account.request.clone());
        let mutation = Mutation::without_caller(context);
        let (store, node, request) = (self.store.clone(), self.directory.node.clone(), account.request.clone());
        let (found, change) = (found.clone(), change.clone());
        // In its own task, because this is a transaction, also of a GET request.
        let applied = run_to_completion(async move {
            let applied = store.apply_provider_change(&found, &change, &mutation).await;
            node.revoke_and_wait(&request, applied).await.map(|_| ())
        });
        applied.await.unwrap_or_else(|| Err(store::Error::timed_out()))
    }

    /// Applies role and e-mail address to an account, and lifts what the directory disabled.
    async fn update_account(
        &self,
        account: &ExternalAccount<'_>,
        found: FoundIdentity,
        granted: Grant,
    ) -> Result<FoundIdentity, SignInError> {
        let email = account.email.clone();
        let mut change = ProviderChange { disabled_for: None, grants_admin: granted.is_admin, email };
        if !change.is_needed(&found.person) {
            return Ok(found);
        }
        let mut applied = self.apply_change(account, &found, &change).await;
        if matches!(applied, Err(store::Error::Conflict)) {
            // Another account has the new address. This one keeps the old address.
            self.record_email_taken(account, Some(&found.person));
            change.email = None;
            applied = self.apply_change(account, &found, &change).await;
        }
        applied.map_err(|error| log_unavailable(&error))?;
        self.reload(account).await
    }

    /// Creates the account of a person who signs in for the first time.
    async fn create_account(
        &self,
        account: &ExternalAccount<'_>,
        granted: Grant,
    ) -> Result<FoundIdentity, SignInError> {
        let Some(email) = account.email.clone().filter(|_| granted.creates) else {
            let reason = if granted.creates { DenialReason::NoEmailAddress } else { DenialReason::NoAccount };
            return Err(self.deny_account(account, None, reason));
        };
        let now = self.clock.now();
        let new = NewExternalPerson {
            person: NewPerson {
                email,
                name: account.name.clone(),
                password_hash: None,
                invite: None,
                is_admin: granted.is_admin,
                is_platform_admin: false,
                force_password_change: false,
            },
            token_access: granted.token_access,
            identity: NewExternalIdentity {
                id: generate_id(now, &self.random),
                provider: account.provider.to_owned(),
                issuer: account.issuer.to_owned(),
                subject: account.subject.to_owned(),
                label: account.label.clone(),
            },
        };
        let context = AuditContext::for_named_actor(account.actor, now, account.request.clone());
        let mutation = Mutation::without_caller(context);
        let (store, workspace_id) = (self.store.clone(), granted.workspace_id);
        // In its own task, because this is a transaction, also of a GET request.
        let inserted =
            run_to_completion(async move { store.insert_external_person(workspace_id, &new, &mutation).await });
        match inserted.await.unwrap_or_else(|| Err(store::Error::timed_out())) {
            Ok(Some(_)) => self.reload(account).await,
            Ok(None) => {
                tracing::warn!(provider = account.provider, "an allow rule names a workspace that does not exist");
                Err(self.deny_account(account, None, DenialReason::NoAccount))
            }
            // The same person on another node, or an account with the same address.
            Err(store::Error::Conflict) => match self.reload(account).await {
                Err(SignInError::Denied(AuthError::Denied(_))) => {
                    self.record_email_taken(account, None);
                    Err(AuthError::Denied(DenialReason::EmailTaken).into())
                }
                result => result,
            },
            Err(error) => Err(log_unavailable(&error).into()),
        }
    }

    /// Reads identity and person again.
    pub(super) async fn reload(&self, account: &ExternalAccount<'_>) -> Result<FoundIdentity, SignInError> {
        let found = self.store.find_identity(account.provider, account.issuer, account.subject).await;
        let found = found.map_err(|error| log_unavailable(&error))?;
        found.ok_or_else(|| AuthError::Denied(DenialReason::NoAccount).into())
    }

    /// Records that another account has the e-mail address. An address never links accounts.
    fn record_email_taken(&self, account: &ExternalAccount<'_>, person: Option<&Person>) {
        tracing::warn!(
            provider = account.provider,
            person.id = person.map(|person| person.id.get()),
            "another account has the e-mail address of an account at the provider; link it with tokenward sso link"
        );
        self.denied_attempts.record(
            DeniedAttempt {
                workspace_id: person.map_or(account.first_workspace, |person| person.workspace_id),
                action: Action::IdentityEmailTaken,
                person_id: person.map(|person| person.id),
                target: person.map(|person| person.id.to_string()).unwrap_or_default(),
                label: person.map_or_else(|| "unknown account".to_owned(), |person| person.email.clone()),
                reason: format!("e-mail address taken; provider {}", account.provider),
                address: account.request.client_ip,
            },
            account.request.clone(),
        );
    }

    /// Records the sign-in, and returns its evidence.
    pub(super) async fn finish_external_sign_in(&self, account: &ExternalAccount<'_>, found: FoundIdentity) -> Login {
        let creates_event = !matches!(account.channel, LoginChannel::Page { .. });
        let sources = self.throttle.record_known_sources(found.person.id, account.request, account.channel.device());
        let now = self.clock.now();
        let context = audit_context(&principal_of_person(found.person.clone()), now, account.request);
        let result = Login {
            principal: principal_of_person(found.person.clone()),
            must_change_password: false,
            credential: VerifiedCredential::Identity(found.identity.id),
            provider_session_id: account.provider_session_id.clone(),
            authenticated_at: account.authenticated_at,
        };
        let (store, label) = (self.store.clone(), account.label.clone());
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
