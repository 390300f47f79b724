//! What nodes hear over PostgreSQL's notifications, one line of text each.
//!
//! The triggers of the migrations write the changes; what nodes tell each other is written here. Both are signed (`keys`).

use std::{fmt, time::Duration};

use uuid::Uuid;

use super::message_keys::{Opened, from_hex};
use crate::cache::MAX_LEASE;
use crate::cache::invalidation::Change;

/// Something authentic that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// `token <id> <masked name> <transaction>`, `person <id> <transaction>`, `workspace <id> <transaction>`,
    /// `everything <transaction>`: it was changed or taken away.
    Change { change: Change, transaction: u64 },
    /// What one node tells another.
    Message(Message),
    /// Signed, and not understood: a newer version announces something. It may tell of any change.
    Unknown,
}

/// What one node tells another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// `lease <node> <number> <milliseconds>`: a node has asked for its lease the number-th time.
    Lease { node: Uuid, number: u64, length: Duration },
    /// `call <caller> <number>`: whoever has heard everything up to here is to say so.
    Call { caller: Uuid, number: u64 },
    /// `heard <caller> <number> <node>`: a node has.
    Heard { caller: Uuid, number: u64, node: Uuid },
    /// `left <node>`: a node has given up its lease.
    Left { node: Uuid },
}

impl Notice {
    pub(crate) fn read(opened: &Opened<'_>) -> Self {
        let words: Vec<&str> = opened.text.split(' ').collect();
        read_message(&words).map(Self::Message).or_else(|| read_change(&words, opened)).unwrap_or(Self::Unknown)
    }
}

fn read_message(words: &[&str]) -> Option<Message> {
    Some(match *words {
        ["lease", node, number, millis] => {
            let length = Duration::from_millis(millis.parse().ok()?);
            let length = Some(length).filter(|length| *length <= MAX_LEASE)?;
            Message::Lease { node: node.parse().ok()?, number: number.parse().ok()?, length }
        }
        ["call", caller, number] => Message::Call { caller: caller.parse().ok()?, number: number.parse().ok()? },
        ["heard", caller, number, node] => {
            Message::Heard { caller: caller.parse().ok()?, number: number.parse().ok()?, node: node.parse().ok()? }
        }
        ["left", node] => Message::Left { node: node.parse().ok()? },
        _ => return None,
    })
}

fn read_change(words: &[&str], opened: &Opened<'_>) -> Option<Notice> {
    let (transaction, words) = words.split_last()?;
    let change = match *words {
        ["token", id, masked] => Change::NamedToken(opened.unmask(id.parse().ok()?, from_hex(masked)?)),
        ["person", id] => Change::Person(id.parse().ok()?),
        ["workspace", id] => Change::Workspace(id.parse().ok()?),
        ["everything"] => Change::Everything,
        _ => return None,
    };
    Some(Notice::Change { change, transaction: transaction.parse().ok()? })
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lease { node, number, length } => write!(f, "lease {node} {number} {}", length.as_millis()),
            Self::Call { caller, number } => write!(f, "call {caller} {number}"),
            Self::Heard { caller, number, node } => write!(f, "heard {caller} {number} {node}"),
            Self::Left { node } => write!(f, "left {node}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::message_keys::test_keys;

    fn read(text: &str) -> Notice {
        let keys = test_keys(1, None);
        let line = keys.sign(&text);
        Notice::read(&keys.open(&line).unwrap())
    }

    #[test]
    fn what_is_told_is_understood() {
        let (node, caller) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for message in [
            Message::Lease { node, number: 3, length: Duration::from_millis(2_000) },
            Message::Call { caller, number: 9 },
            Message::Heard { caller, number: 9, node },
            Message::Left { node },
        ] {
            assert_eq!(read(&message.to_string()), Notice::Message(message));
        }
        for (text, change) in [
            ("person 7", Change::Person(7)),
            ("workspace -1", Change::Workspace(-1)),
            ("everything", Change::Everything),
        ] {
            assert_eq!(read(&format!("{text} 5")), Notice::Change { change, transaction: 5 });
        }
        let masked = format!("token {} {} 5", Uuid::from_u128(1), "0a".repeat(16));
        assert!(matches!(read(&masked), Notice::Change { change: Change::NamedToken(_), transaction: 5 }));
    }

    /// Whoever believed in a lease of a century would wait for it.
    #[test]
    fn what_is_not_understood_may_be_any_change() {
        let node = Uuid::from_u128(1);
        let lines = ["", "token", "token 00 5", "person x 5", "person 7", "settings 1 5", "call 1 2", "everything"];
        let leases = [format!("lease {node} 1 10001"), format!("lease {node} 1 4000000000000")];
        for line in lines.into_iter().chain(leases.iter().map(String::as_str)) {
            assert_eq!(read(line), Notice::Unknown, "{line}");
        }
        assert!(matches!(read(&format!("lease {node} 1 10000")), Notice::Message(_)));
    }
}
