//! A node's ear: the one connection over which it hears what was changed and keeps its lease.
//!
//! Everything that is heard is dealt with in order, by this one task. What makes that enough is said in the
//! [module](super).

use std::{mem::Discriminant, sync::Arc, time::Duration};

use tokio::{sync::watch, time::MissedTickBehavior};

use super::{Memory, barrier::Agreement, message::Message, node_state::Hearing};
use crate::cache::invalidation::Change;
use crate::{
    domain::{random::Random, time::Clock},
    store::{self, Nodes},
};

/// How often a lease is renewed while it lasts.
const RENEWALS: u32 = 4;
/// How long to wait before the database is tried again, and before a connection through which nothing is heard is.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
const DEAF_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// What a node needs to hear.
pub(crate) struct Ear {
    pub(crate) nodes: Nodes,
    pub(crate) memory: Arc<Memory>,
    pub(crate) agreement: Agreement,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    /// How long a lease lasts.
    pub(crate) lease: Duration,
}

/// Why nothing is heard any more.
#[derive(Debug, thiserror::Error)]
enum Deaf {
    #[error("the connection over which changes are heard was lost")]
    Lost(#[from] store::Error),
    #[error("nothing was heard for the length of a lease")]
    Silence,
    #[error("this node's row was removed")]
    Removed,
    #[error("what is notified is not heard on the connection that LISTENs")]
    Pooler,
}

/// A connection over which a node hears, and is known to the others, from LISTEN to its loss.
struct Tenure<'a> {
    ear: &'a Ear,
    connection: store::Ear,
    hearing: Hearing,
    /// All transactions below this one had ended when the database was asked last.
    oldest_transaction: u64,
}

impl Ear {
    /// Hears until `stopped` changes, and begins anew whenever it became deaf.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<()>) {
        let mut told = None;
        let mut is_lost = false;
        self.warn_of_strangers().await;
        loop {
            let deaf = tokio::select! {
                deaf = self.listen(is_lost, &mut told) => deaf,
                _ = stopped.changed() => break,
            };
            is_lost = matches!(deaf, Deaf::Lost(_) | Deaf::Silence);
            let pause = if matches!(deaf, Deaf::Pooler) { DEAF_AGAIN_AFTER } else { AGAIN_AFTER };
            let reason = std::mem::discriminant(&deaf);
            if told.replace(reason) != Some(reason) {
                complain(deaf);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.changed() => break,
            }
        }
        self.leave().await;
    }

    /// One connection: from LISTEN to its loss.
    async fn listen(&self, is_lost: bool, told: &mut Option<Discriminant<Deaf>>) -> Deaf {
        match self.begin(is_lost).await {
            Err(deaf) => deaf,
            Ok(mut tenure) => {
                let deaf = match tenure.enter().await {
                    Err(deaf) => deaf,
                    Ok(()) => {
                        if told.take().is_some() {
                            tracing::info!("changes are heard again: checks are answered from memory");
                        }
                        self.memory.set_hearing(true);
                        tenure.hear_on().await
                    }
                };
                drop(tenure);
                self.leave().await;
                deaf
            }
        }
    }

    /// Begins to listen. Where the last connection was lost the primary may be another by now.
    async fn begin(&self, is_lost: bool) -> Result<Tenure<'_>, Deaf> {
        if is_lost {
            self.nodes.seek().await?;
        }
        let trial = uuid::Builder::from_random_bytes(self.random.bytes()).into_uuid();
        let listening =
            tokio::time::timeout(2 * self.lease, self.nodes.listen(self.agreement.caller(), trial, self.lease)).await;
        let mut connection = listening.map_err(|_| Deaf::Silence)??.ok_or(Deaf::Pooler)?;
        // The secret first: what is heard from here on is not passed over for want of it.
        let state = self.within_lease(connection.state()).await?;
        self.memory.learn(&state.secret);
        // What was read before may have changed unheard. From here on nothing does.
        self.memory.cache.invalidate(Change::Everything);
        let id = uuid::Builder::from_random_bytes(self.random.bytes()).into_uuid();
        let (memory, clock) = (Arc::clone(&self.memory), self.clock.clone());
        let hearing = Hearing::new(id, memory, clock, self.lease, state.oldest_transaction);
        Ok(Tenure { ear: self, connection, hearing, oldest_transaction: state.oldest_transaction })
    }

    async fn within_lease<T>(&self, work: impl Future<Output = store::Result<T>>) -> Result<T, Deaf> {
        Ok(tokio::time::timeout(self.lease, work).await.map_err(|_| Deaf::Silence)??)
    }

    /// Gives up the lease and says so, where the database can be reached, so that nobody waits for this node.
    async fn leave(&self) {
        self.memory.cache.lease().end();
        self.memory.set_hearing(false);
        if let (Some(id), Some(keys)) = (self.memory.take_node(), self.memory.keys()) {
            let notice = keys.sign(&Message::Left { node: id });
            let left = self.within_lease(self.nodes.leave(id, &notice)).await;
            if let Err(error) = left {
                tracing::debug!(%error, "the row of this node could not be removed; the others will");
            }
        }
    }
}

