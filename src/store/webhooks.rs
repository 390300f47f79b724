//! Webhooks of a workspace. Their deliveries are in `webhook_deliveries`.

use std::fmt;

use uuid::Uuid;

use super::{
    Error, Result, Store,
    authority::begin,
    events::{EventDraft, record},
    from_row, on_pool,
};
use crate::domain::{
    authority::Mutation,
    event::{Action, Details},
    id::WorkspaceId,
    time::Timestamp,
    webhook::{EventSelection, MAX_WEBHOOKS, SigningSecret, Webhook},
};

/// Webhook to be created.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    pub id: Uuid,
    pub workspace_id: WorkspaceId,
    pub content: WebhookContent,
    pub secret: SigningSecret,
}

/// Fields of a webhook that an administrator sets. `Debug` does not print the URL.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookContent {
    pub url: String,
    /// Scheme, host and port of the URL, for events. The rest may be a secret.
    pub label: String,
    pub events: EventSelection,
    pub is_enabled: bool,
}

impl fmt::Debug for WebhookContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, events, is_enabled, .. } = self;
        f.debug_struct("WebhookContent")
            .field("label", label)
            .field("events", events)
            .field("is_enabled", is_enabled)
            .finish_non_exhaustive()
    }
}

/// Change of a webhook. `None` keeps the value that the row has when the transaction writes it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct WebhookChange {
    pub url: Option<String>,
    pub events: Option<EventSelection>,
    pub is_enabled: Option<bool>,
}

/// Result of creating a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookInsert {
    Created(Webhook),
    /// The workspace has the maximum number of webhooks.
    TooMany,
    WorkspaceNotFound,
}

/// Result of requesting a test event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookTest {
    Queued,
    NotFound,
    /// The webhook is disabled, so it receives nothing.
    Disabled,
}

pub(super) struct Row {
    id: Uuid,
    workspace_id: WorkspaceId,
    url: String,
    events: String,
    is_enabled: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    failing_since: Option<Timestamp>,
}

from_row!(Row { id, workspace_id, url, events, is_enabled, created_at, updated_at, failing_since });

macro_rules! columns {
    () => {
        "id, workspace_id, url, events, is_enabled, created_at, updated_at, failing_since"
    };
}

impl TryFrom<Row> for Webhook {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            url: row.url,
            events: parse_events(&row.events)?,
            is_enabled: row.is_enabled,
            created_at: row.created_at,
            updated_at: row.updated_at,
            failing_since: row.failing_since,
        })
    }
}

/// Returns the stored text of a selection: each name between two spaces, so that the trigger finds
/// whole names.
fn events_text(events: &EventSelection) -> String {
    format!(" {} ", events.names().join(" "))
}

/// Parses the stored text. Names of a newer program are skipped.
fn parse_events(text: &str) -> Result<EventSelection> {
    let names: Vec<&str> = text.split_whitespace().collect();
    if names.contains(&EventSelection::ALL_WORD) {
        return Ok(EventSelection::All);
    }
    if names.is_empty() {
        return Err(Error::corrupt("webhook.events"));
    }
    Ok(EventSelection::Only(names.into_iter().filter_map(Action::parse).collect()))
}

/// Returns the draft of an event about a webhook.
pub(super) fn webhook_event<'a>(action: Action, target: &'a str, label: &'a str, details: Details) -> EventDraft<'a> {
    EventDraft { action, person_id: None, target, label, details }
}

fn details_of(events: &EventSelection, is_enabled: bool) -> Details {
    Details::default().with("events", events.names()).with("isEnabled", is_enabled)
}

impl Store {
    /// Creates a webhook.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time, and [`Error::AuthorizationLost`] if the caller lost its right meanwhile.
    pub async fn insert_webhook(&self, new: &NewWebhook, mutation: &Mutation) -> Result<WebhookInsert> {
        const COUNT: &str = "select count(*) from webhook where workspace_id = $1";
        const INSERT: &str = concat!(
            "insert into webhook (id, workspace_id, url, events, is_enabled, secret, created_at, updated_at, enabled_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $7, $7) returning ",
            columns!()
        );
        on_pool!(self, pool => {
            let (mut tx, context, exists) = begin!(self, pool, new.workspace_id, mutation);
            if !exists {
                return Ok(WebhookInsert::WorkspaceNotFound);
            }
            let count: i64 = sqlx::query_scalar(COUNT).bind(new.workspace_id).fetch_one(&mut *tx).await?;
            if count >= MAX_WEBHOOKS {
                return Ok(WebhookInsert::TooMany);
            }
            let content = &new.content;
            let row: Row = sqlx::query_as(INSERT).bind(new.id).bind(new.workspace_id).bind(&content.url)
                .bind(events_text(&content.events)).bind(content.is_enabled).bind(new.secret.as_bytes()).bind(context.at)
                .fetch_one(&mut *tx).await?;
            let target = new.id.to_string();
            let event = webhook_event(Action::WebhookCreated, &target, &content.label, details_of(&content.events, content.is_enabled));
            record!(tx, new.workspace_id, context, event);
            tx.commit().await?;
            Ok(WebhookInsert::Created(row.try_into()?))
        })
    }

