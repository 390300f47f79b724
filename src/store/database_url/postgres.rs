//! URLs of PostgreSQL: `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME?PARAMETER=VALUE`.

use std::net::IpAddr;

use percent_encoding::percent_decode_str;

use super::{
    BadAddress, Host,
    host::{Login, Place, Security},
    parameters::Parameters,
};

/// Parses what follows `postgres://`; also returns whether the URL has a password.
pub(super) fn parse(url: &str) -> Result<(Vec<Host>, bool), BadAddress> {
    let parts = Parts::split(url)?;
    let parameters = Parameters::parse(parts.query)?;
    let own = |name: &str| parameters.get(name).map(str::to_owned);
    let login = Login {
        user: own("user").or(parts.user),
        password: own("password").or(parts.password),
        name: own("dbname").or(parts.name),
    };
    let security = Security::of(&parameters)?;
    let places = places(parts.hosts, &parameters)?;
    let hosts = places.iter().map(|place| Host::new(place, &login, &security, &parameters));
    Ok((hosts.collect::<Result<_, _>>()?, login.password.is_some()))
}

/// The pieces of a URL.
struct Parts<'a> {
    user: Option<String>,
    password: Option<String>,
    hosts: &'a str,
    name: Option<String>,
    query: &'a str,
}

impl<'a> Parts<'a> {
    /// Splits a URL, if there is only one way to read it. An unencoded `@`, `/`, `?` or `#` in the password leaves a second `@`, or
    /// one where none belongs.
    fn split(url: &'a str) -> Result<Self, BadAddress> {
        let is_plain = |c: char| c != '#' && !c.is_whitespace() && !c.is_control();
        let (before, query) = url.split_once('?').unwrap_or((url, ""));
        let (authority, path) =
            before.split_once('/').map_or((before, None), |(authority, path)| (authority, Some(path)));
        let is_ambiguous = authority.matches('@').count() > 1
            || path.is_some_and(|path| path.contains('@'))
            || (authority.contains(':') && query.contains('@'));
        if is_ambiguous || !url.chars().all(is_plain) {
            return Err(BadAddress::Ambiguous);
        }
        let (user_info, hosts) = authority.split_once('@').unwrap_or(("", authority));
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        let name = path.unwrap_or_default();
        if name.contains('/') {
            return Err(BadAddress::Name);
        }
        let given = |text: &str| decode(text).map(|text| Some(text).filter(|text| !text.is_empty()));
        Ok(Self { user: given(user)?, password: given(password)?, hosts, name: given(name)?, query })
    }
}

/// Decodes `%XX`. A `%` that begins no such thing was meant as it stands, which libpq rejects, too.
pub(super) fn decode(text: &str) -> Result<String, BadAddress> {
    let is_encoded = |rest: &str| rest.get(..2).is_some_and(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()));
    if !text.split('%').skip(1).all(is_encoded) {
        return Err(BadAddress::Ambiguous);
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| BadAddress::Encoding)?;
    if decoded.contains('\0') { Err(BadAddress::Encoding) } else { Ok(decoded.into_owned()) }
}

/// Brings hosts, addresses and ports together, which parameters may give instead of the URL's front.
fn places(authority: &str, parameters: &Parameters) -> Result<Vec<Place>, BadAddress> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for one in authority.split(',') {
        let (host, port) = split_port(one)?;
        hosts.push(decode(host)?);
        ports.push(port_of(port)?);
    }
    if let Some(given) = parameters.get("host") {
        hosts = given.split(',').map(|host| host.trim_matches(['[', ']']).to_owned()).collect();
    }
    let addresses: Vec<_> = parameters.get("hostaddr").map(|given| given.split(',').collect()).unwrap_or_default();
    if addresses.iter().any(|address| !address.is_empty() && address.parse::<IpAddr>().is_err()) {
        return Err(BadAddress::HostAddress);
    }
    let is_without_hosts = hosts.iter().all(String::is_empty);
    if !addresses.is_empty() && is_without_hosts {
        hosts = vec![String::new(); addresses.len()];
    }
    if let Some(given) = parameters.get("port") {
        ports = given.split(',').map(port_of).collect::<Result<_, _>>()?;
    }
    // A front without hosts says nothing of ports.
    if ports.iter().all(Option::is_none) {
        ports = vec![None];
    }
    let fits = |count: usize| count == hosts.len();
    if !(fits(ports.len()) || ports.len() == 1) || !(addresses.is_empty() || fits(addresses.len())) {
        return Err(BadAddress::Count);
    }
    if !hosts.iter().all(|host| is_host(host)) {
        return Err(BadAddress::Host);
    }
    let port_at = |at: usize| ports.get(at).or(ports.first()).copied().flatten();
    let address_at = |at: usize| addresses.get(at).filter(|address| !address.is_empty()).map(|&text| text.to_owned());
    let place = |(at, host): (usize, String)| Place {
        host: Some(host).filter(|host| !host.is_empty()),
        address: address_at(at),
        port: port_at(at),
    };
    Ok(hosts.into_iter().enumerate().map(place).collect())
}

/// Takes the port off `HOST:PORT` or `[IPv6]:PORT`.
fn split_port(text: &str) -> Result<(&str, &str), BadAddress> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or(BadAddress::Host)?;
        let port = if rest.is_empty() { Some("") } else { rest.strip_prefix(':') };
        return Ok((host, port.ok_or(BadAddress::Host)?));
    }
    Ok(text.split_once(':').unwrap_or((text, "")))
}

fn port_of(text: &str) -> Result<Option<u16>, BadAddress> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().ok().filter(|&port| port > 0).map(Some).ok_or(BadAddress::Port)
}

/// Returns true for a name, an address, the folder of a socket, and for nothing, which is libpq's default.
fn is_host(text: &str) -> bool {
    text.starts_with('/') || text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%'))
}
