//! What a node does with what it hears: the part of the protocol that decides, without the connection that carries it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{Memory, notice::Notice};
use crate::domain::time::Clock;

/// The part of a lease that its holder gives away, for stopwatches that do not run alike: one twentieth.
const MARGIN: u32 = 20;

/// A node as it is known to the others, from one connection to the next.
pub(super) struct Hearing {
    pub(super) id: Uuid,
    memory: Arc<Memory>,
    clock: Clock,
    lease: Duration,
    /// The leases that were asked for and not heard of yet: number, and what the stopwatch said before.
    asked: VecDeque<(u64, Duration)>,
    number: u64,
    /// To whom, and what.
    answers: Vec<(Uuid, String)>,
}

impl Hearing {
    pub(super) fn new(id: Uuid, memory: Arc<Memory>, clock: Clock, lease: Duration) -> Self {
        Self { id, memory, clock, lease, asked: VecDeque::new(), number: 0, answers: Vec::new() }
    }

    /// Notes the stopwatch, and gives the words with which a lease is asked for.
    pub(super) fn ask(&mut self) -> String {
        self.number += 1;
        self.asked.push_back((self.number, self.clock.elapsed()));
        Notice::Lease { node: self.id, number: self.number, length: self.lease }.to_string()
    }

    /// How many leases were asked for and not heard of.
    pub(super) fn unheard(&self) -> usize {
        self.asked.len()
    }

    /// Deals with what was heard; gives back what concerns those who call. A lease is lengthened here and nowhere else: whatever
    /// was announced before it was asked for came through the same queue before it, and is forgotten by now.
    pub(super) fn hear(&mut self, line: &str) -> Option<Notice> {
        match Notice::parse(line) {
            Notice::Change(change) => self.memory.forget(change),
            Notice::Lease { node, number, .. } if node == self.id => self.begin_lease(number),
            Notice::Call { caller, number } => {
                // Who keeps nothing has no row, and nobody waits for its answer.
                if self.memory.known.is_some() {
                    self.answers.push((caller, Notice::Heard { caller, number, node: self.id }.to_string()));
                }
            }
            notice @ (Notice::Lease { .. } | Notice::Heard { .. } | Notice::Left { .. }) => return Some(notice),
        }
        None
    }

    fn begin_lease(&mut self, number: u64) {
        while let Some((asked, before)) = self.asked.pop_front_if(|(asked, _)| *asked <= number) {
            if asked == number {
                self.memory.lease.extend(before + self.lease - self.lease / MARGIN);
            }
        }
    }

    /// The answers that are to be given to what was heard.
    pub(super) fn take_answers(&mut self) -> Vec<(Uuid, String)> {
        std::mem::take(&mut self.answers)
    }
}
