//! The application state of handlers: all services of one node.

mod services;

use axum::extract::FromRef;

use crate::{
    cluster::Node,
    config::Config,
    domain::{random::Random, time::Clock},
    service::{
        ClockFloor, DeniedAttemptLog, DeviceAuthorizations, Directories, DirectorySyncs, Events, ExpiryWarnings,
        Identities, Invites, Leaks, Mail, Mutations, People, ReadBudget, Scim, Sessions, SignIn, TokenStatistics,
        Tokens, Webhooks, WorkloadIdentity, Workspaces, health::Health, password::Hasher,
    },
    store::Store,
};
use services::{
    device_authorizations, directory_sign_in, identities, invites, leaks, redirect_providers, scim, sessions, sign_in,
    webhooks, workload_identity,
};

/// The services of one node. Cheap to clone.
#[derive(Clone, FromRef)]
pub struct App {
    tokens: Tokens,
    people: People,
    workspaces: Workspaces,
    sign_in: SignIn,
    sessions: Sessions,
    invites: Invites,
    identities: Identities,
    directory_syncs: DirectorySyncs,
    events: Events,
    denied_attempts: DeniedAttemptLog,
    leaks: Leaks,
    webhooks: Webhooks,
    mail: Mail,
    scim: Scim,
    device_authorizations: DeviceAuthorizations,
    workload_identity: WorkloadIdentity,
    expiry_warnings: ExpiryWarnings,
    health: Health,
    node: Node,
    clock_floor: ClockFloor,
    read_budget: ReadBudget,
    token_statistics: TokenStatistics,
}

impl App {
    /// Builds the services on a store.
    ///
    /// # Errors
    /// If a value of the configuration is invalid.
    pub fn new(store: Store, clock: Clock, random: Random, config: &Config) -> anyhow::Result<Self> {
        let defaults = config.default_settings();
        let hasher = Hasher::new(config.password_cost(), random.clone())?;
        let node = Node::new(store.clone(), clock.clone(), random.clone(), config.cache_limits());
        let mutations = Mutations::new(clock.clone(), &defaults);
        let read_budget = ReadBudget::new(store.max_concurrent_lists());
        let dependencies = (store.clone(), node.clone(), clock.clone(), read_budget.clone());
        let policy = config.password_policy();
        let people = People::new(dependencies, hasher.clone(), policy, mutations.clone(), !config.sso.is_empty());
        let token_format = config.token_format()?;
        let sessions = sessions((&store, &clock, &random), &mutations, config);
        let denied_attempts = DeniedAttemptLog::new(store.clone(), clock.clone());
        let tokens = Tokens::new(
            (store.clone(), node.clone(), denied_attempts.clone(), read_budget.clone()),
            (clock.clone(), random.clone()),
            token_format.clone(),
            defaults.clone(),
            config.token_limits(),
            mutations.clone(),
        );
        let directories = Directories::new(config.directories()?)?;
        let providers = redirect_providers(config)?;
        let identities = identities((&store, &node, &clock, &random), &mutations);
        let directory = directory_sign_in(&directories, &node, &token_format, config);
        let entry_points = (directory, providers.clone(), identities.clone());
        let sign_in = sign_in((&store, &clock, &random), &denied_attempts, hasher, entry_points, config);
        let invites = invites((&store, &clock, &random), &people, &sign_in, &mutations, config);
        let scim =
            scim((&store, &node, &clock, &random), (&directories, &providers, &tokens), &mutations, &read_budget);
        let dependencies = (store.clone(), node.clone(), clock.clone());
        let directory_syncs = DirectorySyncs::new(dependencies, directories, denied_attempts.clone());
        Ok(Self {
            workload_identity: workload_identity((&store, &node, &clock, &random), &token_format, &mutations, config)?,
            clock_floor: ClockFloor::new(store.clone(), clock.clone()),
            expiry_warnings: ExpiryWarnings::new(store.clone(), clock.clone(), defaults.expiry_warning_days),
            mail: Mail::new((store.clone(), clock.clone(), random.clone()), config.mailer()?, &config.public_url()),
            device_authorizations: device_authorizations((&store, &clock, &random), &tokens, &mutations, config),
            webhooks: webhooks((store.clone(), clock.clone(), random), &mutations, &read_budget, config)?,
            identities,
            directory_syncs,
            leaks: leaks((&tokens, &scim), &clock, token_format, config)?,
            scim,
            tokens,
            workspaces: Workspaces::new(
                (store.clone(), node.clone(), read_budget.clone()),
                people.clone(),
                defaults,
                mutations,
            ),
            node: node.clone(),
            people,
            sessions,
            events: Events::new(store.clone(), clock.clone(), read_budget.clone()),
            read_budget,
            token_statistics: TokenStatistics::new(store.clone(), clock),
            sign_in,
            invites,
            denied_attempts,
            health: Health::new(store, node),
        })
    }

