//! `tokenward serve`: the server process with its signals and the output of a start.

use std::{io::IsTerminal as _, net::SocketAddr};

use clap::Args;
#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    GlobalOptions, VERSION,
    arguments::parse_listen_address,
    first_start,
    invocation::{RunningService, Services},
    socket::listener::CommandSocket,
};
use crate::{
    app::App,
    config::{Config, DatabaseUrlSetting, ProcessConfig},
    domain::{random::Random, time::Clock},
    http::{
        file_limit,
        ports::Ports,
        server::{self, Server},
    },
    telemetry::{self, print_notice},
};

/// The arguments of `tokenward serve`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Serve {
    /// Listen on this address; a port alone means 127.0.0.1, and port 0 picks a free one
    /// [env: TOKENWARD_LISTEN__HTTP] [default: 127.0.0.1:3005]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_listen_address)]
    listen: Option<SocketAddr>,
}

impl Serve {
    /// Returns `true` if no option is set.
    pub(super) fn is_empty(&self) -> bool {
        self.listen.is_none()
    }

    /// Takes the options that are not set from others.
    pub(super) fn or(self, other: Self) -> Self {
        Self { listen: self.listen.or(other.listen) }
    }

    pub(super) async fn run(self, global: &GlobalOptions) -> anyhow::Result<()> {
        let config = global.load(self.listen)?;
        telemetry::init_logging(config.log.format)?;
        let mut hangup = HangupSignal::install()?;
        let first_administrator = first_start::read_first_administrator()?;
        file_limit::raise_file_limit();
        // Ports first: a start that fails because a port is in use must not create a database or
        // print a password.
        let ports = Ports::bind(&config)?;
        protect_memory(&config.process);
        let database = config.database.url.clone();
        let store = server::open_store(&config, true).await?;
        let (clock, random) = (Clock::system(), Random::system());
        let app = App::new(store.clone(), clock.clone(), random.clone(), &config)?;
        app.clock_floor().initialize().await?;
        app.mail().announce().await?;
        let engine = store.engine();
        let socket = CommandSocket::bind(&config.database.url)?;
        let server = Server::listen(ports, app.clone(), store.clone(), config)?;
        let address = server.address()?;
        let created = first_start::bootstrap(&store, &app, (&clock, &random), first_administrator, &database).await?;
        if let Some(created) = created {
            created.report(address);
        }
        tracing::info!(%database, engine, "opened the store");
        let stop = shutdown_signal()?;
        let running = RunningService::new(clock.now(), &database, listener_urls(&server)?);
        let commands = socket.map(|socket| socket.serve(Services { store, app, running: Some(running) }));
        // Clients that connect now are served as soon as the server runs.
        report_listeners(&server, &database)?;
        warn_without_public_url(server.config());
        let stop = async {
            tokio::select! {
                () = stop => {}
                () = hangup.terminal_closed() => {}
            }
            sd_notify::notify(&[sd_notify::NotifyState::Stopping]).ok();
            if let Some(commands) = commands {
                commands.stop().await;
            }
        };
        sd_notify::notify(&[sd_notify::NotifyState::Ready]).ok();
        server.run(stop).await;
        Ok(())
    }
}

/// Returns the URLs of all listeners.
fn listener_urls(server: &Server) -> anyhow::Result<Vec<String>> {
    let mut urls = vec![format!("http://{}", server.address()?)];
    urls.extend(server.ext_authz_address()?.map(|address| format!("grpc://{address}")));
    urls.extend(server.metrics_address()?.map(|address| format!("http://{address}/metrics")));
    Ok(urls)
}

/// Reports the addresses of the service: in sentences for a person at a terminal, otherwise as log
/// lines.
fn report_listeners(server: &Server, database: &DatabaseUrlSetting) -> anyhow::Result<()> {
    let address = server.address()?;
    if let Some(ext_authz) = server.ext_authz_address()? {
        tracing::info!(url = %format_args!("grpc://{ext_authz}"), "listening for ext_authz");
    }
    if let Some(metrics) = server.metrics_address()? {
        tracing::info!(url = %format_args!("http://{metrics}/metrics"), "serving metrics");
    }
    if telemetry::is_interactive() {
        let sqlite_hint = if database.is_sqlite() { " (for one process; PostgreSQL is for several)" } else { "" };
        print_notice(format_args!(
            "Tokenward {VERSION}\n\n  database  {}{sqlite_hint}\n  pages     http://{address}/\n  API       \
             http://{address}/v4\n\nLost a password? Run tokenward person set-password E-MAIL.\n",
            database.absolute()
        ));
        print_notice(format_args!("listening on http://{address}"));
    } else {
        tracing::info!(url = %format_args!("http://{address}"), "listening");
    }
    Ok(())
}

/// Warns if other machines can connect, but would receive links to their own loopback address.
fn warn_without_public_url(config: &Config) {
    if config.lacks_public_url() {
        tracing::warn!(
            url = %config.public_url(),
            remedy = "set public_url to the URL by which clients reach the service",
            "public_url is not set: links, the OAuth issuer and the address for leak reports have the listener's URL"
        );
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

/// Returns a future that completes at SIGTERM or SIGINT. A second signal ends the process at once.
fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        recv_either(&mut terminate, &mut interrupt).await;
        tokio::spawn(async move {
            recv_either(&mut terminate, &mut interrupt).await;
            tracing::warn!("terminated by a second signal");
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
