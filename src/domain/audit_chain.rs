//! The chain of a workspace's events: each holds the one before it fast, so that none can be altered or taken out unnoticed.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::time::Timestamp;

/// A hash in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link([u8; 32]);

/// An event as it is stored: everything that its hash covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub seq: i64,
    pub workspace_id: i64,
    pub at: Timestamp,
    pub actor_id: Option<i64>,
    pub actor: String,
    pub actor_token_id: Option<Uuid>,
    pub action: String,
    pub person_id: Option<i64>,
    pub target: String,
    pub label: String,
    pub details: String,
    pub address: Option<String>,
    pub user_agent: String,
    pub request_id: String,
    pub outcome: String,
}

impl Link {
    /// What the first event of a chain goes on from.
    pub const BEGINNING: Self = Self([0; 32]);

    /// Takes 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 hexadecimal digits in lower case.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn parse_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let byte = |n: usize| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).ok();
        let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
        Self::from_bytes(&bytes?)
    }

    /// The hash of an event that comes after this one: SHA-256 over the hash before in hexadecimal, a line feed, and the event's
    /// [text](Entry::text).
    #[must_use]
    pub fn then(self, entry: &Entry) -> Self {
        let hash = Sha256::new().chain_update(self.to_hex()).chain_update("\n").chain_update(entry.text());
        Self(hash.finalize().into())
    }
}

impl Entry {
    /// The event as an object, with its hash.
    #[must_use]
    pub fn to_json(&self, hash: Option<&str>) -> serde_json::Value {
        let details: serde_json::Value =
            serde_json::from_str(&self.details).unwrap_or_else(|_| self.details.as_str().into());
        serde_json::json!({
            "workspaceId": self.workspace_id,
            "seq": self.seq,
            "time": self.at.to_string(),
            "action": self.action,
            "outcome": self.outcome,
            "actorId": self.actor_id,
            "actor": self.actor,
            "actorTokenId": self.actor_token_id,
            "personId": self.person_id,
            "target": self.target,
            "label": self.label,
            "details": details,
            "address": self.address,
            "userAgent": self.user_agent,
            "requestId": self.request_id,
            "hash": hash,
        })
    }

    /// A JSON array of the columns in their order, without spaces, times as milliseconds since 1970.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::json!([
            self.seq,
            self.workspace_id,
            self.at.as_millis(),
            self.actor_id,
            self.actor,
            self.actor_token_id,
            self.action,
            self.person_id,
            self.target,
            self.label,
            self.details,
            self.address,
            self.user_agent,
            self.request_id,
            self.outcome,
        ])
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            seq: 1,
            workspace_id: 2,
            at: Timestamp::from_millis(3),
            actor_id: None,
            actor: "ada@example.com".into(),
            actor_token_id: Some(Uuid::from_u128(4)),
            action: "token.created".into(),
            person_id: Some(5),
            target: "6".into(),
            label: "twd_abcd".into(),
            details: "{}".into(),
            address: Some("192.0.2.1".into()),
            user_agent: String::new(),
            request_id: "r".into(),
            outcome: "done".into(),
        }
    }

    #[test]
    fn the_text_is_what_others_can_make_themselves() {
        let expected = r#"[1,2,3,null,"ada@example.com","00000000-0000-0000-0000-000000000004","token.created",5,"6","twd_abcd","{}","192.0.2.1","","r","done"]"#;
        assert_eq!(entry().text(), expected);
        let link = Link::BEGINNING.then(&entry());
        let text = format!("{}\n{expected}", "0".repeat(64));
        assert_eq!(link.as_bytes().as_slice(), Sha256::digest(text).as_slice());
        assert_eq!(Link::parse_hex(&link.to_hex()), Some(link));
        assert_eq!(Link::parse_hex("zz"), None);
    }

    #[test]
    fn whatever_is_altered_alters_the_hash() {
        let right = Link::BEGINNING.then(&entry());
        let altered = [
            Entry { seq: 2, ..entry() },
            Entry { workspace_id: 1, ..entry() },
            Entry { at: Timestamp::from_millis(4), ..entry() },
            Entry { actor_id: Some(1), ..entry() },
            Entry { actor: "x".into(), ..entry() },
            Entry { actor_token_id: None, ..entry() },
            Entry { action: "token.deleted".into(), ..entry() },
            Entry { person_id: None, ..entry() },
            Entry { target: "7".into(), ..entry() },
            Entry { label: "x".into(), ..entry() },
            Entry { details: r#"{"a":1}"#.into(), ..entry() },
            Entry { address: None, ..entry() },
            Entry { user_agent: "x".into(), ..entry() },
            Entry { request_id: "x".into(), ..entry() },
            Entry { outcome: "refused".into(), ..entry() },
        ];
        for entry in altered {
            assert_ne!(Link::BEGINNING.then(&entry), right, "{entry:?}");
        }
        assert_ne!(right.then(&entry()), right);
    }
}
