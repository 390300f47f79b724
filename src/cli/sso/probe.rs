//! `tokenward sso test`.

use anyhow::bail;
use clap::Args;

use super::{find_entry, find_provider, openid, saml, state_name};
use crate::{
    cli::output::{Output, printable},
    config::Config,
    directory::{DirectoryError, PasswordObstacle, ServerReport},
    domain::{
        allow_rule::{Grant, grant},
        causes::Causes,
        directory::{DirectoryPerson, EntryState},
        directory_attempts::AttemptPlace,
        time::Clock,
    },
    service::{
        Directories, OpenIdProviders, RedirectProviders, SamlProviders, directories::DirectoryProvider,
        redirect_providers::FoundProvider,
    },
};

#[derive(Debug, Args)]
pub(in crate::cli) struct TestProvider {
    /// Name of the provider: NAME of [sso.NAME]
    provider: String,
    /// Name with which a person signs in
    #[arg(long)]
    user: Option<String>,
}

impl TestProvider {
    /// Runs the command with the configuration of this process, before the service has a database, and
    /// before it restarts with a changed configuration.
    pub(in crate::cli) async fn run_without_store(self, config: &Config) -> anyhow::Result<()> {
        let directories = Directories::new(config.directories()?)?;
        let openid = OpenIdProviders::new(config.openid_providers()?)?;
        let saml = SamlProviders::new(config.saml_providers()?)?;
        let mut output = Output::to_process();
        let result = self.run(&directories, &RedirectProviders { openid, saml }, &mut output).await;
        let flushed = output.flush().await;
        result.and(flushed)
    }

    pub(super) async fn run(
        self,
        directories: &Directories,
        providers: &RedirectProviders,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        match providers.find(&self.provider) {
            Some(FoundProvider::OpenId(provider)) => return openid::test(&provider, output).await,
            Some(FoundProvider::Saml(provider)) => {
                saml::test(&provider, Clock::system().now().into(), output);
                return Ok(());
            }
            None => {}
        }
        let provider = find_provider(directories, &self.provider)?;
        let mut failures: Vec<String> = print_servers(provider, output).await?.into_iter().collect();
        failures.extend(print_missing_groups(provider, output).await?);
        warn_about_lockouts(provider, output).await?;
        if let Some(user) = &self.user {
            failures.extend(print_user(directories, user, provider, output).await?);
        }
        if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
    }
}

/// Prints every server, and what it says about itself. Returns a failure if some cannot be used.
///
/// # Errors
/// If none can be used.
async fn print_servers(provider: &DirectoryProvider, output: &mut Output) -> anyhow::Result<Option<String>> {
    let mut reports = provider.directory().probe_servers().await;
    if let [(_, Err(_))] = &reports[..] {
        let (_, report) = reports.remove(0);
        report?;
    }
    let (all, mut failed) = (reports.len(), 0);
    for (server, report) in reports {
        output.print_line(format_args!("server: {server}"));
        match report {
            Ok(report) => print_server(provider, &report, output),
            Err(error) => {
                failed += 1;
                output.print_line(format_args!("error: {}", printable(&Causes(&error).to_string())));
            }
        }
    }
    match failed {
        0 => Ok(None),
        failed if failed == all => bail!("none of the {all} servers of {} can be used", provider.name()),
        failed => Ok(Some(format!("{failed} of the {all} servers of {} cannot be used", provider.name()))),
    }
}

fn print_server(provider: &DirectoryProvider, report: &ServerReport, output: &mut Output) {
    output.print_line(format_args!("certificate names: {}", printable(&report.certificate_names.join(", "))));
    let vendor = if report.vendor.is_empty() { "unknown" } else { &report.vendor };
    output.print_line(format_args!("product: {vendor}"));
    if let Some(detected) = report.detected_kind.filter(|detected| *detected != provider.directory().kind()) {
        let kind = provider.directory().kind().as_str();
        output.notice(format_args!("the server looks like {}, but kind is {kind}", detected.as_str()));
    }
}

/// Prints the configured groups that do not exist, and returns them as failures. Each sync fails because
/// of them.
async fn print_missing_groups(provider: &DirectoryProvider, output: &mut Output) -> anyhow::Result<Vec<String>> {
    let missing = provider.directory().missing_groups().await?;
    for group in &missing {
        output.print_line(format_args!("missing group: {}", printable(group)));
    }
    Ok(missing.into_iter().map(|group| DirectoryError::NoSuchGroup { group }.to_string()).collect())
}

