//! What handlers see: the services, and nothing else.

use axum::extract::FromRef;

use crate::{
    cluster::Live,
    config::Config,
    domain::{random::Random, time::Clock},
    service::{
        ClockFloor, Events, Leaks, Lists, Mutations, People, Refusals, Sessions, SignIn, Tokens, Workspaces,
        health::Health, password::Hasher, webhook::Webhook,
    },
    store::Store,
};

/// The services of one running Tokenward. Cheap to clone.
#[derive(Clone, FromRef)]
pub struct App {
    tokens: Tokens,
    people: People,
    workspaces: Workspaces,
    sign_in: SignIn,
    sessions: Sessions,
    events: Events,
    refusals: Refusals,
    leaks: Leaks,
    health: Health,
    live: Live,
    clock_floor: ClockFloor,
}

impl App {
    /// Builds the services over a store.
    ///
    /// # Errors
    /// Configuration that the services refuse.
    pub fn new(store: Store, clock: Clock, random: Random, config: &Config) -> anyhow::Result<Self> {
        let defaults = config.default_settings();
        let hasher = Hasher::new(config.password_cost(), random.clone())?;
        let live = Live::new(store.clone(), clock.clone(), random.clone(), config.memory_limits());
        let mutations = Mutations::new(clock.clone(), defaults);
        let lists = Lists::new(store.list_places());
        let stored = (store.clone(), live.clone(), clock.clone(), lists.clone());
        let people = People::new(stored, hasher.clone(), config.password_policy(), mutations.clone());
        let format = config.token_format()?;
        let lifetime = config.session_lifetime();
        let sessions = Sessions::new(store.clone(), clock.clone(), random.clone(), lifetime, mutations.clone());
        let webhook = config.leaks.webhook_url.as_ref().map(|url| Webhook::new(url.expose().to_owned()));
        let webhook = webhook.transpose()?.unwrap_or_default();
        let refusals = Refusals::new(store.clone(), clock.clone());
        let clock_floor = ClockFloor::new(store.clone(), clock.clone());
        let tokens = Tokens::new(
            (store.clone(), live.clone(), refusals.clone(), lists.clone()),
            (clock.clone(), random.clone()),
            format.clone(),
            defaults,
            config.token_limits(),
            mutations.clone(),
        );
        let wrong_per_address = config.limits.wrong_passwords_per_address;
        Ok(Self {
            leaks: Leaks::new(tokens.clone(), clock.clone(), format, config.limits.leak_reports_per_minute, webhook),
            tokens,
            workspaces: Workspaces::new(
                (store.clone(), live.clone(), lists.clone()),
                people.clone(),
                defaults,
                mutations,
            ),
            live,
            people,
            sessions,
            events: Events::new(store.clone(), clock.clone(), lists),
            sign_in: SignIn::new(store.clone(), refusals.clone(), (clock, random), hasher, wrong_per_address),
            refusals,
            clock_floor,
            health: Health::new(store),
        })
    }

    /// The tokens.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The people.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.people
    }

    /// The workspaces.
    #[must_use]
    pub fn workspaces(&self) -> &Workspaces {
        &self.workspaces
    }

    /// What holds the clock to the latest time that any node has seen.
    #[must_use]
    pub fn clock_floor(&self) -> &ClockFloor {
        &self.clock_floor
    }

    /// What this process knows right now.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// What happened.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Who was not let in.
    #[must_use]
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// The sessions of the pages.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The door that takes passwords.
    #[must_use]
    pub fn sign_in(&self) -> &SignIn {
        &self.sign_in
    }
}
