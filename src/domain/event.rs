//! Events of the audit log: the recorded operation, the actor, and the request it came from.

use std::net::IpAddr;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{barrier_wait::BarrierWait, id::PersonId, session::UserAgent, time::Timestamp};

/// The client and the request that an operation came from. Empty for commands and for operations
/// that the service starts by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestContext {
    /// The client address, taken from the connection or from a trusted proxy's header.
    pub client_ip: Option<IpAddr>,
    /// The client address belongs to a proxy that `listen.trusted_proxies` does not name, so many
    /// clients share it. Not stored.
    pub is_client_ip_shared: bool,
    pub user_agent: UserAgent,
    /// The request ID: at most 128 visible ASCII characters; may be empty.
    pub request_id: String,
    /// Begins when the request waits for the revocation barrier. Not stored.
    pub barrier_wait: BarrierWait,
}

impl RequestContext {
    /// Returns the client address if it identifies a single client. `None` if it is unknown or
    /// shared.
    #[must_use]
    pub fn unshared_client_ip(&self) -> Option<IpAddr> {
        self.client_ip.filter(|_| !self.is_client_ip_shared)
    }
}

/// The actor, time and request of an operation, as an event records them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditContext {
    pub at: Timestamp,
    /// The person who acted; `None`: the operator, the service itself, or an unknown client.
    pub actor_id: Option<PersonId>,
    /// The person's e-mail, or a fixed name for an actor that is not a person.
    pub actor_name: String,
    /// The token that authenticated the person; `None`: a password, a page or the command line.
    pub token_id: Option<Uuid>,
    pub request: RequestContext,
}

impl AuditContext {
    /// Creates the context of an operation on the command line.
    #[must_use]
    pub fn for_operator(at: Timestamp) -> Self {
        Self::for_named_actor("operator", at, RequestContext::default())
    }

    /// Creates the context of an operation that the service performs on schedule.
    #[must_use]
    pub fn for_system(at: Timestamp) -> Self {
        Self::for_named_actor("system", at, RequestContext::default())
    }

    /// Creates the context of an operation that possession of the token value authorizes.
    #[must_use]
    pub fn for_token_holder(at: Timestamp, request: RequestContext) -> Self {
        Self::for_named_actor("token holder", at, request)
    }

    /// Creates the context of an operation that possession of a password link authorizes.
    #[must_use]
    pub fn for_link_holder(at: Timestamp, request: RequestContext) -> Self {
        Self::for_named_actor("link holder", at, request)
    }

    /// Creates the context of an operation whose actor is not a known person.
    #[must_use]
    pub fn for_named_actor(name: &str, at: Timestamp, request: RequestContext) -> Self {
        Self { at, actor_id: None, actor_name: name.to_owned(), token_id: None, request }
    }
}

/// The outcome of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The operation was performed.
    Success,
    /// Authentication failed.
    Denied,
}

/// Declares the actions, each with its stored name and its outcome.
macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident = $name:literal, $outcome:ident;)*) => {
        /// The kind of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $action,)*
        }

        impl Action {
            /// All actions.
            pub const ALL: &[Self] = &[$(Self::$action),*];

            /// Returns the stored name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$action => $name),* }
            }

            /// Returns the outcome that the action stands for.
            #[must_use]
            pub const fn outcome(self) -> Outcome {
                match self { $(Self::$action => Outcome::$outcome),* }
            }
        }
    };
}

