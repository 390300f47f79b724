//! Workload identity: trust rules of service accounts, and the exchange of JWTs for tokens
//! (RFC 8693).

mod counters;
mod exchange;
mod exchange_error;
mod trusted_keys;

use std::{net::IpAddr, path::PathBuf, time::Duration};

use tokenward_oidc::SettingsError;
use uuid::Uuid;

pub use counters::{ExchangeCounters, ExchangeResult};
pub use exchange::ExchangeRequest;
pub use exchange_error::{ExchangeError, NotAccepted};
use trusted_keys::TrustedKeys;

use crate::{
    cluster::Node,
    domain::{
        authority::RequiredRole,
        id::{PersonId, WorkspaceId},
        random::Random,
        rate_limit::Rate,
        setting::Settings,
        time::Clock,
        trust_rule::{InvalidTrustRule, MAX_TRUST_RULES, TrustRule, TrustRuleDraft, TrustRuleText},
    },
    outbound::{AddressPolicy, InvalidOutboundUrl, OutboundUrl},
    service::{Actor, Error, Mutations, Result, rate_limit::KeyedRateLimiter, tokens::generate_id},
    store::{NewTrustRule, Store, TrustRuleInsert},
};
use tokenward_guard::token_format::TokenFormat;

/// The settings of the service.
#[derive(Clone, Debug)]
pub struct WorkloadIdentitySettings {
    /// The settings of a workspace that has set none.
    pub defaults: Settings,
    /// The maximum number of active tokens of a service account.
    pub max_active: Option<u32>,
    /// The number of tokens per minute and service account; 0: unlimited.
    pub creations_per_minute: u32,
    /// The number of rejected exchanges per minute and client address; 0: unlimited.
    pub rejections_per_minute: u32,
    /// The addresses at which issuers are looked up.
    pub addresses: AddressPolicy,
    /// Certificate authorities that issuers may use, beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// The time within which the keys of an issuer must be loaded.
    pub time_limit: Duration,
}

/// Administers trust rules, and issues tokens by them. Cheap to clone.
#[derive(Clone)]
pub struct WorkloadIdentity {
    store: Store,
    node: Node,
    clock: Clock,
    random: Random,
    format: TokenFormat,
    mutations: Mutations,
    settings: WorkloadIdentitySettings,
    keys: TrustedKeys,
    rejections: KeyedRateLimiter<Option<IpAddr>>,
    creations: KeyedRateLimiter<PersonId>,
    counters: ExchangeCounters,
}

impl WorkloadIdentity {
    /// Creates the service. Does not connect to an issuer.
    ///
    /// # Errors
    /// A [`SettingsError`] if the file with certificate authorities is not usable.
    pub fn new(
        (store, node, clock, random): (Store, Node, Clock, Random),
        format: TokenFormat,
        mutations: Mutations,
        settings: WorkloadIdentitySettings,
    ) -> std::result::Result<Self, SettingsError> {
        let keys = TrustedKeys::new(settings.addresses, settings.ca_file.clone())?;
        let rejections = KeyedRateLimiter::new(Rate::per_minute(settings.rejections_per_minute));
        let creations = KeyedRateLimiter::new(Rate::per_minute(settings.creations_per_minute));
        let counters = ExchangeCounters::default();
        Ok(Self { store, node, clock, random, format, mutations, settings, keys, rejections, creations, counters })
    }

    /// Returns the counters of exchanges.
    #[must_use]
    pub fn counters(&self) -> &ExchangeCounters {
        &self.counters
    }

    /// Returns how many exchanges exceeded the limit of their address or account since the start.
    #[must_use]
    pub fn rate_limit_rejections(&self) -> (&'static str, u64) {
        ("token_exchanges", self.rejections.rejections() + self.creations.rejections())
    }

    /// Lists the trust rules of a service account, oldest first.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`], [`Error::PersonNotFound`], or [`Error::NotServiceAccount`] for a
    /// person.
    pub async fn list(&self, administrator: &Actor, account_id: PersonId) -> Result<Vec<TrustRule>> {
        self.check_account(administrator, account_id).await?;
        Ok(self.store.list_trust_rules(WorkspaceId::of(administrator), account_id).await?)
    }

