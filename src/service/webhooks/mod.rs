//! Webhooks of a workspace: their administration, and the delivery of events.

mod counters;
mod delivery;

use uuid::Uuid;

pub use crate::outbound::InvalidOutboundUrl;
use crate::{
    domain::{
        authority::{Mutation, RequiredRole},
        id::{PersonId, WorkspaceId},
        random::Random,
        time::Clock,
        webhook::{Delivery, EventSelection, MAX_WEBHOOKS, SigningSecret, Webhook},
    },
    outbound::{OutboundClient, OutboundUrl},
    service::{Actor, Error, Mutations, ReadBudget, Result, read_budget::ReadRequester},
    store::{NewWebhook, Store, WebhookChange, WebhookContent, WebhookInsert, WebhookTest},
};
pub use counters::WebhookCounters;
pub use delivery::REQUEST_TIMEOUT;

/// Administers webhooks and delivers events to them. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    store: Store,
    clock: Clock,
    random: Random,
    mutations: Mutations,
    read_budget: ReadBudget,
    client: OutboundClient,
    counters: WebhookCounters,
}

/// Fields of a new webhook that an administrator sets.
#[derive(Clone)]
pub struct CreateWebhook<'a> {
    pub url: &'a str,
    pub events: EventSelection,
    pub is_enabled: bool,
}

/// A change of a webhook. `None` keeps a value.
#[derive(Clone, Default)]
pub struct ChangeWebhook<'a> {
    pub url: Option<&'a str>,
    pub events: Option<EventSelection>,
    pub is_enabled: Option<bool>,
}

impl Webhooks {
    /// Creates the service. `client` sends the requests.
    #[must_use]
    pub fn new(
        (store, clock, random): (Store, Clock, Random),
        mutations: Mutations,
        read_budget: ReadBudget,
        client: OutboundClient,
    ) -> Self {
        Self { store, clock, random, mutations, read_budget, client, counters: WebhookCounters::default() }
    }

    /// Returns the counters of deliveries.
    #[must_use]
    pub fn counters(&self) -> &WebhookCounters {
        &self.counters
    }

    /// Lists the webhooks of the administrator's workspace, oldest first.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if the caller is not an administrator.
    pub async fn list(&self, administrator: &Actor) -> Result<Vec<Webhook>> {
        ensure_administrator(administrator)?;
        Ok(self.store.list_webhooks(WorkspaceId::of(administrator)).await?)
    }

    /// Finds a webhook of the administrator's workspace.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`] if the caller is not an administrator, [`Error::WebhookNotFound`] if
    /// there is none.
    pub async fn find(&self, administrator: &Actor, id: Uuid) -> Result<Webhook> {
        ensure_administrator(administrator)?;
        self.store.find_webhook(WorkspaceId::of(administrator), id).await?.ok_or(Error::WebhookNotFound)
    }

    /// Creates a webhook. Its secret is not readable afterwards.
    ///
    /// # Errors
    /// [`Error::InvalidWebhookUrl`] if the URL can never be requested, [`Error::TooManyWebhooks`] if the
    /// workspace has the maximum number.
    pub async fn create(&self, administrator: &Actor, new: CreateWebhook<'_>) -> Result<(Webhook, SigningSecret)> {
        let content = content(&self.client.parse_url(new.url)?, new.events, new.is_enabled);
        let secret = SigningSecret::generate(&self.random);
        let now = self.clock.now();
        let id = uuid::Builder::from_unix_timestamp_millis(now.as_millis().unsigned_abs(), &self.random.bytes());
        let new = NewWebhook {
            id: id.into_uuid(),
            workspace_id: WorkspaceId::of(administrator),
            content,
            secret: secret.clone(),
        };
        match self.store.insert_webhook(&new, &self.mutation(administrator)).await? {
            WebhookInsert::Created(webhook) => Ok((webhook, secret)),
            WebhookInsert::TooMany => Err(Error::TooManyWebhooks { max: MAX_WEBHOOKS }),
            WebhookInsert::WorkspaceNotFound => Err(Error::WorkspaceNotFound),
        }
    }