    /// Lists the webhooks of a workspace, oldest first.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn list_webhooks(&self, workspace_id: WorkspaceId) -> Result<Vec<Webhook>> {
        const SELECT: &str =
            concat!("select ", columns!(), " from webhook where workspace_id = $1 order by created_at, id");
        let rows: Vec<Row> = on_pool!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).fetch_all(pool).await)?;
        rows.into_iter().map(Webhook::try_from).collect()
    }

    /// Finds a webhook of a workspace.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in time.
    pub async fn find_webhook(&self, workspace_id: WorkspaceId, id: Uuid) -> Result<Option<Webhook>> {
        const SELECT: &str = concat!("select ", columns!(), " from webhook where workspace_id = $1 and id = $2");
        let row: Option<Row> =
            on_pool!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).bind(id).fetch_optional(pool).await)?;
        row.map(Webhook::try_from).transpose()
    }

    /// Changes a webhook. An enabled one is tried again at once. With another URL, or when it is enabled
    /// again, it has three more days to accept what waits for it. `label` returns the label of a URL for
    /// the event. Returns `None` if there is no such webhook.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time, and [`Error::AuthorizationLost`] if the caller lost its right meanwhile.
    pub async fn update_webhook(
        &self,
        workspace_id: WorkspaceId,
        id: Uuid,
        change: &WebhookChange,
        label: fn(&str) -> String,
        mutation: &Mutation,
    ) -> Result<Option<Webhook>> {
        const UPDATE: &str = concat!(
            "update webhook set url = coalesce($3, url), events = coalesce($4, events), \
             is_enabled = coalesce($5, is_enabled), updated_at = $6, \
             enabled_at = case when coalesce($3, url) <> url or (coalesce($5, is_enabled) and not is_enabled) \
             then $6 else enabled_at end, \
             failing_since = case when coalesce($3, url) <> url or (coalesce($5, is_enabled) and not is_enabled) \
             then null else failing_since end, \
             paused_until = null where workspace_id = $1 and id = $2 returning ",
            columns!()
        );
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let row: Option<Row> = sqlx::query_as(UPDATE).bind(workspace_id).bind(id).bind(&change.url)
                .bind(change.events.as_ref().map(events_text)).bind(change.is_enabled).bind(context.at)
                .fetch_optional(&mut *tx).await?;
            let Some(row) = row else { return Ok(None) };
            let webhook = Webhook::try_from(row)?;
            let (target, label) = (id.to_string(), label(&webhook.url));
            let details = details_of(&webhook.events, webhook.is_enabled);
            let event = webhook_event(Action::WebhookChanged, &target, &label, details);
            record!(tx, workspace_id, context, event);
            tx.commit().await?;
            Ok(Some(webhook))
        })
    }

    /// Deletes a webhook of a workspace. `label` is for the event. Returns false if there is none.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time, and [`Error::AuthorizationLost`] if the caller lost its right meanwhile.
    pub async fn delete_webhook(
        &self,
        workspace_id: WorkspaceId,
        id: Uuid,
        label: &str,
        mutation: &Mutation,
    ) -> Result<bool> {
        const DELETE: &str = "delete from webhook where workspace_id = $1 and id = $2";
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let deleted = sqlx::query(DELETE).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            if deleted.rows_affected() == 0 {
                return Ok(false);
            }
            let target = id.to_string();
            record!(tx, workspace_id, context, webhook_event(Action::WebhookDeleted, &target, label, Details::default()));
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Queues a test event for a webhook, and ends the pause after a failure. `label` is for the event.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time, and [`Error::AuthorizationLost`] if the caller lost its right meanwhile.
    pub async fn test_webhook(
        &self,
        workspace_id: WorkspaceId,
        id: Uuid,
        label: &str,
        mutation: &Mutation,
    ) -> Result<WebhookTest> {
        const UNPAUSE: &str =
            "update webhook set paused_until = null where workspace_id = $1 and id = $2 returning is_enabled";
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let is_enabled: Option<bool> =
                sqlx::query_scalar(UNPAUSE).bind(workspace_id).bind(id).fetch_optional(&mut *tx).await?;
            match is_enabled {
                None => return Ok(WebhookTest::NotFound),
                Some(false) => return Ok(WebhookTest::Disabled),
                Some(true) => {}
            }
            let target = id.to_string();
            record!(tx, workspace_id, context, webhook_event(Action::WebhookTested, &target, label, Details::default()));
            tx.commit().await?;
            Ok(WebhookTest::Queued)
        })
    }
}
