//! What a node does with what it hears: the part of the protocol that decides, without the connection that carries it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use uuid::Uuid;

use super::{
    Memory,
    message::{Message, Notice},
    replay_filter::Replays,
};
use crate::{cache::invalidation::Change, domain::time::Clock};

/// The part of a lease that its holder gives away, for stopwatches that do not run alike: one twentieth.
const MARGIN: u32 = 20;
/// Of so many callers the last call is remembered. Past that a repeated call may be answered again.
const CALLERS: usize = 1_024;

/// A node as it is known to the others, from one connection to the next.
pub(crate) struct Hearing {
    pub(crate) id: Uuid,
    memory: Arc<Memory>,
    clock: Clock,
    lease: Duration,
    asked: VecDeque<Asked>,
    number: u64,
    /// To whom, and what.
    answers: Vec<(Uuid, String)>,
    /// The last call of each caller. Calls are numbered upwards, so that an earlier number is a call that somebody repeats.
    called: HashMap<Uuid, u64>,
    replays: Replays,
}

/// A lease that was asked for and not heard of yet.
struct Asked {
    number: u64,
    /// What the stopwatch said before.
    at: Duration,
    /// All transactions below this one had ended before.
    oldest_transaction: u64,
}

impl Hearing {
    /// `oldest_transaction` is from before memory was emptied.
    pub(crate) fn new(id: Uuid, memory: Arc<Memory>, clock: Clock, lease: Duration, oldest_transaction: u64) -> Self {
        let replays = Replays::from(oldest_transaction);
        let (asked, answers, called) = (VecDeque::new(), Vec::new(), HashMap::new());
        Self { id, memory, clock, lease, asked, number: 0, answers, called, replays }
    }

    /// Notes the stopwatch, and gives the signed words with which a lease is asked for; none without a secret.
    pub(crate) fn ask(&mut self, oldest_transaction: u64) -> Option<String> {
        let keys = self.memory.keys()?;
        self.number += 1;
        self.asked.push_back(Asked { number: self.number, at: self.clock.elapsed(), oldest_transaction });
        Some(keys.sign(&Message::Lease { node: self.id, number: self.number, length: self.lease }))
    }

    /// How many leases were asked for and not heard of.
    pub(crate) fn unheard(&self) -> usize {
        self.asked.len()
    }

    /// Deals with what was heard; gives back what concerns those who call. What is not authentic is passed over. A lease is
    /// lengthened here and nowhere else: whatever was announced before it was asked for came through the same queue before it,
    /// and is forgotten by now.
    pub(crate) fn hear(&mut self, line: &str) -> Option<Message> {
        let keys = self.memory.keys();
        let Some(opened) = keys.as_deref().and_then(|keys| keys.open(line)) else {
            self.memory.dropped.note();
            return None;
        };
        match Notice::read(&opened) {
            Notice::Change { change, transaction } => self.forget(change, opened.code, transaction),
            Notice::Unknown => self.forget(Change::Everything, opened.code, u64::MAX),
            Notice::Message(Message::Lease { node, number, .. }) if node == self.id => self.begin_lease(number),
            Notice::Message(Message::Call { caller, number }) => self.answer(caller, number),
            Notice::Message(message) => return Some(message),
        }
        None
    }

    fn forget(&mut self, change: Change, code: [u8; 32], transaction: u64) {
        if self.replays.is_new(code, transaction) {
            self.memory.cache.invalidate(change);
        } else {
            self.memory.dropped.note();
        }
    }

    fn begin_lease(&mut self, number: u64) {
        while let Some(asked) = self.asked.pop_front_if(|asked| asked.number <= number) {
            if asked.number == number {
                self.replays.raise(asked.oldest_transaction);
                self.memory.cache.lease().extend(asked.at + self.lease - self.lease / MARGIN);
            }
        }
    }

    fn answer(&mut self, caller: Uuid, number: u64) {
        // Who keeps nothing has no row, and nobody waits for its answer.
        if !self.memory.cache.is_enabled() {
            return;
        }
        if self.called.get(&caller).is_some_and(|last| number <= *last) {
            self.memory.dropped.note();
            return;
        }
        if self.called.len() >= CALLERS {
            self.called.clear();
        }
        self.called.insert(caller, number);
        if let Some(keys) = self.memory.keys() {
            self.answers.push((caller, keys.sign(&Message::Heard { caller, number, node: self.id })));
        }
    }

    /// The answers that are to be given to what was heard.
    pub(crate) fn take_answers(&mut self) -> Vec<(Uuid, String)> {
        std::mem::take(&mut self.answers)
    }
}