/// Warns if the wrong passwords that the directory is asked about can lock an account.
async fn warn_about_lockouts(provider: &DirectoryProvider, output: &mut Output) -> anyhow::Result<()> {
    let guard = provider.lockout_guard();
    let (known, unknown) = (AttemptPlace::Known.limit(guard), AttemptPlace::Unknown.limit(guard));
    let Some(threshold) = provider.directory().lockout_threshold().await? else { return Ok(()) };
    if known + unknown < threshold {
        return Ok(());
    }
    let remedy = match threshold.saturating_sub(known + 1) {
        0 => format!("raise lockoutThreshold of the domain to {} or more, and set lockout_guard = 1", known + 2),
        guard => format!("set lockout_guard = {guard}"),
    };
    output.notice(format_args!(
        "the domain locks an account after {threshold} wrong passwords; lockout_guard = {guard} and {known} attempts from \
         known places reach that: {remedy}"
    ));
    Ok(())
}

/// Prints the entry of a typed name and what the rules grant to it. Returns a failure if the sign-in of
/// the person would be rejected.
async fn print_user(
    directories: &Directories,
    user: &str,
    provider: &DirectoryProvider,
    output: &mut Output,
) -> anyhow::Result<Option<String>> {
    let login = match directories.route(user) {
        Some((found, login)) if found.name() == provider.name() => login,
        Some((found, _)) => bail!("{user} belongs to {}; see its domains", found.name()),
        None => bail!("{user} belongs to no directory: set domains, or default = true for names without a domain"),
    };
    let entry = find_entry(provider, login).await?;
    let groups = provider.directory().groups_of(&entry).await?;
    let obstacle = match entry.state {
        EntryState::Active => provider.directory().password_obstacle(&entry).await?,
        EntryState::Disabled | EntryState::Expired => None,
    };
    output.print_line(format_args!("entry: {}", printable(&entry.dn)));
    output.print_line(format_args!("subject: {}", entry.subject));
    output.print_line(format_args!("e-mail: {}", entry.email.as_ref().map_or("none", |email| email.as_str())));
    output.print_line(format_args!("state: {}", obstacle.map_or(state_name(entry.state), obstacle_name)));
    let names = if groups.is_empty() { "none".to_owned() } else { groups.join("; ") };
    output.print_line(format_args!("allowed groups: {names}"));
    let reason = match (grant(provider.rules(), &groups), entry.state, obstacle) {
        (Some(grant), EntryState::Active, None) => {
            output.print_line(format_args!("result: {}", describe(&grant, &entry)));
            return Ok(None);
        }
        (None, ..) => "the entry is in no allowed group".to_owned(),
        (Some(_), EntryState::Active, Some(obstacle)) => obstacle_reason(obstacle).to_owned(),
        (Some(_), state, _) => format!("the entry is {}", state_name(state)),
    };
    output.print_line(format_args!("result: rejected, because {reason}"));
    output.print_line(format_args!("response: {}", response(obstacle)));
    Ok(Some(format!("{} could not sign in: {reason}", printable(user))))
}

/// Describes what a rule grants to an entry.
fn describe(grant: &Grant, entry: &DirectoryPerson) -> String {
    let role = if grant.is_admin { "administrator" } else { "member" };
    let condition = match (grant.creates, &entry.email) {
        (false, _) => "; only if linked, because create = false",
        (true, None) => "; only if linked, because a new account needs the e-mail address that the entry lacks",
        (true, Some(_)) => "",
    };
    format!("{role} of workspace {}, tokenAccess {}{condition}", grant.workspace_id, grant.token_access.as_str())
}

const fn obstacle_name(obstacle: PasswordObstacle) -> &'static str {
    match obstacle {
        PasswordObstacle::LockedOut => "locked",
        PasswordObstacle::MustChange => "password must be changed",
        PasswordObstacle::Expired => "password expired",
    }
}

const fn obstacle_reason(obstacle: PasswordObstacle) -> &'static str {
    match obstacle {
        PasswordObstacle::LockedOut => "wrong passwords have locked the account in the directory",
        PasswordObstacle::MustChange => "the password must be changed first",
        PasswordObstacle::Expired => "the password has expired",
    }
}

/// Describes the response to a sign-in with the correct password.
const fn response(obstacle: Option<PasswordObstacle>) -> &'static str {
    match obstacle {
        None => "the same as to a wrong password",
        Some(PasswordObstacle::LockedOut) => {
            "the same as to a wrong password, and too many failed logins for 5 minutes after it"
        }
        Some(PasswordObstacle::MustChange | PasswordObstacle::Expired) => {
            "the sign-in page says that the password has expired; the API responds as to a wrong password"
        }
    }
}
