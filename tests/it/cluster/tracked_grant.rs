//! A right that one act takes away: what it is, what was seen of it on which node, and the verdict on that.

use std::{
    sync::{Mutex, MutexGuard},
    time::Instant,
};

use tokio::sync::watch;

use super::{cluster::NODES, probes::Door, report::Tally, revocations::Act};

/// What a check said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted,
    Refused,
    /// It called something bad that no act takes away: the one who asks, or the token of somebody who only was demoted.
    Disowned,
    /// The token was good, and then nobody was there who had it: so it may be while a person is being deleted.
    Orphaned,
    /// 503: it could not find out.
    Unavailable,
    /// No answer at all: the node is not there, or took too long.
    Broken,
    /// None of what a check may answer.
    Odd(u16),
}

/// A check of the right. It began after `start` was taken and had ended before `end` was.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    pub node: usize,
    pub door: Door,
    pub start: Instant,
    pub end: Instant,
    pub answer: Answer,
}

/// What a token may do until an act takes it away.
#[derive(Debug)]
pub struct Right {
    pub token: String,
    /// What will take it away. None: nothing ever does.
    pub act: Option<Act>,
    /// What the act is done to: the path of the token, of the person, or of the workspace.
    pub path: String,
    /// Who has it.
    pub email: String,
    history: Mutex<History>,
    /// How often each node has accepted it.
    accepted: watch::Sender<[u32; NODES]>,
}

#[derive(Debug, Default)]
struct History {
    /// Before the act was sent for the first time. From here on nobody can know whether the right is still there ...
    asked: Option<Instant>,
    /// ... until the act's success has come: from here on it is not.
    taken: Option<Instant>,
    /// An act that was sent again was told that there is nothing to do. That is no success: nothing was promised.
    gone: bool,
    attempts: usize,
    checks: Vec<Check>,
}

impl Right {
    /// How often a node must have accepted a right until it surely knows it by heart.
    const RIPE: u32 = 2;

    pub fn new(token: String, act: Option<Act>, path: String, email: String) -> Self {
        Self { token, act, path, email, history: Mutex::default(), accepted: watch::Sender::new([0; NODES]) }
    }

    pub fn is_demotion(&self) -> bool {
        self.act == Some(Act::Demote)
    }

    /// Whether every node has accepted it so often that it surely remembers it, where nodes remember.
    pub fn is_ripe(&self) -> bool {
        self.accepted.borrow().iter().all(|times| *times >= Self::RIPE)
    }

    /// Completes when it is ripe.
    pub async fn ripens(&self) {
        self.accepted.subscribe().wait_for(|nodes| nodes.iter().all(|times| *times >= Self::RIPE)).await.unwrap();
    }

    pub fn note(&self, check: Check) {
        self.history().checks.push(check);
        if check.answer == Answer::Accepted {
            self.accepted.send_modify(|nodes| nodes[check.node] += 1);
        }
    }

    /// To be called before the act is sent; tells how often it was sent before.
    pub fn ask(&self) -> usize {
        let mut history = self.history();
        history.asked.get_or_insert_with(Instant::now);
        history.attempts += 1;
        history.attempts - 1
    }

    /// To be called when the act's success has come.
    pub fn take(&self) {
        let mut history = self.history();
        // The time is read while no check can be noted: one that began after it finds it written.
        history.taken = Some(Instant::now());
    }

    pub fn lose(&self) {
        self.history().gone = true;
    }

    /// Whether no act will be sent any more.
    pub fn is_past(&self) -> bool {
        let history = self.history();
        history.taken.is_some() || history.gone
    }

    /// The verdict on every check since the last verdict.
    pub fn judge(&self, tally: &mut Tally) {
        let mut history = self.history();
        for check in std::mem::take(&mut history.checks) {
            let after = history.taken.is_some_and(|taken| check.start >= taken);
            let before = history.asked.is_none_or(|asked| check.end <= asked);
            tally.checks += 1;
            tally.checks_after += u64::from(after);
            let mut tell =
                |what| tally.tell(format!("{:?}, {:?} of node {}: {what}", self.act, check.door, check.node));
            match check.answer {
                Answer::Accepted | Answer::Orphaned if after => {
                    let late = check.start - history.taken.unwrap_or(check.start);
                    tell(format!("a check that began {late:?} after the answer accepted"));
                    tally.stale += 1;
                }
                Answer::Refused | Answer::Orphaned if before => {
                    tell("refused before anybody asked for it".to_owned());
                    tally.false_refusals += 1;
                }
                Answer::Disowned => {
                    tell("refused a credential that no act takes away".to_owned());
                    tally.false_refusals += 1;
                }
                Answer::Odd(status) => {
                    tell(format!("answered {status}"));
                    tally.odd += 1;
                }
                Answer::Unavailable => tally.unavailable += 1,
                Answer::Broken => tally.broken += 1,
                Answer::Accepted | Answer::Refused | Answer::Orphaned => {}
            }
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap()
    }
}
