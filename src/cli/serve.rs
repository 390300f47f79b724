//! `tokenward serve`: the service itself.

use std::{io::IsTerminal as _, net::SocketAddr};

use clap::Args;
#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Source;
use crate::{
    app::App,
    config::{FIRST_START_VARIABLES, Process, secret_file},
    domain::{random::Random, time::Clock},
    http::{
        file_limit,
        ports::Ports,
        server::{self, Server},
    },
    service::bootstrap::{FirstAdministrator, SetUp, set_up},
    telemetry::{self, say},
};

/// What `serve` takes.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    source: Source,
    /// Address and port to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let config = self.source.load(self.listen)?;
        telemetry::start(config.log.format)?;
        let mut hangup = Hangup::listen()?;
        let first = first_administrator()?;
        file_limit::raise_file_limit();
        // The ports first: a start that fails for want of one must leave no database behind, and show no password.
        let ports = Ports::bind(&config)?;
        protect_memory(&config.process);
        let store = server::open_store(&config, true).await?;
        let (clock, random) = (Clock::system(), Random::system());
        let app = App::new(store.clone(), clock.clone(), random.clone(), &config)?;
        app.clock_floor().begin().await?;
        let engine = store.engine();
        let server = Server::listen(ports, app.clone(), store.clone(), config)?;
        let address = server.address()?;
        let made = set_up(&store, app.people(), &clock, &random, first).await?;
        if let Some(made) = made {
            introduce(&made, address);
        }
        let alone = if engine == "SQLite" { "; SQLite serves one process, PostgreSQL any number" } else { "" };
        tracing::info!("storing in {engine}{alone}");
        let stop = stop_signal()?;
        // Clients that connect now are answered as soon as the server runs.
        if let Some(ext_authz) = server.ext_authz_address()? {
            say(format_args!("answering Envoy's checks on grpc://{ext_authz}"));
        }
        if let Some(metrics) = server.metrics_address()? {
            say(format_args!("telling figures on http://{metrics}/metrics"));
        }
        say(format_args!("listening on http://{address}"));
        let stop = async {
            tokio::select! {
                () = stop => {}
                () = hangup.received() => {}
            }
        };
        server.run(stop).await;
        Ok(())
    }
}

/// Keeps passwords and token values, which are in memory for moments, out of core dumps and from debuggers of the same user.
fn protect_memory(config: &Process) {
    if config.core_dumps {
        return;
    }
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!(%error, "cannot forbid core dumps");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "cannot keep debuggers out");
    }
}

fn first_administrator() -> anyhow::Result<FirstAdministrator> {
    let [email, password] = FIRST_START_VARIABLES;
    let email = secret_file::variable(email)?.map_or_else(|| "admin@localhost".to_owned(), |email| email.to_string());
    Ok(FirstAdministrator { email, password: secret_file::variable(password)? })
}

/// Tells whoever started the service how to get in. This is not a log line: it may hold a password, and is shown once.
fn introduce(made: &SetUp, address: SocketAddr) {
    let email = &made.email;
    let credentials = match &made.password {
        Some(password) => {
            say(format_args!(
                "\nFirst start. The administrator, shown only now:\n\n  e-mail    {email}\n  password  {}\n",
                password.as_str()
            ));
            format!("{email}:{}", password.as_str())
        }
        None => {
            say(format_args!("\nFirst start. The administrator is {email}, with the password that was given.\n"));
            email.clone()
        }
    };
    say(format_args!(
        "In a browser:\n\n  http://{address}/\n\nThe first token by hand:\n\n  curl -u '{credentials}' -H 'Content-Type: application/json' \
         -d '{{\"lifetimeSeconds\": 2592000}}' http://{address}/v4/apiAccessTokens\n"
    ));
}

/// Completes at SIGTERM or SIGINT. A second one ends the process at once.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        either(&mut terminate, &mut interrupt).await;
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            say(format_args!("tokenward: stopped at once"));
            std::process::exit(1);
        });
    })
}

/// SIGHUP. On a terminal it says that the terminal is gone: the service stops. Elsewhere it asks to read the configuration again, which
/// the service does not do; it must not end it.
struct Hangup {
    signal: Signal,
    is_on_terminal: bool,
}

impl Hangup {
    /// Takes the signal from now on.
    fn listen() -> anyhow::Result<Self> {
        let streams =
            [std::io::stdin().is_terminal(), std::io::stdout().is_terminal(), std::io::stderr().is_terminal()];
        Ok(Self { signal: signal(SignalKind::hangup())?, is_on_terminal: streams.contains(&true) })
    }

    /// Completes when the terminal is gone.
    async fn received(&mut self) {
        while self.signal.recv().await.is_some() {
            if self.is_on_terminal {
                return;
            }
            tracing::info!("ignored SIGHUP: the configuration is read at the start only");
        }
        std::future::pending::<()>().await;
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
