//! A node's ear: the one connection over which it hears what was changed and keeps its lease.
//!
//! Everything that is heard is dealt with in order, by this one task. What makes that enough is said in the
//! [module](super).

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{sync::watch, time::MissedTickBehavior};
use uuid::Uuid;

use super::{Memory, agreement::Agreement, change::Change, notice::Notice};
use crate::{
    domain::time::Clock,
    store::{self, Nodes},
    value::Random,
};

/// How often a lease is renewed while it lasts.
const RENEWALS: u32 = 4;
/// The part of a lease that its holder gives away, for stopwatches that do not run alike: one twentieth.
const MARGIN: u32 = 20;
/// How long to wait before the database is tried again, and before a connection through which nothing is heard is.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
const DEAF_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// What a node needs to hear.
pub(super) struct Ear {
    pub(super) nodes: Nodes,
    pub(super) memory: Arc<Memory>,
    pub(super) agreement: Agreement,
    pub(super) clock: Clock,
    pub(super) random: Random,
    /// How long a lease lasts.
    pub(super) lease: Duration,
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

/// A node as it is known to the others, from one connection to the next.
struct Tenure<'a> {
    ear: &'a Ear,
    heard: store::Ear,
    id: Uuid,
    /// The leases that were asked for and not heard of yet: number, and what the stopwatch said before.
    asked: VecDeque<(u64, Duration)>,
    number: u64,
    /// Answers that are to be given.
    answers: Vec<String>,
}

impl Ear {
    /// Hears until `stopped` changes, and begins anew whenever it became deaf.
    pub(super) async fn run(self, mut stopped: watch::Receiver<()>) {
        let mut complained = false;
        loop {
            let deaf = tokio::select! {
                deaf = self.listen(&mut complained) => deaf,
                _ = stopped.changed() => break,
            };
            if !complained {
                complained = true;
                complain(&deaf);
            }
            let pause = if matches!(deaf, Deaf::Pooler) { DEAF_AGAIN_AFTER } else { AGAIN_AFTER };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.changed() => break,
            }
        }
        self.leave().await;
    }

    /// One connection: from LISTEN to its loss.
    async fn listen(&self, complained: &mut bool) -> Deaf {
        match self.begin().await {
            Err(deaf) => deaf,
            Ok(mut tenure) => {
                let deaf = match tenure.enter().await {
                    Err(deaf) => deaf,
                    Ok(()) => {
                        if std::mem::take(complained) {
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

    async fn begin(&self) -> Result<Tenure<'_>, Deaf> {
        let heard = self.within_lease(self.nodes.listen()).await?;
        // What was read before may have changed unheard. From here on nothing does.
        self.memory.forget(Change::Everything);
        let id = uuid::Builder::from_random_bytes(self.random.bytes()).into_uuid();
        Ok(Tenure { ear: self, heard, id, asked: VecDeque::new(), number: 0, answers: Vec::new() })
    }

    async fn within_lease<T>(&self, work: impl Future<Output = store::Result<T>>) -> Result<T, Deaf> {
        Ok(tokio::time::timeout(self.lease, work).await.map_err(|_| Deaf::Silence)??)
    }

    /// Gives up the lease and says so, where the database can be reached, so that nobody waits for this node.
    async fn leave(&self) {
        self.memory.lease.end();
        self.memory.set_hearing(false);
        if let Some(id) = self.memory.take_node() {
            let notice = Notice::Left { node: id }.to_string();
            let left = self.within_lease(self.nodes.leave(id, &notice)).await;
            if let Err(error) = left {
                tracing::debug!(%error, "the row of this node could not be removed; the others will");
            }
        }
    }
}

fn complain(deaf: &Deaf) {
    match deaf {
        Deaf::Pooler => tracing::warn!(
            "LISTEN does not work on this connection to the database (a pooler in transaction mode?): checks read the \
             database each time. Let database.url lead to the database itself"
        ),
        Deaf::Lost(_) | Deaf::Silence | Deaf::Removed => {
            tracing::warn!(%deaf, "checks read the database until changes are heard again");
        }
    }
}

impl Tenure<'_> {
    /// Becomes a node, if the others can hear it: its first lease is asked for over another connection, and must be heard on
    /// this one, which says nothing meanwhile. A pooler that lends its connections out by the transaction fails that.
    async fn enter(&mut self) -> Result<(), Deaf> {
        if self.ear.memory.known.is_none() {
            // Nothing is kept, so nobody need wait for this node; it hears the answers to its own calls.
            return Ok(());
        }
        let notice = self.ask();
        self.ear.memory.set_node(self.id);
        self.ear.within_lease(self.ear.nodes.join(self.id, self.ear.lease, &notice)).await?;
        tokio::time::timeout(self.ear.lease, self.hear_of_lease()).await.map_err(|_| Deaf::Pooler)??;
        self.answer().await
    }

    async fn hear_of_lease(&mut self) -> Result<(), Deaf> {
        while !self.asked.is_empty() {
            let notice = self.heard.next().await?;
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
                heard = self.heard.next() => Some(heard),
                _ = renew.tick() => None,
            };
            let done = match heard {
                Some(Ok(notice)) => {
                    self.hear(&notice);
                    while let Some(notice) = self.heard.buffered() {
                        self.hear(&notice);
                    }
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

    /// Deals with what was heard. A lease is lengthened here and nowhere else: whatever was announced before it was asked for
    /// came through the same queue before it, and is forgotten by now.
    fn hear(&mut self, line: &str) {
        let Ear { memory, agreement, lease, .. } = self.ear;
        match Notice::parse(line) {
            Notice::Change(change) => memory.forget(change),
            Notice::Lease { node, number, .. } if node == self.id => {
                while let Some((asked, before)) = self.asked.pop_front_if(|(asked, _)| *asked <= number) {
                    if asked == number {
                        memory.lease.extend(before + *lease - *lease / MARGIN);
                    }
                }
            }
            Notice::Lease { length, .. } => agreement.learn_lease(length),
            Notice::Call { caller, number } if memory.known.is_some() => {
                self.answers.push(Notice::Heard { caller, number, node: self.id }.to_string());
            }
            Notice::Call { .. } => {}
            Notice::Heard { caller, number, node } => agreement.heard(caller, number, node),
            Notice::Left { node } => agreement.left(node),
        }
    }

    async fn answer(&mut self) -> Result<(), Deaf> {
        if self.answers.is_empty() {
            return Ok(());
        }
        let answers = std::mem::take(&mut self.answers);
        self.ear.within_lease(self.heard.tell(&answers)).await
    }

    async fn renew(&mut self) -> Result<(), Deaf> {
        if self.ear.memory.known.is_none() {
            return self.ear.within_lease(self.heard.tell(&[])).await;
        }
        if self.asked.len() > RENEWALS as usize {
            return Err(Deaf::Silence);
        }
        let notice = self.ask();
        let renewed = self.ear.within_lease(self.heard.renew(self.id, self.ear.lease, &notice)).await?;
        if renewed { Ok(()) } else { Err(Deaf::Removed) }
    }

    /// Notes the stopwatch, and gives the words with which a lease is asked for.
    fn ask(&mut self) -> String {
        self.number += 1;
        self.asked.push_back((self.number, self.ear.clock.elapsed()));
        Notice::Lease { node: self.id, number: self.number, length: self.ear.lease }.to_string()
    }
}
