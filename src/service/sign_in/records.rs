//! Records of sign-ins, accepted and rejected.

use super::{SignIn, principal_of_person};
use crate::{
    domain::{
        causes::Causes,
        event::{Action, RequestContext},
        id::WorkspaceId,
        person::Person,
    },
    service::{actor::audit_context, denied_attempts::DeniedAttempt},
    store::{self, PersonWithHash},
};
use tokenward_guard::{AuthError, DenialReason};

/// The resolution of `lastLoginTime` in seconds. A script that sends its password with each request
/// writes once per interval.
pub(super) const LAST_LOGIN_INTERVAL_SECONDS: i64 = 60;

impl SignIn {
    /// Records and logs a rejected login. An e-mail address without an account appears in neither,
    /// because people type passwords into that field.
    pub(super) fn record_denied(
        &self,
        action: Action,
        person: Option<&Person>,
        reason: DenialReason,
        request: &RequestContext,
    ) {
        tracing::info!(
            person.id = person.map(|person| person.id.get()),
            client.address = request.client_ip.map(tracing::field::display),
            cause = %reason,
            "denied a sign-in"
        );
        let attempt = DeniedAttempt {
            workspace_id: person.map_or(WorkspaceId::FIRST, |person| person.workspace_id),
            action,
            person_id: person.map(|person| person.id),
            target: person.map(|person| person.id.to_string()).unwrap_or_default(),
            label: person.map_or_else(|| "unknown account".to_owned(), |person| person.email.clone()),
            reason: reason.to_string(),
            address: request.client_ip,
        };
        self.denied_attempts.record(attempt, request.clone());
    }

    /// Records the login. Errors are logged only.
    pub(super) async fn record_sign_in(&self, found: &PersonWithHash, creates_event: bool, request: &RequestContext) {
        let now = self.clock.now();
        let context = audit_context(&principal_of_person(found.person.clone()), now, request);
        let not_before = now.plus_seconds(-LAST_LOGIN_INTERVAL_SECONDS);
        if let Err(error) = self.store.record_sign_in(&found.person, &context, not_before, creates_event).await {
            tracing::warn!(
                person.id = found.person.id.get(),
                error = %Causes(&error),
                "failed to record a login"
            );
        }
    }
}

/// Logs a database error as [`AuthError::Unavailable`].
pub(super) fn log_unavailable(error: &store::Error) -> AuthError {
    tracing::warn!(error = %Causes(error), "failed to check a login");
    AuthError::Unavailable
}
