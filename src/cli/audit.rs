//! `tokenward audit`: the events, straight from the store.

use std::io::Write as _;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand, ValueEnum};

use super::{Source, output};
use crate::{
    domain::{audit_chain::Link, time::Timestamp},
    http::server,
    service::audit_verify,
    store::Store,
};

/// How many events are read at once.
const AT_ONCE: i64 = 1_000;

/// What can be done with the events.
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Find out whether an event was altered or taken out
    Verify(Verify),
    /// Print events, oldest first
    Export(Export),
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// An end of a chain that was printed before and kept elsewhere (WORKSPACE:EVENT:HASH): it must still be there
    #[arg(long = "end", value_name = "END", value_parser = parse_end)]
    ends: Vec<(i64, i64, Link)>,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// Only events from this moment on: 2026-11-24 or 2026-11-24T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    since: Option<Timestamp>,
    /// Only events of this workspace
    #[arg(long, value_name = "ID")]
    workspace: Option<i64>,
    /// How they are written
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    #[command(flatten)]
    source: Source,
}

/// How events are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One JSON object a line
    Jsonl,
}

impl Audit {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Verify(verify) => verify.run().await,
            Self::Export(export) => export.run().await,
        }
    }
}

impl Verify {
    async fn run(self) -> anyhow::Result<()> {
        let store = server::open_store(&self.source.load(None)?, false).await?;
        let verdict = audit_verify::verify(&store).await?;
        let mut lines: Vec<String> = verdict.findings.iter().map(ToString::to_string).collect();
        for end in &self.ends {
            if !holds(&store, *end).await? {
                lines.push(format!(
                    "workspace {}: event {} is not the one that was there, or was cut off",
                    end.0, end.1
                ));
            }
        }
        let wrong = lines.len();
        for (workspace_id, seq, hash) in &verdict.ends {
            lines.push(format!("end {workspace_id}:{seq}:{}", hash.to_hex()));
        }
        store.close().await;
        // The verdict is the exit code, also where nothing reads the lines any more.
        let printed = lines.iter().try_for_each(|line| output::line(format_args!("{line}")));
        ensure!(wrong == 0, "{wrong} findings in {} events", verdict.events);
        printed?;
        output::line(format_args!("{} events, none altered or missing", verdict.events))
    }
}

/// Whether a chain still holds this event with this hash, or was cut at it. One that was cut off before cannot be compared.
async fn holds(store: &Store, (workspace_id, seq, hash): (i64, i64, Link)) -> anyhow::Result<bool> {
    if (seq, hash) == (0, Link::BEGINNING) {
        // The end of a chain that had not begun: whatever came later goes on from there.
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
    async fn run(self) -> anyhow::Result<()> {
        let Format::Jsonl = self.format;
        let store = server::open_store(&self.source.load(None)?, false).await?;
        let mut out = std::io::BufWriter::new(std::io::stdout());
        for chain in store.list_chains().await? {
            if self.workspace.is_none_or(|workspace| workspace == chain.workspace_id) {
                self.write_chain(&store, chain.workspace_id, &mut out).await?;
            }
        }
        out.flush().map_err(output::explain)?;
        store.close().await;
        Ok(())
    }

    async fn write_chain(&self, store: &Store, workspace_id: i64, out: &mut impl std::io::Write) -> anyhow::Result<()> {
        let mut seq = 0;
        loop {
            let entries = store.list_entries(workspace_id, seq, AT_ONCE).await?;
            let Some((last, _)) = entries.last() else { return Ok(()) };
            seq = last.seq;
            for (entry, stored) in &entries {
                if self.since.is_none_or(|since| entry.at >= since) {
                    let hash = stored.hash.map(Link::to_hex);
                    writeln!(out, "{}", entry.to_json(hash.as_deref())).map_err(output::explain)?;
                }
            }
        }
    }
}

fn parse_end(text: &str) -> anyhow::Result<(i64, i64, Link)> {
    let mut parts = text.splitn(3, ':');
    let mut next = || parts.next().context("an end is WORKSPACE:EVENT:HASH, as verify prints it");
    let (workspace_id, seq) = (next()?.parse()?, next()?.parse()?);
    let hash = Link::parse_hex(next()?).context("the hash of an end has 64 hexadecimal digits")?;
    Ok((workspace_id, seq, hash))
}

fn parse_moment(text: &str) -> anyhow::Result<Timestamp> {
    let moment = Timestamp::of_day(text).or_else(|| Timestamp::parse(text));
    moment.context("a moment is a day, 2026-11-24, or an instant, 2026-11-24T08:00:00Z")
}
