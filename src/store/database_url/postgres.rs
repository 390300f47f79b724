//! PostgreSQL URLs: `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME?PARAMETER=VALUE`.

use std::net::IpAddr;

use super::{
    Host, InvalidDatabaseUrl,
    decoding::percent_decode,
    host::{Endpoint, LoginParameters, TlsSettings},
    parameters::Parameters,
};

/// Parses the part after `postgres://`. Also returns whether the URL contains a password.
pub(super) fn parse(url: &str) -> Result<(Vec<Host>, bool), InvalidDatabaseUrl> {
    let parts = UrlParts::split(url)?;
    let parameters = Parameters::parse(parts.query)?;
    let parameter = |name: &str| parameters.get(name).map(str::to_owned);
    let login = LoginParameters {
        user: parameter("user").or(parts.user),
        password: parameter("password").or(parts.password),
        database: parameter("dbname").or(parts.name),
    };
    let tls = TlsSettings::from_parameters(&parameters)?;
    let endpoints = parse_endpoints(parts.hosts, &parameters)?;
    let hosts = endpoints.iter().map(|endpoint| Host::new(endpoint, &login, &tls, &parameters));
    Ok((hosts.collect::<Result<_, _>>()?, login.password.is_some()))
}

/// Components of a URL.
struct UrlParts<'a> {
    user: Option<String>,
    password: Option<String>,
    hosts: &'a str,
    name: Option<String>,
    query: &'a str,
}

impl<'a> UrlParts<'a> {
    /// Splits a URL that has only one interpretation. An unencoded `@`, `/`, `?` or `#` in the
    /// password leaves a second `@`, or an `@` in a place where none is valid.
    fn split(url: &'a str) -> Result<Self, InvalidDatabaseUrl> {
        let is_allowed = |c: char| c != '#' && !c.is_whitespace() && !c.is_control();
        let (before, query) = url.split_once('?').unwrap_or((url, ""));
        let (authority, path) =
            before.split_once('/').map_or((before, None), |(authority, path)| (authority, Some(path)));
        let is_ambiguous = authority.matches('@').count() > 1
            || path.is_some_and(|path| path.contains('@'))
            || (authority.contains(':') && query.contains('@'));
        if is_ambiguous || !url.chars().all(is_allowed) {
            return Err(InvalidDatabaseUrl::Ambiguous);
        }
        let (user_info, hosts) = authority.split_once('@').unwrap_or(("", authority));
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        let name = path.unwrap_or_default();
        if name.contains('/') {
            return Err(InvalidDatabaseUrl::DatabaseName);
        }
        let decode_part = |text: &str| percent_decode(text).map(|text| Some(text).filter(|text| !text.is_empty()));
        Ok(Self { user: decode_part(user)?, password: decode_part(password)?, hosts, name: decode_part(name)?, query })
    }
}

/// Combines hosts, addresses and ports, which parameters may give instead of the authority part.
fn parse_endpoints(authority: &str, parameters: &Parameters) -> Result<Vec<Endpoint>, InvalidDatabaseUrl> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for host_and_port in authority.split(',') {
        let (host, port) = split_port(host_and_port)?;
        hosts.push(percent_decode(host)?);
        ports.push(parse_port(port)?);
    }
    if let Some(list) = parameters.get("host") {
        hosts = list.split(',').map(|host| host.trim_matches(['[', ']']).to_owned()).collect();
    }
    let addresses: Vec<_> = parameters.get("hostaddr").map(|list| list.split(',').collect()).unwrap_or_default();
    if addresses.iter().any(|address| !address.is_empty() && address.parse::<IpAddr>().is_err()) {
        return Err(InvalidDatabaseUrl::HostAddress);
    }
    if !addresses.is_empty() && hosts.iter().all(String::is_empty) {
        hosts = vec![String::new(); addresses.len()];
    }
    if let Some(list) = parameters.get("port") {
        ports = list.split(',').map(parse_port).collect::<Result<_, _>>()?;
    }
    // An authority part without hosts gives no ports either.
    if ports.iter().all(Option::is_none) {
        ports = vec![None];
    }
    let matches_hosts = |count: usize| count == hosts.len();
    if !(matches_hosts(ports.len()) || ports.len() == 1) || !(addresses.is_empty() || matches_hosts(addresses.len())) {
        return Err(InvalidDatabaseUrl::CountMismatch);
    }
    if !hosts.iter().all(|host| is_valid_host(host)) {
        return Err(InvalidDatabaseUrl::Host);
    }
    let port_at = |index: usize| ports.get(index).or(ports.first()).copied().flatten();
    let address_at =
        |index: usize| addresses.get(index).filter(|address| !address.is_empty()).map(|&text| text.to_owned());
    let endpoint = |(index, host): (usize, String)| Endpoint {
        host: Some(host).filter(|host| !host.is_empty()),
        address: address_at(index),
        port: port_at(index),
    };
    Ok(hosts.into_iter().enumerate().map(endpoint).collect())
}

/// Splits `HOST:PORT` or `[IPv6]:PORT`.
fn split_port(text: &str) -> Result<(&str, &str), InvalidDatabaseUrl> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or(InvalidDatabaseUrl::Host)?;
        let port = if rest.is_empty() { Some("") } else { rest.strip_prefix(':') };
        return Ok((host, port.ok_or(InvalidDatabaseUrl::Host)?));
    }
    Ok(text.split_once(':').unwrap_or((text, "")))
}

fn parse_port(text: &str) -> Result<Option<u16>, InvalidDatabaseUrl> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().ok().filter(|&port| port > 0).map(Some).ok_or(InvalidDatabaseUrl::Port)
}

/// Returns true for a name, an IP address, a socket directory, and the empty text, which is libpq's
/// default.
fn is_valid_host(text: &str) -> bool {
    text.starts_with('/') || text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%'))
}
