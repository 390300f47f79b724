//! The LDAP client against real directories, and against servers that misbehave.

mod attacks;
mod certificates;
mod configuration;

mod groups;
mod lookup;
mod outage;
mod passwords;

use tokenward::{
    directory::{BindPassword, Directory, DirectorySettings, Lookup, ServerUrl},
    domain::directory::{DirectoryKind, DirectoryPerson, ProviderName},
};

use crate::support::directory::{
    FakeServer, Flavor, TestDirectory,
    ber::{Request, tag},
    fake_server::{Response, accept},
    password_of,
};

/// Returns the settings of a client for a test directory, with these groups.
fn settings_of(directory: &TestDirectory, groups: &[&str]) -> DirectorySettings {
    let kind = match directory.flavor {
        Flavor::Slapd => DirectoryKind::OpenLdap,
        Flavor::Samba => DirectoryKind::ActiveDirectory,
    };
    DirectorySettings {
        name: ProviderName::parse("company").unwrap(),
        kind,
        servers: vec![server_url(&directory.url)],
        start_tls: false,
        server_name: None,
        ca_file: Some(directory.ca_file()),
        bind_dn: directory.bind.clone(),
        bind_password: BindPassword::new(password_of("search")),
        base: directory.flavor.base().to_owned(),
        user_filter: None,
        groups: groups.iter().map(|group| directory.flavor.group_dn(group)).collect(),
        max_password_checks: DirectorySettings::DEFAULT_MAX_PASSWORD_CHECKS,
    }
}

fn client_of(directory: &TestDirectory, groups: &[&str]) -> Directory {
    Directory::new(settings_of(directory, groups)).unwrap()
}

/// Returns the settings of a client for a misbehaving server, with TLS from the beginning.
fn settings_of_fake(server: &FakeServer) -> DirectorySettings {
    DirectorySettings {
        name: ProviderName::parse("company").unwrap(),
        kind: DirectoryKind::OpenLdap,
        servers: vec![server_url(&format!("ldaps://{}", server.address))],
        start_tls: false,
        server_name: None,
        ca_file: Some(server.ca_file()),
        bind_dn: "cn=search,dc=example,dc=org".to_owned(),
        bind_password: BindPassword::new(password_of("search")),
        base: "dc=example,dc=org".to_owned(),
        user_filter: None,
        groups: Vec::new(),
        max_password_checks: DirectorySettings::DEFAULT_MAX_PASSWORD_CHECKS,
    }
}

/// Returns the settings for a misbehaving server that expects `StartTLS`.
fn start_tls_settings(server: &FakeServer) -> DirectorySettings {
    let servers = vec![server_url(&format!("ldap://{}", server.address))];
    DirectorySettings { servers, start_tls: true, ..settings_of_fake(server) }
}

/// Encodes the entry of a person in a misbehaving server.
fn grace_entry(request: &Request) -> Vec<u8> {
    let uuid = "57f3a9a0-0000-4000-8000-000000000001";
    request.entry("uid=grace,dc=example,dc=org", &[("uid", "grace"), ("entryUUID", uuid)])
}

/// Encodes the response of a directory with one person, for searches that name this person.
fn accept_with_grace(request: &Request) -> Response {
    let is_asked = request.operation == tag::SEARCH_REQUEST && request.contains(b"grace");
    let entry = if is_asked { grace_entry(request) } else { Vec::new() };
    Some([entry, accept(request)?].concat())
}

fn server_url(url: &str) -> ServerUrl {
    ServerUrl::parse(url).unwrap()
}

/// Returns the only entry with this login.
async fn find(client: &Directory, login: &str) -> DirectoryPerson {
    match client.find_by_login(login).await {
        Ok(Lookup::One(person)) => person,
        other => panic!("{login}: {other:?}"),
    }
}

/// Returns the text of an error and of all its sources.
fn full_text(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(|error| format!("{error}; ")).collect()
}
