//! `tokenward serve`: the service itself.

use std::net::SocketAddr;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Source;
use crate::{
    app::App,
    config::{FIRST_START_VARIABLES, secret_file},
    domain::time::Clock,
    server::{self, Server},
    service::set_up::{FirstAdministrator, SetUp, set_up},
    telemetry,
    value::Random,
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
        let store = server::open_store(&config, true).await?;
        let (clock, random) = (Clock::system(), Random::system());
        let app = App::new(store.clone(), clock.clone(), random.clone(), &config)?;
        app.clock_floor().begin().await?;
        let engine = store.engine();
        // The port first: a password that is made up and then not shown would be lost.
        let server = Server::bind(app.clone(), store.clone(), config).await?;
        let address = server.address()?;
        let made = set_up(&store, app.people(), &clock, &random, first_administrator()?).await?;
        if let Some(made) = made {
            introduce(&made, address);
        }
        let alone = if engine == "SQLite" { "; SQLite serves one process, PostgreSQL any number" } else { "" };
        tracing::info!("storing in {engine}{alone}");
        let stop = stop_signal()?;
        // The port has been taken already: whoever connects now is answered as soon as the server runs.
        if let Some(ext_authz) = server.ext_authz_address()? {
            eprintln!("answering Envoy's checks on grpc://{ext_authz}");
        }
        if let Some(metrics) = server.metrics_address()? {
            eprintln!("telling figures on http://{metrics}/metrics");
        }
        eprintln!("listening on http://{address}");
        server.run(stop).await
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
            eprintln!(
                "\nFirst start. The administrator, shown only now:\n\n  e-mail    {email}\n  password  {}\n",
                password.as_str()
            );
            format!("{email}:{}", password.as_str())
        }
        None => {
            eprintln!("\nFirst start. The administrator is {email}, with the password that was given.\n");
            email.clone()
        }
    };
    eprintln!(
        "In a browser:\n\n  http://{address}/\n\nThe first token by hand:\n\n  curl -u '{credentials}' -H 'Content-Type: application/json' \
         -d '{{\"lifetimeSeconds\": 2592000}}' http://{address}/v4/apiAccessTokens\n"
    );
}

/// Completes at SIGTERM or SIGINT. A second one ends the process at once.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        either(&mut terminate, &mut interrupt).await;
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            eprintln!("tokenward: stopped at once");
            std::process::exit(1);
        });
    })
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
