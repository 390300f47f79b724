//! `tokenward login`: creates a token by a device authorization (RFC 8628), approved in a browser on any
//! machine.

mod client;
mod progress;
mod service_url;

use std::{path::PathBuf, time::Duration};

use anyhow::{anyhow, bail, ensure};
use clap::Args;
use tokio::time::{Instant, sleep_until};

use self::{
    client::{BegunLogin, Client, Poll},
    progress::Progress,
    service_url::ServiceUrl,
};
use super::{
    arguments::parse_lifetime,
    output::{print_line, printable},
};
use crate::{domain::token::Lifetime, telemetry::print_notice};

/// The longest time between two polls, also after many failed connections.
const MAX_INTERVAL: Duration = Duration::from_secs(60);
/// The time that the service adds to the interval with `slow_down` (RFC 8628, section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// The arguments of `tokenward login`.
#[derive(Debug, Args)]
pub(super) struct Login {
    /// URL of the service, for example https://tokens.example.com; http only for this machine
    url: ServiceUrl,
    /// Description of the token, for example the program that uses it
    #[arg(long, default_value = "")]
    description: String,
    /// Lifetime with a unit, such as 90d or 12h, or never; by default 30d, or the maximum of the workspace
    #[arg(long, value_name = "DURATION", value_parser = parse_lifetime)]
    lifetime: Option<Lifetime>,
    /// Scope of the token; repeat it for several; full access if omitted
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Trust the certificate authorities in this PEM file instead of those of the system
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Print the token value to standard output; required, because it is the only copy
    #[arg(long)]
    show: bool,
}

impl Login {
    /// Begins the login, waits for the approval, and prints the token value.
    ///
    /// # Errors
    /// If the login is denied or expires, or the service cannot be used.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        ensure!(
            self.show,
            "pass --show: the token value is printed to standard output and stored nowhere, for example: \
             TOKEN=$(tokenward login {} --show)",
            self.url
        );
        let mut client = Client::new(&self.url, self.ca_file.as_deref())?;
        tokio::select! {
            finished = self.log_in(&mut client) => finished,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                bail!("interrupted; the code expires by itself")
            }
        }
    }

    async fn log_in(&self, client: &mut Client) -> anyhow::Result<()> {
        let begun = client.begin(&self.description, self.lifetime, &self.scope).await?;
        print_notice(format_args!(
            "Open {} in a browser, sign in, and enter the code:\n\n    {}\n",
            begun.page,
            printable(&begun.user_code)
        ));
        if begun.page.host() != self.url.host() {
            print_notice(format_args!(
                "The page is on another host than the service at {}. Continue only if both are yours.",
                self.url
            ));
        }
        let token = wait_for_token(client, &begun).await?;
        let end = token
            .expires_in
            .map_or("it never expires".to_owned(), |seconds| format!("it expires in {}", in_words(seconds)));
        print_notice(format_args!("The login was approved. The token value is shown once; {end}."));
        // A closed output is an error here: there is no other copy of the value.
        print_line(format_args!("{}", token.value.as_str())).map_err(|error| {
            anyhow!("the token value was not printed: {error}; delete the token on the page Access Tokens")
        })
    }
}

/// Polls until a person has decided.
async fn wait_for_token(client: &Client, begun: &BegunLogin) -> anyhow::Result<client::IssuedToken> {
    let mut progress = Progress::start(format!(
        "Waiting for the approval; the code works for {} minutes",
        begun.expires_in.as_secs().div_ceil(60)
    ));
    let end = Instant::now() + begun.expires_in;
    let mut interval = begun.interval;
    let mut delay = interval;
    // The polls without a response since the last one.
    let mut failures = 0;
    let mut is_response_lost = false;
    loop {
        ensure!(Instant::now() < end, "the code has expired; run the command again");
        progress.wait(sleep_until((Instant::now() + delay).min(end))).await;
        let poll = client.poll(&begun.device_code).await;
        failures = if matches!(poll, Poll::NoResponse(_)) { failures + 1 } else { 0 };
        delay = interval;
        match poll {
            Poll::Issued(token) => return Ok(token),
            Poll::Pending => {}
            Poll::SlowDown => {
                interval = (interval + SLOW_DOWN).min(MAX_INTERVAL);
                delay = interval;
            }
            Poll::RetryAfter(wait) => delay = wait.max(interval).min(MAX_INTERVAL),
            Poll::NoResponse(cause) => {
                is_response_lost = true;
                progress.note(&format!("no response, trying again: {cause}"));
                // RFC 8628, section 3.5: exponential backoff.
                delay = (interval * 2_u32.saturating_pow(failures)).min(MAX_INTERVAL);
            }
            Poll::Rejected { code, .. } if code == "invalid_grant" && is_response_lost => {
                bail!(
                    "the response with the token was lost; delete the token on the page Access Tokens, and run the command again"
                )
            }
            Poll::Rejected { code, description } => bail!(rejection(&code, &description)),
        }
    }
}

/// Returns a number of seconds in words.
fn in_words(seconds: u64) -> String {
    const DAY: u64 = 86_400;
    match (seconds / DAY, seconds % DAY) {
        (1, 0) => "1 day".to_owned(),
        (days, 0) => format!("{days} days"),
        _ => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
    }
}

/// Returns the text of a final error.
fn rejection(code: &str, description: &str) -> String {
    match code {
        "access_denied" => format!("the login was denied: {description}"),
        "expired_token" => "the code has expired; run the command again".to_owned(),
        code => format!("the service rejected the login ({code}): {description}"),
    }
}