    /// Returns the token service.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Returns the service of people.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.people
    }

    /// Returns the service of workspaces.
    #[must_use]
    pub fn workspaces(&self) -> &Workspaces {
        &self.workspaces
    }

    /// Returns the clock floor, which keeps the clock from falling behind the latest time of any
    /// node.
    #[must_use]
    pub fn clock_floor(&self) -> &ClockFloor {
        &self.clock_floor
    }

    /// Returns the events of tokens that expire soon.
    #[must_use]
    pub fn expiry_warnings(&self) -> &ExpiryWarnings {
        &self.expiry_warnings
    }

    /// Returns the service of webhooks.
    #[must_use]
    pub fn webhooks(&self) -> &Webhooks {
        &self.webhooks
    }

    /// Returns the service of e-mail.
    #[must_use]
    pub fn mail(&self) -> &Mail {
        &self.mail
    }

    /// Returns the service of SCIM provisioning.
    #[must_use]
    pub fn scim(&self) -> &Scim {
        &self.scim
    }

    /// Returns the service of device authorizations.
    #[must_use]
    pub fn device_authorizations(&self) -> &DeviceAuthorizations {
        &self.device_authorizations
    }

    /// Returns the service of trust rules and exchanges.
    #[must_use]
    pub fn workload_identity(&self) -> &WorkloadIdentity {
        &self.workload_identity
    }

    /// Returns this node of the cluster, with its token cache.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Returns the audit log.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Returns the log of denied attempts.
    #[must_use]
    pub fn denied_attempts(&self) -> &DeniedAttemptLog {
        &self.denied_attempts
    }

    /// Returns the numbers of tokens.
    #[must_use]
    pub fn token_statistics(&self) -> &TokenStatistics {
        &self.token_statistics
    }

    /// Returns the readiness check.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Returns how often each rate limit was exceeded since the start.
    #[must_use]
    pub fn rate_limit_rejections(&self) -> Vec<(&'static str, u64)> {
        let mut rejections = self.tokens.rate_limit_rejections().to_vec();
        rejections.extend([
            self.leaks.rate_limit_rejections(),
            self.workload_identity.rate_limit_rejections(),
            self.sign_in.rate_limit_rejections(),
            self.sign_in.provider_rate_limit_rejections(),
            self.read_budget.rate_limit_rejections(),
            self.mail.rate_limit_rejections(),
        ]);
        rejections.extend(self.device_authorizations.rate_limit_rejections());
        rejections
    }

    /// Returns the web sessions.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Returns the service of invite links.
    #[must_use]
    pub fn invites(&self) -> &Invites {
        &self.invites
    }

    /// Returns the external identities of people.
    #[must_use]
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// Returns the sync with directories.
    #[must_use]
    pub fn directory_syncs(&self) -> &DirectorySyncs {
        &self.directory_syncs
    }

    /// Returns the sign-in service, which verifies passwords.
    #[must_use]
    pub fn sign_in(&self) -> &SignIn {
        &self.sign_in
    }
}
