//! `tokenward serve`: the server process with its signals and first-start output.

use std::{io::IsTerminal as _, net::SocketAddr};

use clap::Args;
#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::ConfigSource;
use crate::{
    app::App,
    config::{FIRST_START_VARIABLES, ProcessConfig, secret_file},
    domain::{random::Random, time::Clock},
    http::{
        file_limit,
        ports::Ports,
        server::{self, Server},
    },
    service::bootstrap::{BootstrapResult, FirstAdministrator, bootstrap},
    telemetry::{self, print_notice},
};

/// The arguments of `tokenward serve`.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    source: ConfigSource,
    /// Listen on this address and port; port 0 picks a free one
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let config = self.source.load(self.listen)?;
        telemetry::init_logging(config.log.format)?;
        let mut hangup = HangupSignal::install()?;
        let first_administrator = read_first_administrator()?;
        file_limit::raise_file_limit();
        // Ports first: a start that fails because a port is in use must not create a database or
        // print a password.
        let ports = Ports::bind(&config)?;
        protect_memory(&config.process);
        let store = server::open_store(&config, true).await?;
        let (clock, random) = (Clock::system(), Random::system());
        let app = App::new(store.clone(), clock.clone(), random.clone(), &config)?;
        app.clock_floor().initialize().await?;
        let engine = store.engine();
        let server = Server::listen(ports, app.clone(), store.clone(), config)?;
        let address = server.address()?;
        let bootstrapped = bootstrap(&store, app.people(), &clock, &random, first_administrator).await?;
        if let Some(bootstrapped) = bootstrapped {
            print_first_start(&bootstrapped, address);
        }
        tracing::info!(engine, "opened the store");
        let stop = shutdown_signal()?;
        // Clients that connect now are served as soon as the server runs.
        if let Some(ext_authz) = server.ext_authz_address()? {
            print_notice(format_args!("ext_authz listening on grpc://{ext_authz}"));
        }
        if let Some(metrics) = server.metrics_address()? {
            print_notice(format_args!("serving metrics on http://{metrics}/metrics"));
        }
        print_notice(format_args!("listening on http://{address}"));
        let stop = async {
            tokio::select! {
                () = stop => {}
                () = hangup.terminal_closed() => {}
            }
            sd_notify::notify(&[sd_notify::NotifyState::Stopping]).ok();
        };
        sd_notify::notify(&[sd_notify::NotifyState::Ready]).ok();
        server.run(stop).await;
        Ok(())
    }
}

/// Keeps passwords and token values in memory out of core dumps and away from debuggers of the same
/// user.
fn protect_memory(config: &ProcessConfig) {
    if config.core_dumps {
        return;
    }
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!(%error, "failed to disable core dumps");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "failed to make the process non-dumpable");
    }
}

/// Reads the credentials of the first administrator from the environment.
fn read_first_administrator() -> anyhow::Result<FirstAdministrator> {
    let [email, password] = FIRST_START_VARIABLES;
    let email = secret_file::variable(email)?.map_or_else(|| "admin@localhost".to_owned(), |email| email.to_string());
    Ok(FirstAdministrator { email, password: secret_file::variable(password)? })
}

/// Prints the first administrator's credentials and the first steps. This is not a log line,
/// because it may contain a password.
fn print_first_start(bootstrapped: &BootstrapResult, address: SocketAddr) {
    let email = &bootstrapped.email;
    let credentials = match &bootstrapped.password {
        Some(password) => {
            print_notice(format_args!(
                "\nFirst start. Credentials of the administrator, shown once:\n\n  e-mail    {email}\n  password  {}\n",
                password.as_str()
            ));
            format!("{email}:{}", password.as_str())
        }
        None => {
            print_notice(format_args!("\nFirst start. The administrator is {email}, with the configured password.\n"));
            email.clone()
        }
    };
    print_notice(format_args!(
        "Sign in:\n\n  http://{address}/\n\nOr create a token:\n\n  curl -u '{credentials}' -H 'Content-Type: application/json' \
         -d '{{\"lifetimeSeconds\": 2592000}}' http://{address}/v4/apiAccessTokens\n"
    ));
}

/// Returns a future that completes at SIGTERM or SIGINT. A second signal ends the process at once.
fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        recv_either(&mut terminate, &mut interrupt).await;
        tokio::spawn(async move {
            recv_either(&mut terminate, &mut interrupt).await;
            print_notice(format_args!("tokenward: terminated by a second signal"));
            std::process::exit(1);
        });
    })
}

/// The SIGHUP handler. On a terminal, SIGHUP means that the terminal is closed: the service stops.
/// Otherwise it is ignored, because the configuration is not reloaded.
struct HangupSignal {
    signal: Signal,
    is_on_terminal: bool,
}

impl HangupSignal {
    /// Installs the handler.
    fn install() -> anyhow::Result<Self> {
        let streams =
            [std::io::stdin().is_terminal(), std::io::stdout().is_terminal(), std::io::stderr().is_terminal()];
        Ok(Self { signal: signal(SignalKind::hangup())?, is_on_terminal: streams.contains(&true) })
    }

    /// Completes when the terminal is closed.
    async fn terminal_closed(&mut self) {
        while self.signal.recv().await.is_some() {
            if self.is_on_terminal {
                return;
            }
            tracing::info!("ignored SIGHUP: the configuration is read only at start");
        }
        std::future::pending::<()>().await;
    }
}

async fn recv_either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
