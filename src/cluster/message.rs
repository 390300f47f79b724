//! The text format of notifications, one line each.
//!
//! Triggers of the schema send invalidations; nodes send messages. Both are signed: see
//! [`MessageKeys`](super::message_keys::MessageKeys).

use std::{fmt, time::Duration};

use uuid::Uuid;

use super::message_keys::{VerifiedMessage, from_hex};
use crate::{cache::MAX_LEASE, domain::invalidation::Invalidation};

/// A notification whose signature is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notification {
    /// `token <id> <masked digest prefix> <transaction>`, `person <id> <transaction>`,
    /// `workspace <id> <transaction>` or `everything <transaction>`: a row was changed or deleted.
    Invalidation { invalidation: Invalidation, transaction: u64 },
    /// A message of a node.
    Message(Message),
    /// A signed text in an unknown format, from a newer version. It may stand for any change.
    Unknown,
}

/// A message from one node to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// `lease <node> <number> <milliseconds>`: a node requests its lease for the `number`-th time.
    Lease { node: Uuid, number: u64, duration: Duration },
    /// `ping <process> <number>`: a process asks each node to confirm that it has received all
    /// earlier notifications.
    Ping { process_id: Uuid, number: u64 },
    /// `ack <process> <number> <node>`: a node confirms a ping.
    Ack { process_id: Uuid, number: u64, node: Uuid },
    /// `leave <node>`: a node has given up its lease.
    Leave { node: Uuid },
}

impl Notification {
    /// Parses a verified text. A text in an unknown format is [`Notification::Unknown`].
    pub(crate) fn parse(verified: &VerifiedMessage<'_>) -> Self {
        let words: Vec<&str> = verified.text.split(' ').collect();
        if let Some(message) = parse_message(&words) {
            return Self::Message(message);
        }
        parse_invalidation(&words, verified).unwrap_or(Self::Unknown)
    }
}

fn parse_message(words: &[&str]) -> Option<Message> {
    Some(match *words {
        ["lease", node, number, millis] => {
            let duration = Duration::from_millis(millis.parse().ok()?);
            // No revocation waits longer than this, so a longer lease is not accepted.
            let duration = Some(duration).filter(|duration| *duration <= MAX_LEASE)?;
            Message::Lease { node: node.parse().ok()?, number: number.parse().ok()?, duration }
        }
        ["ping", process_id, number] => {
            Message::Ping { process_id: process_id.parse().ok()?, number: number.parse().ok()? }
        }
        ["ack", process_id, number, node] => Message::Ack {
            process_id: process_id.parse().ok()?,
            number: number.parse().ok()?,
            node: node.parse().ok()?,
        },
        ["leave", node] => Message::Leave { node: node.parse().ok()? },
        _ => return None,
    })
}

fn parse_invalidation(words: &[&str], verified: &VerifiedMessage<'_>) -> Option<Notification> {
    let (transaction, words) = words.split_last()?;
    let invalidation = match *words {
        ["token", id, masked] => Invalidation::TokenPrefix(verified.unmask(id.parse().ok()?, from_hex(masked)?)),
        ["person", id] => Invalidation::Person(id.parse().ok()?),
        ["workspace", id] => Invalidation::Workspace(id.parse().ok()?),
        ["everything"] => Invalidation::Everything,
        _ => return None,
    };
    Some(Notification::Invalidation { invalidation, transaction: transaction.parse().ok()? })
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lease { node, number, duration } => write!(f, "lease {node} {number} {}", duration.as_millis()),
            Self::Ping { process_id, number } => write!(f, "ping {process_id} {number}"),
            Self::Ack { process_id, number, node } => write!(f, "ack {process_id} {number} {node}"),
            Self::Leave { node } => write!(f, "leave {node}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::message_keys::test_keys,
        domain::id::{PersonId, WorkspaceId},
    };

    fn sign_and_parse(text: &str) -> Notification {
        let keys = test_keys(1, None);
        let line = keys.sign(&text);
        Notification::parse(&keys.verify(&line).unwrap())
    }

    #[test]
    fn messages_are_parsed_as_they_are_written() {
        let node = Uuid::from_u128(1);
        let process_id = Uuid::from_u128(2);
        for message in [
            Message::Lease { node, number: 3, duration: Duration::from_millis(2_000) },
            Message::Ping { process_id, number: 9 },
            Message::Ack { process_id, number: 9, node },
            Message::Leave { node },
        ] {
            assert_eq!(sign_and_parse(&message.to_string()), Notification::Message(message));
        }
        for (text, invalidation) in [
            ("person 7", Invalidation::Person(PersonId::new(7))),
            ("workspace -1", Invalidation::Workspace(WorkspaceId::new(-1))),
            ("everything", Invalidation::Everything),
        ] {
            let expected = Notification::Invalidation { invalidation, transaction: 5 };
            assert_eq!(sign_and_parse(&format!("{text} 5")), expected);
        }
        let token = format!("token {} {} 5", Uuid::from_u128(1), "0a".repeat(16));
        assert!(matches!(
            sign_and_parse(&token),
            Notification::Invalidation { invalidation: Invalidation::TokenPrefix(_), transaction: 5 }
        ));
    }

    #[test]
    fn malformed_messages_and_excessive_leases_are_unknown() {
        let node = Uuid::from_u128(1);
        let lines = ["", "token", "token 00 5", "person x 5", "person 7", "settings 1 5", "ping 1 2", "everything"];
        let leases = [format!("lease {node} 1 120001"), format!("lease {node} 1 4000000000000")];
        for line in lines.into_iter().chain(leases.iter().map(String::as_str)) {
            assert_eq!(sign_and_parse(line), Notification::Unknown, "{line}");
        }
        assert!(matches!(sign_and_parse(&format!("lease {node} 1 120000")), Notification::Message(_)));
    }
}
