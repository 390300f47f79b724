//! The hash chain over a workspace's audit log, in which every event's hash covers the previous
//! hash. A changed or removed event breaks the chain.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    id::{PersonId, WorkspaceId},
    time::Timestamp,
};

/// A SHA-256 hash of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHash([u8; 32]);

/// An audit event as it is stored: every column that its hash covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub seq: i64,
    pub workspace_id: WorkspaceId,
    pub at: Timestamp,
    pub actor_id: Option<PersonId>,
    pub actor: String,
    pub actor_token_id: Option<Uuid>,
    pub action: String,
    pub person_id: Option<PersonId>,
    pub target: String,
    pub label: String,
    pub details: String,
    pub address: Option<String>,
    pub user_agent: String,
    pub request_id: String,
    pub outcome: String,
}

impl EntryHash {
    /// The hash that precedes the first event of a chain: 32 zero bytes.
    pub const GENESIS: Self = Self([0; 32]);

    /// Reads a hash from its 32 bytes. Returns `None` for any other length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns 64 hexadecimal digits in lower case.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// Reads 64 hexadecimal digits. Returns `None` for any other text.
    #[must_use]
    pub fn parse_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// Returns the hash of the event that follows this hash: SHA-256 over this hash in hexadecimal,
    /// a line feed and the event's [canonical JSON](AuditEntry::canonical_json).
    #[must_use]
    pub fn hash_next(self, entry: &AuditEntry) -> Self {
        let hash = Sha256::new().chain_update(self.to_hex()).chain_update("\n").chain_update(entry.canonical_json());
        Self(hash.finalize().into())
    }
}

impl AuditEntry {
    /// Returns the event as a JSON object for export, with its hash in hexadecimal.
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

    /// Returns the text that is hashed: a JSON array of the columns in the order below, without
    /// spaces, with the time in milliseconds since 1970.
    #[must_use]
    pub fn canonical_json(&self) -> String {
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

    fn entry() -> AuditEntry {
        AuditEntry {
            seq: 1,
            workspace_id: WorkspaceId::new(2),
            at: Timestamp::from_millis(3),
            actor_id: None,
            actor: "ada@example.com".into(),
            actor_token_id: Some(Uuid::from_u128(4)),
            action: "token.created".into(),
            person_id: Some(PersonId::new(5)),
            target: "6".into(),
            label: "twd_abcd".into(),
            details: "{}".into(),
            address: Some("192.0.2.1".into()),
            user_agent: String::new(),
            request_id: "r".into(),
            outcome: "success".into(),
        }
    }

    #[test]
    fn the_hash_can_be_reproduced_from_the_documented_text() {
        let expected = r#"[1,2,3,null,"ada@example.com","00000000-0000-0000-0000-000000000004","token.created",5,"6","twd_abcd","{}","192.0.2.1","","r","success"]"#;
        assert_eq!(entry().canonical_json(), expected);
        let hash = EntryHash::GENESIS.hash_next(&entry());
        let text = format!("{}\n{expected}", "0".repeat(64));
        assert_eq!(hash.as_bytes().as_slice(), Sha256::digest(text).as_slice());
        assert_eq!(EntryHash::parse_hex(&hash.to_hex()), Some(hash));
        assert_eq!(EntryHash::parse_hex("zz"), None);
    }

    #[test]
    fn changing_any_column_or_the_previous_hash_changes_the_hash() {
        let original = EntryHash::GENESIS.hash_next(&entry());
        let changed_entries = [
            AuditEntry { seq: 2, ..entry() },
            AuditEntry { workspace_id: WorkspaceId::FIRST, ..entry() },
            AuditEntry { at: Timestamp::from_millis(4), ..entry() },
            AuditEntry { actor_id: Some(PersonId::new(1)), ..entry() },
            AuditEntry { actor: "x".into(), ..entry() },
            AuditEntry { actor_token_id: None, ..entry() },
            AuditEntry { action: "token.deleted".into(), ..entry() },
            AuditEntry { person_id: None, ..entry() },
            AuditEntry { target: "7".into(), ..entry() },
            AuditEntry { label: "x".into(), ..entry() },
            AuditEntry { details: r#"{"a":1}"#.into(), ..entry() },
            AuditEntry { address: None, ..entry() },
            AuditEntry { user_agent: "x".into(), ..entry() },
            AuditEntry { request_id: "x".into(), ..entry() },
            AuditEntry { outcome: "denied".into(), ..entry() },
        ];
        for changed in changed_entries {
            assert_ne!(EntryHash::GENESIS.hash_next(&changed), original, "{changed:?}");
        }
        assert_ne!(original.hash_next(&entry()), original);
    }
}