    /// Changes a webhook. An enabled one is tried again at once.
    ///
    /// # Errors
    /// [`Error::WebhookNotFound`] if there is none, [`Error::InvalidWebhookUrl`] if the URL can never be
    /// requested.
    pub async fn change(&self, administrator: &Actor, id: Uuid, change: ChangeWebhook<'_>) -> Result<Webhook> {
        ensure_administrator(administrator)?;
        // A stored URL may not be allowed any more; a new text is checked, an old one stays as it is.
        let url = change.url.map(|url| self.client.parse_url(url)).transpose()?;
        let change = WebhookChange {
            url: url.map(|url| url.as_str().to_owned()),
            events: change.events,
            is_enabled: change.is_enabled,
        };
        let (workspace_id, mutation) = (WorkspaceId::of(administrator), self.mutation(administrator));
        let label = OutboundUrl::label_of;
        let changed = self.store.update_webhook(workspace_id, id, &change, label, &mutation).await?;
        changed.ok_or(Error::WebhookNotFound)
    }

    /// Deletes a webhook. The deliveries that wait for it are not sent; their rows are purged with those
    /// of other webhooks.
    ///
    /// # Errors
    /// [`Error::WebhookNotFound`] if there is none.
    pub async fn delete(&self, administrator: &Actor, id: Uuid) -> Result<()> {
        let webhook = self.find(administrator, id).await?;
        let (workspace_id, label) = (WorkspaceId::of(administrator), OutboundUrl::label_of(&webhook.url));
        let is_deleted = self.store.delete_webhook(workspace_id, id, &label, &self.mutation(administrator)).await?;
        if is_deleted { Ok(()) } else { Err(Error::WebhookNotFound) }
    }

    /// Queues a test event for a webhook.
    ///
    /// # Errors
    /// [`Error::WebhookNotFound`] if there is none, [`Error::WebhookDisabled`] if it is disabled.
    pub async fn send_test(&self, administrator: &Actor, id: Uuid) -> Result<()> {
        let webhook = self.find(administrator, id).await?;
        let (workspace_id, label) = (WorkspaceId::of(administrator), OutboundUrl::label_of(&webhook.url));
        match self.store.test_webhook(workspace_id, id, &label, &self.mutation(administrator)).await? {
            WebhookTest::Queued => Ok(()),
            WebhookTest::Disabled => Err(Error::WebhookDisabled),
            WebhookTest::NotFound => Err(Error::WebhookNotFound),
        }
    }

    /// Lists deliveries of a webhook before the delivery `before`, newest first.
    ///
    /// # Errors
    /// [`Error::WebhookNotFound`] if there is no such webhook, [`Error::RateLimited`] if the caller has
    /// too many reads in progress.
    pub async fn deliveries(
        &self,
        administrator: &Actor,
        id: Uuid,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Delivery>> {
        let webhook = self.find(administrator, id).await?;
        let (store, workspace_id) = (self.store.clone(), webhook.workspace_id);
        let before = before.unwrap_or(i64::MAX);
        let query = async move { store.list_webhook_deliveries(workspace_id, id, before, limit).await };
        let requester = ReadRequester::person(PersonId::of(administrator));
        self.read_budget.run(requester, query).await
    }

    fn mutation(&self, administrator: &Actor) -> Mutation {
        self.mutations.by_actor(administrator, RequiredRole::Administrator)
    }
}

fn content(url: &OutboundUrl, events: EventSelection, is_enabled: bool) -> WebhookContent {
    WebhookContent { url: url.as_str().to_owned(), label: url.origin(), events, is_enabled }
}

fn ensure_administrator(actor: &Actor) -> Result<()> {
    if actor.is_admin { Ok(()) } else { Err(Error::NotAdministrator) }
}