impl Ear {
    /// Says where strangers can disturb the nodes, or could speak in their name.
    async fn warn_of_strangers(&self) {
        let Ok(exposure) = self.within_lease(self.nodes.exposure()).await else { return };
        if exposure.public_may_connect {
            tracing::warn!(
                "every role of the server may connect to this database, and so send and receive notifications: \
                 revoke connect on database … from public (docs/operations.md)"
            );
        }
        if exposure.others_may_read_secret {
            tracing::warn!(
                "a role other than its owner may read the table cluster_secret, and so speak in the name of nodes: \
                 revoke all on cluster_secret from that role"
            );
        }
    }

    fn warn_of_dropped(&self) {
        if let Some(dropped) = self.memory.dropped.untold(self.clock.elapsed()) {
            tracing::warn!(
                dropped,
                "dropped messages that no node of this cluster has sent, or that were sent before: who may connect to the database?"
            );
        }
    }
}

/// Each reason is told once, until changes are heard again.
fn complain(deaf: Deaf) {
    match deaf {
        Deaf::Pooler => tracing::warn!(
            "LISTEN does not work on this connection to the database (a pooler in transaction mode?): checks read the \
             database each time. Let database.url lead to the database itself"
        ),
        Deaf::Lost(_) | Deaf::Silence | Deaf::Removed => {
            let reason = anyhow::Error::from(deaf);
            tracing::warn!(?reason, "checks read the database until changes are heard again");
        }
    }
}

impl Tenure<'_> {
    /// Becomes a node. The row is to be on disk before it counts, so another connection writes it: this one does not wait for
    /// disks.
    async fn enter(&mut self) -> Result<(), Deaf> {
        let Ear { memory, nodes, lease, .. } = self.ear;
        if !memory.cache.is_enabled() {
            // Nothing is kept, so nobody need wait for this node; it hears the answers to its own calls.
            return Ok(());
        }
        memory.set_node(self.hearing.id);
        let notice = self.hearing.ask(self.oldest_transaction).ok_or(Deaf::Silence)?;
        self.ear.within_lease(nodes.join(self.hearing.id, *lease, &notice)).await?;
        tokio::time::timeout(*lease, self.hear_of_lease()).await.map_err(|_| Deaf::Silence)??;
        self.answer().await
    }

    async fn hear_of_lease(&mut self) -> Result<(), Deaf> {
        while self.hearing.unheard() > 0 {
            let notice = self.connection.next().await?;
            self.hear(&notice);
        }
        Ok(())
    }

    /// Hears and renews until something fails.
    async fn hear_on(&mut self) -> Deaf {
        let mut renew = tokio::time::interval(self.ear.lease / RENEWALS);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let heard = tokio::select! {
                heard = self.connection.next() => Some(heard),
                _ = renew.tick() => None,
            };
            let done = match heard {
                Some(Ok(notice)) => {
                    self.hear(&notice);
                    self.answer().await
                }
                Some(Err(error)) => Err(error.into()),
                None => self.renew().await,
            };
            if let Err(deaf) = done {
                return deaf;
            }
        }
    }

    /// Deals with a notice, and with those that have come in its wake.
    fn hear(&mut self, notice: &str) {
        let mut next = Some(notice.to_owned());
        while let Some(notice) = next {
            match self.hearing.hear(&notice) {
                Some(Message::Lease { length, .. }) => self.ear.agreement.learn_lease(length),
                Some(Message::Heard { caller, number, node }) => self.ear.agreement.heard(caller, number, node),
                Some(Message::Left { node }) => self.ear.agreement.left(node),
                Some(Message::Call { .. }) | None => {}
            }
            next = self.connection.buffered();
        }
        self.ear.warn_of_dropped();
    }

    async fn answer(&mut self) -> Result<(), Deaf> {
        let answers = self.hearing.take_answers();
        if answers.is_empty() {
            return Ok(());
        }
        self.ear.within_lease(self.connection.tell(&answers)).await
    }

    async fn renew(&mut self) -> Result<(), Deaf> {
        // Also where there is no lease: whether the connection lives is found out only by using it. Asked before the lease is, so
        // that no lease is held by a node that does not know the secret of then.
        let state = self.ear.within_lease(self.connection.state()).await?;
        self.ear.memory.learn(&state.secret);
        self.oldest_transaction = state.oldest_transaction;
        if !self.ear.memory.cache.is_enabled() {
            return Ok(());
        }
        if self.hearing.unheard() > RENEWALS as usize {
            return Err(Deaf::Silence);
        }
        let notice = self.hearing.ask(self.oldest_transaction).ok_or(Deaf::Silence)?;
        let renewed = self.ear.within_lease(self.connection.renew(self.hearing.id, self.ear.lease, &notice)).await?;
        if renewed { Ok(()) } else { Err(Deaf::Removed) }
    }
}
