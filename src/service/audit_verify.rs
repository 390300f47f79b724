//! Verifying the chains of events: whether each follows from the one before it, from where the chain begins to where it ends.

use crate::{
    domain::{
        audit_chain::{Entry, Link},
        event::{Action, Details},
    },
    store::{self, Chain, Store, Stored},
};

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    #[error("workspace {workspace_id}: event {seq} was altered, or put in another's place")]
    Altered { workspace_id: i64, seq: i64 },
    #[error("workspace {workspace_id}: events {from} to {to} are missing")]
    Missing { workspace_id: i64, from: i64, to: i64 },
    #[error("workspace {workspace_id}: event {seq} stands behind the end of the chain")]
    Surplus { workspace_id: i64, seq: i64 },
    #[error("workspace {workspace_id}: the end of the chain does not fit its last event")]
    End { workspace_id: i64 },
    #[error("workspace {workspace_id}: the chain was cut at event {seq}, and no event tells of it")]
    Cut { workspace_id: i64, seq: i64 },
    #[error("workspace {workspace_id}: {count} events stand outside the chain, put there by somebody else")]
    Outside { workspace_id: i64, count: i64 },
    #[error("workspace {workspace_id}: there is no chain")]
    Chainless { workspace_id: i64 },
    #[error(
        "workspace {workspace_id}: event {seq} is shown in another place than it was written in (its id was changed)"
    )]
    Displaced { workspace_id: i64, seq: i64 },
    #[error("workspace {workspace_id}: {found} events are older than the chain; when it began {expected} were")]
    Older { workspace_id: i64, found: i64, expected: i64 },
}

/// What came of verifying.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Where each chain ends, to be compared another time with what is kept elsewhere.
    pub ends: Vec<(i64, i64, Link)>,
    pub events: u64,
    pub findings: Vec<Finding>,
}

/// How many events are read at once.
const AT_ONCE: i64 = 1_000;

/// Verifies the chains of all workspaces.
///
/// # Errors
/// Whatever kept the store from answering.
pub async fn verify(store: &Store) -> Result<Verdict, store::Error> {
    let mut verdict = Verdict::default();
    for workspace_id in store.list_chainless().await? {
        verdict.findings.push(Finding::Chainless { workspace_id });
    }
    for chain in store.list_chains().await? {
        verify_chain(store, chain, &mut verdict).await?;
    }
    Ok(verdict)
}

/// Follows one chain to where it ended when it was looked at; others may go on writing meanwhile.
async fn verify_chain(store: &Store, mut chain: Chain, verdict: &mut Verdict) -> Result<(), store::Error> {
    loop {
        let mut walk = Walk::from(chain);
        let mut events = 0;
        loop {
            let entries = store.list_entries(chain.workspace_id, walk.seq, AT_ONCE).await?;
            let within = entries.iter().filter(|(entry, _)| entry.seq <= chain.seq);
            let before = events;
            for (entry, stored) in within {
                walk.step(entry, *stored);
                events += 1;
            }
            if events == before {
                break;
            }
        }
        // What stands behind the end: read before the end is looked at again, which then covers it unless somebody put it there.
        let behind = store.list_entries(chain.workspace_id, chain.seq, AT_ONCE).await?;
        let (outside, older) = (store.count_outside(&chain).await?, store.count_unchained(&chain).await?);
        let now = store.list_chains().await?.into_iter().find(|now| now.workspace_id == chain.workspace_id);
        let Some(now) = now else { return Ok(()) };
        if (now.anchor_seq, now.unchained_count) != (chain.anchor_seq, chain.unchained_count) {
            // It was cut meanwhile.
            chain = now;
            continue;
        }
        let workspace_id = chain.workspace_id;
        for (entry, _) in behind.iter().filter(|(entry, _)| entry.seq > now.seq) {
            walk.findings.push(Finding::Surplus { workspace_id, seq: entry.seq });
        }
        if outside > 0 {
            walk.findings.push(Finding::Outside { workspace_id, count: outside });
        }
        if older != chain.unchained_count {
            walk.findings.push(Finding::Older { workspace_id, found: older, expected: chain.unchained_count });
        }
        verdict.events += events + older.unsigned_abs();
        verdict.ends.push((workspace_id, chain.seq, chain.hash));
        verdict.findings.extend(walk.end());
        return Ok(());
    }
}

/// A chain as far as it was followed.
struct Walk {
    chain: Chain,
    seq: i64,
    link: Link,
    /// The id of the event before.
    id: i64,
    /// To which event the chain was cut last, and that event's hash, as the chain itself tells.
    cut: Option<(i64, String)>,
    findings: Vec<Finding>,
}

impl From<Chain> for Walk {
    fn from(chain: Chain) -> Self {
        let (seq, link, id) = (chain.anchor_seq, chain.anchor_hash, chain.unchained_id);
        Self { chain, seq, link, id, cut: None, findings: Vec::new() }
    }
}

impl Walk {
    fn step(&mut self, entry: &Entry, Stored { id, hash: stored, is_whole_millisecond }: Stored) {
        let workspace_id = self.chain.workspace_id;
        let is_next = entry.seq == self.seq + 1;
        if !is_next {
            self.findings.push(Finding::Missing { workspace_id, from: self.seq + 1, to: entry.seq - 1 });
        }
        // Behind a gap nobody knows what it followed; its own hash is taken then, and what comes after it must fit that.
        let follows = stored.is_some() && (!is_next || stored == Some(self.link.then(entry)));
        if !(follows && is_whole_millisecond) {
            self.findings.push(Finding::Altered { workspace_id, seq: entry.seq });
        }
        // Whoever writes an event waits for the one before it, so its id is greater.
        if id <= self.id {
            self.findings.push(Finding::Displaced { workspace_id, seq: entry.seq });
        }
        self.id = id;
        if entry.action == Action::EventsPruned.as_str() {
            let details = Details::parse(&entry.details).0;
            let told = details.get("upTo").and_then(serde_json::Value::as_i64);
            let hash = details.get("hash").and_then(serde_json::Value::as_str);
            self.cut = told.zip(hash.map(str::to_owned));
        }
        (self.seq, self.link) = (entry.seq, stored.unwrap_or(self.link));
    }

    fn end(mut self) -> Vec<Finding> {
        let Chain { workspace_id, seq, hash, anchor_seq, anchor_hash, .. } = self.chain;
        if self.seq < seq {
            self.findings.push(Finding::Missing { workspace_id, from: self.seq + 1, to: seq });
        } else if self.seq == seq && self.link != hash {
            self.findings.push(Finding::End { workspace_id });
        }
        let is_told = self.cut == Some((anchor_seq, anchor_hash.to_hex()));
        let is_whole = anchor_seq == 0 && anchor_hash == Link::BEGINNING;
        if !(is_told || is_whole) {
            self.findings.push(Finding::Cut { workspace_id, seq: anchor_seq });
        }
        self.findings
    }
}
