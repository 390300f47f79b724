//! What nodes tell each other over PostgreSQL's notifications, one line of text each.
//!
//! The triggers of the migration write the changes; everything else is written here.

use std::{fmt, time::Duration};

use uuid::Uuid;

use super::change::Change;
use crate::value::TokenDigest;

/// Something that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// `token <hex digest>`, `person <id>`, `workspace <id>`, `everything`: it was changed or taken away.
    Change(Change),
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
    /// Reads a line. One that nobody here understands may tell of any change.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        read(line).unwrap_or(Self::Change(Change::Everything))
    }
}

fn read(line: &str) -> Option<Notice> {
    let words: Vec<&str> = line.split(' ').collect();
    Some(match *words.as_slice() {
        ["token", digest] => Notice::Change(Change::Token(from_hex(digest)?)),
        ["person", id] => Notice::Change(Change::Person(id.parse().ok()?)),
        ["workspace", id] => Notice::Change(Change::Workspace(id.parse().ok()?)),
        ["lease", node, number, millis] => Notice::Lease {
            node: node.parse().ok()?,
            number: number.parse().ok()?,
            length: Duration::from_millis(millis.parse().ok()?),
        },
        ["call", caller, number] => Notice::Call { caller: caller.parse().ok()?, number: number.parse().ok()? },
        ["heard", caller, number, node] => {
            Notice::Heard { caller: caller.parse().ok()?, number: number.parse().ok()?, node: node.parse().ok()? }
        }
        ["left", node] => Notice::Left { node: node.parse().ok()? },
        _ => return None,
    })
}

fn from_hex(text: &str) -> Option<TokenDigest> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.is_ascii() {
        return None;
    }
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(TokenDigest::from_bytes(bytes))
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(Change::Token(digest)) => {
                f.write_str("token ")?;
                digest.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Change(Change::Person(id)) => write!(f, "person {id}"),
            Self::Change(Change::Workspace(id)) => write!(f, "workspace {id}"),
            Self::Change(Change::Everything) => f.write_str("everything"),
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

    #[test]
    fn what_is_told_is_understood() {
        let (node, caller) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for notice in [
            Notice::Change(Change::Token(TokenDigest::from_bytes([0xa7; 32]))),
            Notice::Change(Change::Person(7)),
            Notice::Change(Change::Workspace(-1)),
            Notice::Change(Change::Everything),
            Notice::Lease { node, number: 3, length: Duration::from_millis(2_000) },
            Notice::Call { caller, number: 9 },
            Notice::Heard { caller, number: 9, node },
            Notice::Left { node },
        ] {
            assert_eq!(Notice::parse(&notice.to_string()), notice);
        }
    }

    #[test]
    fn what_is_not_understood_may_be_any_change() {
        for line in
            ["", "token", "token 00", "person x", "settings 1", "call 1 2", &format!("token {}", "é".repeat(32))]
        {
            assert_eq!(Notice::parse(line), Notice::Change(Change::Everything), "{line}");
        }
    }
}