    /// Creates a trust rule of a service account.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the rule is not acceptable, [`Error::UnrestrictedOnlyField`] if the caller's
    /// token has scopes, [`Error::ExchangedTokenCreates`] if it was issued by exchange, [`Error::TooManyTrustRules`], [`Error::OlderNodes`], and those of
    /// [`WorkloadIdentity::list`].
    pub async fn create(
        &self,
        administrator: &Actor,
        account_id: PersonId,
        rule: &TrustRuleText<'_>,
    ) -> Result<TrustRule> {
        self.check_account(administrator, account_id).await?;
        let workspace_id = WorkspaceId::of(administrator);
        let terms = TrustRuleDraft::parse(rule)?;
        self.check_issuer(&terms)?;
        let overrides = self.store.find_settings(workspace_id).await?;
        self.settings.defaults.with_overrides(overrides).scopes.check(&terms.scopes, &[])?;
        let id = generate_id(self.clock.now(), &self.random);
        let new = NewTrustRule { id, workspace_id, account_id, terms };
        let mutation = self.mutations.by_actor(administrator, RequiredRole::Administrator);
        match self.store.insert_trust_rule(&new, &mutation).await? {
            TrustRuleInsert::Created(rule) => Ok(rule),
            TrustRuleInsert::TooMany => Err(Error::TooManyTrustRules { max: MAX_TRUST_RULES }),
            TrustRuleInsert::AccountNotFound => Err(Error::PersonNotFound),
            TrustRuleInsert::OlderNodes => Err(Error::OlderNodes),
            TrustRuleInsert::ExchangedToken => Err(Error::ExchangedTokenCreates),
        }
    }

    /// Deletes a trust rule. When it returns, no auth check accepts a token that was issued by it.
    ///
    /// # Errors
    /// [`Error::TrustRuleNotFound`], and those of [`WorkloadIdentity::list`].
    pub async fn delete(&self, administrator: &Actor, account_id: PersonId, id: Uuid) -> Result<()> {
        self.check_account(administrator, account_id).await?;
        let mutation = self.mutations.by_actor(administrator, RequiredRole::Administrator);
        let workspace_id = WorkspaceId::of(administrator);
        let deleted = self.store.delete_trust_rule(workspace_id, account_id, id, &mutation).await;
        let deleted = self.node.revoke_and_wait(&mutation.context.request, deleted).await?;
        if deleted.is_some() { Ok(()) } else { Err(Error::TrustRuleNotFound) }
    }

    /// Checks that an administrator names a service account of the workspace.
    async fn check_account(&self, administrator: &Actor, account_id: PersonId) -> Result<()> {
        if !administrator.is_admin {
            return Err(Error::NotAdministrator);
        }
        if !administrator.is_unrestricted() {
            return Err(Error::UnrestrictedOnlyField { field: "trust rules" });
        }
        let account = self.store.find_person(WorkspaceId::of(administrator), account_id).await?;
        match account {
            None => Err(Error::PersonNotFound),
            Some(account) if account.is_service_account() => Ok(()),
            Some(_) => Err(Error::NotServiceAccount),
        }
    }

    /// Checks that the keys of an issuer can be found by discovery, unless the rule has them.
    fn check_issuer(&self, terms: &TrustRuleDraft) -> Result<()> {
        let invalid = |error: InvalidTrustRule| Error::Invalid(error.into());
        if terms.key_set.is_none() {
            match OutboundUrl::parse(&terms.issuer, self.settings.addresses) {
                Ok(_) => {}
                Err(InvalidOutboundUrl::Address(reason)) => {
                    return Err(invalid(InvalidTrustRule::IssuerAddress { reason: reason.to_string() }));
                }
                Err(InvalidOutboundUrl::Localhost) => {
                    let reason = "names in localhost are loopback".to_owned();
                    return Err(invalid(InvalidTrustRule::IssuerAddress { reason }));
                }
                Err(_) => return Err(invalid(InvalidTrustRule::Issuer)),
            }
        }
        match self.keys.validate(terms) {
            Err(SettingsError::Issuer { .. }) => Err(invalid(InvalidTrustRule::Issuer)),
            Err(SettingsError::KeySet) => Err(invalid(InvalidTrustRule::KeySet)),
            // Whatever else is missing is a matter of the operator, and noticed by the exchange.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
