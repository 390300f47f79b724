//! `tokenward audit`: verification and export of the audit log.

use anyhow::ensure;
use clap::{Args, Subcommand, ValueEnum};

use super::{
    arguments::{parse_chain_end, parse_time, parse_workspace},
    output::Output,
    person::no_workspace,
};
use crate::{
    domain::{audit_chain::EntryHash, id::WorkspaceId, time::Timestamp},
    service::audit_verify,
    store::Store,
};

/// The number of events per query.
const PAGE_SIZE: i64 = 1_000;

/// The subcommands of `tokenward audit`.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Verify the hash chains: report altered, missing and added events
    Verify(Verify),
    /// Print events, oldest first in each workspace
    Export(Export),
}

/// The arguments of `tokenward audit verify`.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Check that a chain still contains this earlier end, WORKSPACE:EVENT:HASH as printed by
    /// verify; repeatable
    #[arg(long = "end", value_name = "END", value_parser = parse_chain_end)]
    ends: Vec<(WorkspaceId, i64, EntryHash)>,
}

/// The arguments of `tokenward audit export`.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// Print only events since this time, for example 2026-11-24 or 2026-11-24T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Timestamp>,
    /// Print only events of the workspace with this ID
    #[arg(long, value_name = "ID", value_parser = parse_workspace)]
    workspace: Option<WorkspaceId>,
    /// Write the events in this format
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    format: ExportFormat,
}

/// The output format of exported events.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExportFormat {
    /// One JSON object per line
    Jsonl,
}

impl AuditCommand {
    pub(super) async fn run(self, store: &Store, output: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::Verify(verify) => verify.run(store, output).await,
            Self::Export(export) => export.run(store, output).await,
        }
    }
}

impl Verify {
    async fn run(self, store: &Store, output: &mut Output) -> anyhow::Result<()> {
        let verdict = audit_verify::verify(store).await?;
        let mut findings: Vec<String> = verdict.findings.iter().map(ToString::to_string).collect();
        for chain_end in &self.ends {
            if !chain_contains(store, *chain_end).await? {
                findings.push(format!("workspace {}: event {} was replaced or removed", chain_end.0, chain_end.1));
            }
        }
        for finding in &findings {
            output.print_line(format_args!("{finding}"));
        }
        for (workspace_id, seq, hash) in &verdict.ends {
            output.print_line(format_args!("end {workspace_id}:{seq}:{}", hash.to_hex()));
        }
        ensure!(findings.is_empty(), "{} findings in {} events", findings.len(), verdict.events);
        output.print_line(format_args!("{} events, none altered or missing", verdict.events));
        Ok(())
    }
}

/// Returns whether a chain contains an event with this hash, or was pruned exactly up to it. Events
/// that were pruned earlier cannot be compared.
async fn chain_contains(
    store: &Store,
    (workspace_id, seq, hash): (WorkspaceId, i64, EntryHash),
) -> anyhow::Result<bool> {
    if (seq, hash) == (0, EntryHash::GENESIS) {
        // The end of an empty chain, which every later chain extends.
        return Ok(true);
    }
    let chain = store.list_chains().await?.into_iter().find(|chain| chain.workspace_id == workspace_id);
    if chain.is_some_and(|chain| (chain.anchor_seq, chain.anchor_hash) == (seq, hash)) {
        return Ok(true);
    }
    let found = store.list_entries(workspace_id, seq - 1, 1).await?.into_iter().next();
    Ok(found.is_some_and(|(entry, stored)| entry.seq == seq && stored.hash == Some(hash)))
}

impl Export {
    async fn run(self, store: &Store, output: &mut Output) -> anyhow::Result<()> {
        let ExportFormat::Jsonl = self.format;
        if let Some(workspace) = self.workspace
            && store.find_workspace(workspace).await?.is_none()
        {
            return Err(no_workspace(workspace));
        }
        for chain in store.list_chains().await? {
            if self.workspace.is_none_or(|workspace| workspace == chain.workspace_id) {
                self.write_chain(store, chain.workspace_id, output).await?;
            }
        }
        Ok(())
    }

    /// Writes the events of one workspace.
    async fn write_chain(&self, store: &Store, workspace_id: WorkspaceId, output: &mut Output) -> anyhow::Result<()> {
        let mut seq = 0;
        loop {
            let entries = store.list_entries(workspace_id, seq, PAGE_SIZE).await?;
            let Some((last, _)) = entries.last() else { return Ok(()) };
            seq = last.seq;
            for (entry, stored) in &entries {
                if self.since.is_none_or(|since| entry.at >= since) {
                    let hash = stored.hash.map(EntryHash::to_hex);
                    output.print_line(format_args!("{}", entry.to_json(hash.as_deref())));
                }
            }
            output.flush().await?;
        }
    }
}