actions! {
    TokenCreated = "token.created", Success;
    TokenDeleted = "token.deleted", Success;
    /// A newer token replaced the token, whose deletion is scheduled.
    TokenReplaced = "token.replaced", Success;
    /// All tokens of a person were deleted at once.
    TokensDeleted = "tokens.deleted", Success;
    /// The tokens that match a filter were deleted. Each has an event of its own.
    TokensBulkDeleted = "tokens.bulk_deleted", Success;
    /// The token was deleted because its value was reported as leaked.
    TokenLeaked = "token.leaked", Success;
    /// A token expires in the number of days that the details name.
    TokenExpiring = "token.expiring", Success;
    /// An expired or revoked token was presented.
    RevokedTokenRejected = "token.rejected_revoked", Denied;
    /// A token with allowed networks was presented from outside them, or from an unknown address.
    TokenOutsideNetworks = "token.rejected_network", Denied;
    /// A person approved a device authorization. The program fetches the token with its next poll.
    DeviceAuthorizationApproved = "device_authorization.approved", Success;
    /// A person denied a device authorization.
    DeviceAuthorizationDenied = "device_authorization.denied", Success;
    SettingChanged = "setting.changed", Success;
    PersonAdded = "person.added", Success;
    PersonChanged = "person.changed", Success;
    PersonDisabled = "person.disabled", Success;
    PersonEnabled = "person.enabled", Success;
    PersonRemoved = "person.removed", Success;
    /// A provisioning client took over an existing account: one that it had deleted before, or one that
    /// is linked to its identity provider.
    PersonProvisioned = "person.provisioned", Success;
    /// A provisioning client deleted a person: the account is disabled, and its tokens are revoked.
    PersonDeprovisioned = "person.deprovisioned", Success;
    /// The last enabled custodian of a service account was disabled or removed.
    ServiceAccountUnowned = "service_account.unowned", Success;
    /// An administrator let a service account accept the JWTs of an issuer.
    TrustRuleCreated = "trust_rule.created", Success;
    /// An administrator deleted such a rule. The tokens that were issued by it were deleted with it.
    TrustRuleDeleted = "trust_rule.deleted", Success;
    PasswordChanged = "password.changed", Success;
    /// A person was linked to an identity provider. The local password ended.
    IdentityLinked = "identity.linked", Success;
    /// The operator removed the link of a person to an identity provider.
    IdentityUnlinked = "identity.unlinked", Success;
    /// A sign-in or a sync found an e-mail address that another account has.
    IdentityEmailTaken = "identity.email_taken", Denied;
    /// The operator created a credential for a provisioning client.
    ScimCredentialCreated = "scim_credential.created", Success;
    /// The operator revoked the credential of a provisioning client, or its value was reported as leaked.
    ScimCredentialRevoked = "scim_credential.revoked", Success;
    /// A sync would have disabled too many people and changed nothing.
    DirectorySyncHeld = "directory_sync.held", Denied;
    /// An administrator or the operator created an invite link.
    InviteCreated = "invite.created", Success;
    /// A person set the password with an invite link.
    InviteUsed = "invite.used", Success;
    /// A link that resets the password was created, to be sent to the e-mail address of the account.
    ResetLinkCreated = "reset_link.created", Success;
    /// A person set the password with such a link.
    ResetLinkUsed = "reset_link.used", Success;
    /// A message to a person was not accepted by the mail server.
    MailGivenUp = "mail.given_up", Success;
    /// A person signed in on the pages.
    SessionCreated = "session.created", Success;
    /// A request authenticated by e-mail and password. Recorded at most once a minute.
    LoginSucceeded = "login.succeeded", Success;
    LoginFailed = "login.failed", Denied;
    /// The password was not verified because too many attempts had failed before.
    LoginThrottled = "login.throttled", Denied;
    /// Auth checks and API requests with an invalid token, aggregated.
    AuthCheckDenied = "auth_check.denied", Denied;
    WorkspaceCreated = "workspace.created", Success;
    WorkspaceRenamed = "workspace.renamed", Success;
    WorkspaceRemoved = "workspace.removed", Success;
    WebhookCreated = "webhook.created", Success;
    WebhookChanged = "webhook.changed", Success;
    WebhookDeleted = "webhook.deleted", Success;
    /// The service disabled a webhook that accepted no event for three days.
    WebhookDisabled = "webhook.disabled", Success;
    /// An administrator requested a test event. Only the webhook that it names receives it.
    WebhookTested = "webhook.tested", Success;
    /// Old events were purged. The chain continues from the hash of the last purged event.
    EventsPruned = "events.pruned", Success;
}

impl Action {
    /// Finds an action by its stored name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == name)
    }
}

impl Outcome {
    /// Returns the stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied => "denied",
        }
    }
}

/// Additional fields of an event, a JSON object. Never contains a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details(pub Map<String, Value>);

impl Details {
    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a field if the value is `Some`.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Returns the JSON text that is stored.
    #[must_use]
    pub fn to_json_string(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// Reads the stored JSON text. Returns empty details if it is not an object.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }
}

/// A recorded event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: i64,
    /// The position in the workspace's hash chain; `None`: recorded before the chain existed.
    pub seq: Option<i64>,
    pub context: AuditContext,
    pub action: Action,
    /// The person whom the event concerns; `None`: the whole workspace.
    pub person_id: Option<PersonId>,
    /// The ID of the token or person that was changed, or the key of the setting.
    pub target: String,
    /// The name of the target at the time of the event.
    pub label: String,
    pub details: Details,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_name_parses_to_its_own_action() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(*action));
        }
        assert_eq!(Action::parse("token.eaten"), None);
    }

    #[test]
    fn stored_details_parse_to_the_same_details() {
        let details = Details::default().with("from", "a").with("count", 3).with_some("none", None::<&str>);
        assert_eq!(details.to_json_string(), r#"{"count":3,"from":"a"}"#);
        assert_eq!(Details::parse(&details.to_json_string()), details);
        assert_eq!(Details::parse("free text"), Details::default());
    }
}
