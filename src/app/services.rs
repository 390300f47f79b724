//! Builders of services that need several parts of the configuration.

use anyhow::Context as _;

use crate::{
    cluster::Node,
    config::Config,
    domain::{random::Random, time::Clock},
    outbound::{AddressPolicy, Lookup, OutboundClient},
    service::{
        DeniedAttemptLog, DeviceAuthorizations, Directories, Identities, Invites, Leaks, Mutations, OpenIdProviders,
        People, ReadBudget, RedirectProviders, SamlProviders, Scim, Sessions, SignIn, Tokens, Webhooks,
        WorkloadIdentity,
        invites::InviteUrl,
        password::Hasher,
        sign_in::{DirectorySignIn, ProviderSignIn},
        webhook::Webhook,
        webhooks::REQUEST_TIMEOUT,
        workload_identity::WorkloadIdentitySettings,
    },
    store::Store,
};
use tokenward_guard::token_format::TokenFormat;

/// Builds the part of sign-ins that asks directories.
pub(super) fn directory_sign_in(
    directories: &Directories,
    node: &Node,
    token_format: &TokenFormat,
    config: &Config,
) -> DirectorySignIn {
    DirectorySignIn {
        directories: directories.clone(),
        node: node.clone(),
        token_format: token_format.clone(),
        time_limit: config.http.request_timeout.get() * 5 / 6,
    }
}

/// Builds the service of leak reports, with its webhook.
pub(super) fn leaks(
    (tokens, scim): (&Tokens, &Scim),
    clock: &Clock,
    token_format: TokenFormat,
    config: &Config,
) -> anyhow::Result<Leaks> {
    let webhook = config.leaks.webhook_url.as_ref().map(|url| Webhook::new(url.expose().to_owned()));
    let webhook = webhook.transpose()?.unwrap_or_default();
    let max_reports = config.rate_limits.leak_reports_per_ip_per_minute;
    Ok(Leaks::new((tokens.clone(), scim.clone()), clock.clone(), token_format, max_reports, webhook))
}

/// Reads the settings of the providers to which browsers are redirected.
pub(super) fn redirect_providers(config: &Config) -> anyhow::Result<RedirectProviders> {
    let openid = OpenIdProviders::new(config.openid_providers()?)?;
    let saml = SamlProviders::new(config.saml_providers()?)?;
    Ok(RedirectProviders { openid, saml })
}

/// Builds the service of web sessions.
pub(super) fn sessions(
    (store, clock, random): (&Store, &Clock, &Random),
    mutations: &Mutations,
    config: &Config,
) -> Sessions {
    Sessions::new(store.clone(), clock.clone(), random.clone(), config.session_lifetime(), mutations.clone())
}

/// Builds the entry point of sign-ins.
pub(super) fn sign_in(
    (store, clock, random): (&Store, &Clock, &Random),
    denied_attempts: &DeniedAttemptLog,
    hasher: Hasher,
    (directory, providers, identities): (DirectorySignIn, RedirectProviders, Identities),
    config: &Config,
) -> SignIn {
    let provider = ProviderSignIn::new(providers, identities, config.http.request_timeout.get() * 5 / 6);
    let max_failures = config.rate_limits.failed_logins_per_ip;
    let clock_and_random = (clock.clone(), random.clone());
    SignIn::new(store.clone(), denied_attempts.clone(), clock_and_random, hasher, (directory, provider), max_failures)
}

/// Builds the service of invite links.
pub(super) fn invites(
    (store, clock, random): (&Store, &Clock, &Random),
    people: &People,
    sign_in: &SignIn,
    mutations: &Mutations,
    config: &Config,
) -> Invites {
    let url = InviteUrl::new(&config.public_url(), !config.lacks_public_url());
    let dependencies = (store.clone(), clock.clone(), random.clone());
    Invites::new(dependencies, people.clone(), sign_in, mutations.clone(), url)
}

/// Builds the service of external identities.
pub(super) fn identities(
    (store, node, clock, random): (&Store, &Node, &Clock, &Random),
    mutations: &Mutations,
) -> Identities {
    Identities::new((store.clone(), node.clone(), clock.clone(), random.clone()), mutations.clone())
}

/// Builds the service of SCIM provisioning.
pub(super) fn scim(
    (store, node, clock, random): (&Store, &Node, &Clock, &Random),
    (directories, providers, tokens): (&Directories, &RedirectProviders, &Tokens),
    mutations: &Mutations,
    read_budget: &ReadBudget,
) -> Scim {
    let dependencies = (store.clone(), node.clone(), clock.clone(), random.clone());
    Scim::new(dependencies, (directories, providers, tokens.clone()), mutations.clone(), read_budget.clone())
}

/// Builds the service of device authorizations, which announces the URL of its page.
pub(super) fn device_authorizations(
    (store, clock, random): (&Store, &Clock, &Random),
    tokens: &Tokens,
    mutations: &Mutations,
    config: &Config,
) -> DeviceAuthorizations {
    let dependencies = (store.clone(), clock.clone(), random.clone());
    DeviceAuthorizations::new(dependencies, tokens.clone(), mutations.clone(), &config.public_url())
}

/// Builds the service of webhooks, whose requests reach only allowed addresses.
pub(super) fn webhooks(
    dependencies: (Store, Clock, Random),
    mutations: &Mutations,
    read_budget: &ReadBudget,
    config: &Config,
) -> anyhow::Result<Webhooks> {
    let policy = AddressPolicy { allow_private: config.outbound.allow_private };
    let client = OutboundClient::new(policy, Lookup::system(), REQUEST_TIMEOUT)?;
    Ok(Webhooks::new(dependencies, mutations.clone(), read_budget.clone(), client))
}

/// Builds the service of trust rules and exchanges.
pub(super) fn workload_identity(
    (store, node, clock, random): (&Store, &Node, &Clock, &Random),
    token_format: &TokenFormat,
    mutations: &Mutations,
    config: &Config,
) -> anyhow::Result<WorkloadIdentity> {
    let settings = WorkloadIdentitySettings {
        defaults: config.default_settings(),
        max_active: config.tokens.max_active_per_person,
        creations_per_minute: config.rate_limits.token_creation_per_minute,
        rejections_per_minute: config.rate_limits.rejected_tokens_per_ip_per_minute,
        addresses: AddressPolicy { allow_private: config.outbound.allow_private },
        ca_file: config.outbound.ca_file.clone(),
        // The transaction follows within the same request.
        time_limit: config.http.request_timeout.get() / 2,
    };
    let dependencies = (store.clone(), node.clone(), clock.clone(), random.clone());
    WorkloadIdentity::new(dependencies, token_format.clone(), mutations.clone(), settings).context("outbound.ca_file")
}
