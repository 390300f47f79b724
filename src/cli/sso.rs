//! `tokenward sso`: the identity providers, their syncs and the accounts linked to them.

mod link;
mod migrate;
mod openid;
mod probe;
mod redirect;
mod saml;
mod sync;

use std::sync::Arc;

use anyhow::{anyhow, bail};
use clap::Subcommand;

use super::{
    invocation::{Invocation, Services},
    output::{ListOptions, Output},
};
use crate::{
    directory::Lookup,
    domain::directory::{DirectoryPerson, EntryState},
    service::{Directories, directories::DirectoryProvider},
};
use link::{LinkPerson, UnlinkPerson};
use migrate::MigratePeople;
use probe::TestProvider;
use sync::{SyncProvider, print_status};

/// The subcommands of `tokenward sso`.
#[derive(Debug, Subcommand)]
pub(super) enum SsoCommand {
    /// Connect to a provider, and print what it reports and what must be registered there
    ///
    /// Of a directory: its servers, an entry, its groups and the rights it would get. Of an OpenID or SAML
    /// provider: its metadata and the URLs to register. Exits with 1 if a server cannot be used, if a configured group does not exist, or if a
    /// sign-in of the person would be rejected whatever the password is.
    Test(TestProvider),
    /// Disable the accounts of people who left a directory now, without waiting for the schedule
    Sync(SyncProvider),
    /// Print the last sync of each directory
    ///
    /// Exits with 1 if the last sync of a directory failed, or waits for a confirmation.
    Status(ListOptions),
    /// Link a person to an account at a provider; the local password and all sessions end
    Link(LinkPerson),
    /// Remove the link of a person; tokens stay, and the person needs a local password or another link
    Unlink(UnlinkPerson),
    /// Move people from one provider to another
    ///
    /// Prints a list of the people with their old and new accounts. With --confirm, moves them: each signs in through the new provider from
    /// then on, all sessions end, and tokens stay. Exits with 1 if a person has no new account. The command can be repeated.
    Migrate(MigratePeople),
}

impl SsoCommand {
    pub(super) async fn run(
        self,
        Services { app, .. }: &Services,
        invocation: &Invocation,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        match self {
            Self::Test(test) => test.run(app.directory_syncs().directories(), app.sign_in().providers(), output).await,
            Self::Sync(sync) => sync.run(app, output).await,
            Self::Status(options) => print_status(app, options, output).await,
            Self::Link(link) => link.run(app, output).await,
            Self::Unlink(unlink) => unlink.run(app, output).await,
            Self::Migrate(migrate) => migrate.run(app, invocation, output).await,
        }
    }
}

/// Finds a configured directory.
fn find_provider<'a>(directories: &'a Directories, name: &str) -> anyhow::Result<&'a Arc<DirectoryProvider>> {
    directories.find(name).ok_or_else(|| match &directories.names()[..] {
        [] => anyhow!("no identity provider is configured; add a section [sso.{name}]"),
        names => anyhow!("there is no identity provider {name}; configured: {}", names.join(", ")),
    })
}

async fn find_entry(provider: &DirectoryProvider, login: &str) -> anyhow::Result<DirectoryPerson> {
    match provider.directory().find_by_login(login).await? {
        Lookup::One(entry) => Ok(entry),
        Lookup::None => bail!("the directory has no person {login}; check base and user_filter"),
        Lookup::Several => bail!("several entries have the name {login}, so none of them can sign in with it"),
    }
}

fn state_name(state: EntryState) -> &'static str {
    match state {
        EntryState::Active => "active",
        EntryState::Disabled => "disabled",
        EntryState::Expired => "expired",
    }
}
