//! `tokenward status`: the state of the service and of its database.

use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::{
    VERSION,
    global::is_in_use,
    health,
    invocation::{RunningService, Services},
    output::{ListOptions, Output, Table},
};
use crate::{
    config::Config,
    domain::{
        causes::Causes,
        time::{Clock, Timestamp},
    },
    http::server::schema_error,
    store::{NodeLease, SchemaStatus, Store},
};

/// The time before its expiry in which a token counts as expiring: 7 days.
const EXPIRING_SECONDS: i64 = 7 * 86_400;

/// The arguments of `tokenward status`.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    output: ListOptions,
}

/// The content of the database. Values that are not known are null.
#[derive(Default)]
struct Contents {
    workspaces: Value,
    people: Value,
    tokens: [Value; 3],
    last_backup: Value,
    nodes: Value,
}

impl Status {
    /// Reports the service in which the command runs.
    pub(super) async fn run(self, services: &Services, output: &mut Output) -> anyhow::Result<()> {
        let running = services.running.as_ref().context("no service is running")?;
        let ready = services.app.health().check().await.context("the service is not ready");
        let contents = read(&services.store).await;
        let state = if ready.is_ok() { "ready" } else { "not ready" };
        report(state, Some(running), (&running.database, services.store.engine()), &contents)
            .print_single(self.output, output);
        ready?;
        contents.map(drop)
    }

    /// Reports a service without a command socket: on PostgreSQL by its health check, on SQLite as
    /// stopped.
    pub(super) async fn run_without_service(self, config: &Config) -> anyhow::Result<()> {
        let url = &config.database.url;
        let opened = open(config).await;
        // A service whose command socket could not be created has the database open.
        let is_in_use = opened.as_ref().is_err_and(is_in_use);
        let is_stopped = url.is_sqlite() && !is_in_use;
        let ready = if is_stopped { Err(anyhow!("the service is not running")) } else { health::check(config) };
        let contents = match &opened {
            Ok(store) => read(store).await,
            Err(error) => Err(anyhow!("{}", Causes(error.as_ref()))),
        };
        let state = match ready {
            Ok(()) => "ready",
            Err(_) if is_stopped => "stopped",
            Err(_) => "not ready",
        };
        let engine = if url.is_sqlite() { "SQLite" } else { "PostgreSQL" };
        let mut output = Output::to_process();
        report(state, None, (&url.absolute(), engine), &contents).print_single(self.output, &mut output);
        output.flush().await?;
        if let Ok(store) = opened {
            store.close().await;
        }
        ready?;
        if is_in_use { Ok(()) } else { contents.map(drop) }
    }
}

/// Opens the database with any schema version. A missing SQLite file is not created.
async fn open(config: &Config) -> anyhow::Result<Store> {
    let address = config.database.url.address()?;
    if let Some(file) = address.sqlite_file() {
        ensure!(file.exists(), "{} does not exist", file.display());
    }
    Ok(Store::open(&address, config.store_limits()).await?)
}

/// Reads the contents of the database.
///
/// # Errors
/// If the schema is not the one of this program, or the database is unavailable.
async fn read(store: &Store) -> anyhow::Result<Contents> {
    match store.schema_status().await? {
        SchemaStatus::Current => {}
        schema => return Err(schema_error(schema)),
    }
    let now = Clock::system().now();
    let tokens = store.count_tokens_by_expiry(now, now.plus_seconds(EXPIRING_SECONDS)).await?;
    let nodes = match store.cluster() {
        Some(cluster) => cluster.list_leases().await?.iter().map(node).collect(),
        None => Value::Null,
    };
    Ok(Contents {
        workspaces: json!(store.count_workspaces().await?),
        people: json!(store.count_all_people().await?),
        tokens: [json!(tokens.active), json!(tokens.expiring), json!(tokens.expired)],
        last_backup: json!(store.last_backup().map(|time| Timestamp::from(time).to_string())),
        nodes,
    })
}

fn node(node: &NodeLease) -> Value {
    let state = if node.is_valid { "valid" } else { "expired" };
    json!({"id": node.id.to_string(), "lease": state, "leaseUntil": node.lease_until.to_string()})
}

fn report(
    state: &str,
    running: Option<&RunningService>,
    (database, engine): (&str, &str),
    contents: &anyhow::Result<Contents>,
) -> Table {
    let unknown = Contents::default();
    let (database_state, contents) = match contents {
        Ok(contents) => ("the schema is current".to_owned(), contents),
        Err(error) => (Causes(error.as_ref()).to_string(), &unknown),
    };
    let [active, expiring, expired] = &contents.tokens;
    let mut table = Table::new(&[
        "service",
        "version",
        "startedAt",
        "uptime",
        "listeners",
        "database",
        "engine",
        "databaseState",
        "workspaces",
        "people",
        "activeTokens",
        "expiringTokens",
        "expiredTokens",
        "lastBackup",
        "nodes",
    ]);
    table.push([
        json!(state),
        json!(running.map(|_| VERSION)),
        json!(running.map(|service| service.started_at.to_string())),
        json!(running.map(RunningService::uptime)),
        json!(running.map(|service| &service.listeners)),
        json!(database),
        json!(engine),
        json!(database_state),
        contents.workspaces.clone(),
        contents.people.clone(),
        active.clone(),
        expiring.clone(),
        expired.clone(),
        contents.last_backup.clone(),
        contents.nodes.clone(),
    ]);
    table
}
