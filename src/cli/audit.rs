//! `tokenward audit`: verification and export of the audit log.

use std::io::Write as _;

use anyhow::{bail, ensure};
use clap::{Args, Subcommand, ValueEnum};

use super::{
    GlobalOptions,
    arguments::{parse_chain_end, parse_time, parse_workspace},
    output,
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
    pub(super) async fn run(self, global: &GlobalOptions) -> anyhow::Result<()> {
        match self {
            Self::Verify(verify) => verify.run(global).await,
            Self::Export(export) => export.run(global).await,
        }
    }
}

impl Verify {
    async fn run(self, global: &GlobalOptions) -> anyhow::Result<()> {
        let store = global.open_store().await?;
        let verdict = audit_verify::verify(&store).await?;
        let mut lines: Vec<String> = verdict.findings.iter().map(ToString::to_string).collect();
        for chain_end in &self.ends {
            if !chain_contains(&store, *chain_end).await? {
                lines.push(format!("workspace {}: event {} was replaced or removed", chain_end.0, chain_end.1));
            }
        }
        let finding_count = lines.len();
        for (workspace_id, seq, hash) in &verdict.ends {
            lines.push(format!("end {workspace_id}:{seq}:{}", hash.to_hex()));
        }
        store.close().await;
        // The exit code states the result even if standard output is closed.
        let printed = lines.iter().try_for_each(|line| output::print_line(format_args!("{line}")));
        ensure!(finding_count == 0, "{finding_count} findings in {} events", verdict.events);
        printed?;
        output::print_line(format_args!("{} events, none altered or missing", verdict.events))
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
    async fn run(self, global: &GlobalOptions) -> anyhow::Result<()> {
        let ExportFormat::Jsonl = self.format;
        let store = global.open_store().await?;
        if let Some(workspace) = self.workspace
            && store.find_workspace(workspace).await?.is_none()
        {
            bail!("there is no workspace {workspace}; tokenward workspace list prints them");
        }
        let mut out = std::io::BufWriter::new(std::io::stdout());
        for chain in store.list_chains().await? {
            if self.workspace.is_none_or(|workspace| workspace == chain.workspace_id) {
                self.write_chain(&store, chain.workspace_id, &mut out).await?;
            }
        }
        out.flush().map_err(output::write_error)?;
        store.close().await;
        Ok(())
    }

    /// Writes the events of one workspace.
    async fn write_chain(
        &self,
        store: &Store,
        workspace_id: WorkspaceId,
        out: &mut impl std::io::Write,
    ) -> anyhow::Result<()> {
        let mut seq = 0;
        loop {
            let entries = store.list_entries(workspace_id, seq, PAGE_SIZE).await?;
            let Some((last, _)) = entries.last() else { return Ok(()) };
            seq = last.seq;
            for (entry, stored) in &entries {
                if self.since.is_none_or(|since| entry.at >= since) {
                    let hash = stored.hash.map(EntryHash::to_hex);
                    writeln!(out, "{}", entry.to_json(hash.as_deref())).map_err(output::write_error)?;
                }
            }
        }
    }
}
