//! Verification of the audit hash chains.

use crate::{
    domain::{
        audit_chain::{AuditEntry, EntryHash},
        event::{Action, Details},
        id::WorkspaceId,
    },
    store::{self, AuditChain, Store, StoredEntry},
};

/// A difference between the audit log and what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    #[error("workspace {workspace_id}: event {seq} was altered or replaced")]
    Altered { workspace_id: WorkspaceId, seq: i64 },
    #[error("workspace {workspace_id}: events {from} to {to} are missing")]
    Missing { workspace_id: WorkspaceId, from: i64, to: i64 },
    #[error("workspace {workspace_id}: event {seq} is after the end of the chain")]
    BeyondEnd { workspace_id: WorkspaceId, seq: i64 },
    #[error("workspace {workspace_id}: the hash at the end of the chain does not match its last event")]
    HeadMismatch { workspace_id: WorkspaceId },
    #[error("workspace {workspace_id}: the chain starts after event {seq}, but no prune event records this")]
    UnrecordedPrune { workspace_id: WorkspaceId, seq: i64 },
    #[error("workspace {workspace_id}: {count} events precede the start of the chain")]
    BeforeAnchor { workspace_id: WorkspaceId, count: i64 },
    #[error("workspace {workspace_id}: the hash chain is missing")]
    MissingChain { workspace_id: WorkspaceId },
    #[error(
        "workspace {workspace_id}: the position of event {seq} was changed (its ID does not match its sequence number)"
    )]
    Reordered { workspace_id: WorkspaceId, seq: i64 },
}

/// The result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerificationReport {
    /// Workspace ID, sequence number and hash at the end of each chain, for comparison with a copy
    /// kept elsewhere.
    pub ends: Vec<(WorkspaceId, i64, EntryHash)>,
    /// The number of verified events.
    pub events: u64,
    pub findings: Vec<Finding>,
}

/// The number of events read per statement.
const BATCH_SIZE: i64 = 1_000;

/// Verifies the hash chains of all workspaces.
///
/// # Errors
/// [`store::Error`] if the database cannot be read.
pub async fn verify(store: &Store) -> Result<VerificationReport, store::Error> {
    let mut report = VerificationReport::default();
    for workspace_id in store.list_workspaces_without_chain().await? {
        report.findings.push(Finding::MissingChain { workspace_id });
    }
    for chain in store.list_chains().await? {
        verify_chain(store, chain, &mut report).await?;
    }
    Ok(report)
}

/// Verifies one chain up to its end at the start of the verification. Writers may append to it
/// meanwhile.
async fn verify_chain(
    store: &Store,
    mut chain: AuditChain,
    report: &mut VerificationReport,
) -> Result<(), store::Error> {
    loop {
        let mut verifier = ChainVerifier::from(chain);
        let mut events = 0;
        loop {
            let entries = store.list_entries(chain.workspace_id, verifier.seq, BATCH_SIZE).await?;
            let entries_in_chain = entries.iter().filter(|(entry, _)| entry.seq <= chain.seq);
            let count_before = events;
            for (entry, stored) in entries_in_chain {
                verifier.verify_entry(entry, *stored);
                events += 1;
            }
            if events == count_before {
                break;
            }
        }
        // Entries beyond the end are read before the chain is read again. The new end covers them
        // unless they were added by another program.
        let entries_beyond_end = store.list_entries(chain.workspace_id, chain.seq, BATCH_SIZE).await?;
        let before_anchor = store.count_events_before_anchor(&chain).await?;
        let current = store.list_chains().await?.into_iter().find(|current| current.workspace_id == chain.workspace_id);
        let Some(current) = current else { return Ok(()) };
        if current.anchor_seq != chain.anchor_seq {
            // The chain was pruned meanwhile.
            chain = current;
            continue;
        }
        let workspace_id = chain.workspace_id;
        for (entry, _) in entries_beyond_end.iter().filter(|(entry, _)| entry.seq > current.seq) {
            verifier.findings.push(Finding::BeyondEnd { workspace_id, seq: entry.seq });
        }
        if before_anchor > 0 {
            verifier.findings.push(Finding::BeforeAnchor { workspace_id, count: before_anchor });
        }
        report.events += events;
        report.ends.push((workspace_id, chain.seq, chain.hash));
        report.findings.extend(verifier.finish());
        return Ok(());
    }
}

/// The state of a verification after the last entry.
struct ChainVerifier {
    chain: AuditChain,
    seq: i64,
    hash: EntryHash,
    /// The ID of the previous event.
    last_id: i64,
    /// Sequence number and hash up to which the chain was pruned last, according to its own prune
    /// event.
    recorded_prune: Option<(i64, String)>,
    findings: Vec<Finding>,
}

impl From<AuditChain> for ChainVerifier {
    fn from(chain: AuditChain) -> Self {
        Self {
            chain,
            seq: chain.anchor_seq,
            hash: chain.anchor_hash,
            last_id: 0,
            recorded_prune: None,
            findings: Vec::new(),
        }
    }
}

impl ChainVerifier {
    /// Verifies the next entry.
    fn verify_entry(
        &mut self,
        entry: &AuditEntry,
        StoredEntry { id, hash: stored, is_whole_millisecond }: StoredEntry,
    ) {
        let workspace_id = self.chain.workspace_id;
        let is_next = entry.seq == self.seq + 1;
        if !is_next {
            self.findings.push(Finding::Missing { workspace_id, from: self.seq + 1, to: entry.seq - 1 });
        }
        // After a gap the previous hash is unknown. The stored hash is taken as correct, and the
        // next entries must match it.
        let follows = stored.is_some() && (!is_next || stored == Some(self.hash.hash_next(entry)));
        if !(follows && is_whole_millisecond) {
            self.findings.push(Finding::Altered { workspace_id, seq: entry.seq });
        }
        // Writers append one after the other, so IDs increase with the sequence numbers.
        if id <= self.last_id {
            self.findings.push(Finding::Reordered { workspace_id, seq: entry.seq });
        }
        self.last_id = id;
        if entry.action == Action::EventsPruned.as_str() {
            let details = Details::parse(&entry.details).0;
            let seq = details.get("upTo").and_then(serde_json::Value::as_i64);
            let hash = details.get("hash").and_then(serde_json::Value::as_str);
            self.recorded_prune = seq.zip(hash.map(str::to_owned));
        }
        self.seq = entry.seq;
        self.hash = stored.unwrap_or(self.hash);
    }

    /// Verifies the end and the start of the chain. Returns all findings.
    fn finish(mut self) -> Vec<Finding> {
        let AuditChain { workspace_id, seq, hash, anchor_seq, anchor_hash, .. } = self.chain;
        if self.seq < seq {
            self.findings.push(Finding::Missing { workspace_id, from: self.seq + 1, to: seq });
        } else if self.seq == seq && self.hash != hash {
            self.findings.push(Finding::HeadMismatch { workspace_id });
        }
        let is_prune_recorded = self.recorded_prune == Some((anchor_seq, anchor_hash.to_hex()));
        let is_unpruned = anchor_seq == 0 && anchor_hash == EntryHash::GENESIS;
        if !(is_prune_recorded || is_unpruned) {
            self.findings.push(Finding::UnrecordedPrune { workspace_id, seq: anchor_seq });
        }
        self.findings
    }
}
