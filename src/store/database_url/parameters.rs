//! The parameters of a PostgreSQL URL: those of libpq, and the few that the driver adds.
//!
//! A parameter is used, or it changes nothing that the service promises and is passed over, or it is rejected with what to write
//! instead. docs/operations.md has the same table, and a test compares the two.

use std::collections::BTreeMap;

use super::{BadAddress, postgres::decode};

/// How a parameter is treated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Treatment {
    Used,
    /// Passed over, whatever its value.
    Ignored,
    /// Passed over with these values, rejected with others.
    Only(&'static [&'static str], &'static str),
    /// Rejected, with what to do instead.
    Unsupported(&'static str),
}

use Treatment::{Ignored, Only, Unsupported, Used};

/// Every parameter that is known by its name.
pub(super) const PARAMETERS: &[(&str, Treatment)] = &[
    ("host", Used),
    ("hostaddr", Used),
    ("port", Used),
    ("user", Used),
    ("password", Used),
    ("dbname", Used),
    ("options", Used),
    ("application_name", Used),
    ("fallback_application_name", Used),
    ("connect_timeout", Used),
    (
        "target_session_attrs",
        Only(&["read-write", "primary"], "read-write or primary: the service only uses a primary"),
    ),
    ("sslmode", Used),
    ("ssl", Used),
    ("sslrootcert", Used),
    ("sslcert", Used),
    ("sslkey", Used),
    ("statement-cache-capacity", Used),
    ("keepalives", Ignored),
    ("keepalives_idle", Ignored),
    ("keepalives_interval", Ignored),
    ("keepalives_count", Ignored),
    ("tcp_user_timeout", Ignored),
    ("load_balance_hosts", Ignored),
    ("sslcompression", Ignored),
    ("krbsrvname", Ignored),
    ("gsslib", Ignored),
    ("gssdelegation", Ignored),
    ("client_encoding", Only(&["utf8", "utf-8", "auto"], "UTF8")),
    (
        "channel_binding",
        Only(
            &["prefer", "disable"],
            "prefer or disable: channel binding is not supported, sslmode=verify-full proves the server",
        ),
    ),
    ("gssencmode", Only(&["disable", "prefer"], "disable or prefer: encryption by GSSAPI is not supported")),
    ("sslnegotiation", Only(&["postgres"], "postgres")),
    ("sslcertmode", Only(&["allow"], "allow: without sslcert no certificate is sent")),
    ("sslsni", Only(&["1"], "1")),
    ("ssl_min_protocol_version", Only(&["tlsv1", "tlsv1.1", "tlsv1.2"], "TLSv1.2, below which nothing is spoken")),
    ("ssl_max_protocol_version", Only(&["tlsv1.3"], "TLSv1.3")),
    ("min_protocol_version", Only(&["3.0"], "3.0")),
    ("max_protocol_version", Only(&["3.0", "3.2", "latest"], "3.0, 3.2 or latest")),
    ("replication", Only(&["false", "off", "no", "0"], "false")),
    ("requiressl", Unsupported("write sslmode=require")),
    ("passfile", Unsupported("set the variable PGPASSFILE")),
    ("service", Unsupported("write the parameters of the service into the URL")),
    ("servicefile", Unsupported("write the parameters of the service into the URL")),
    ("require_auth", Unsupported("sslmode=verify-full proves the server before a password is sent")),
    ("requirepeer", Unsupported("give the socket a folder that only the server's user can write")),
    ("sslcrl", Unsupported("revocation lists are not read")),
    ("sslcrldir", Unsupported("revocation lists are not read")),
    ("sslpassword", Unsupported("give sslkey a key without a passphrase, readable by this user alone")),
    ("sslkeylogfile", Unsupported("keys of sessions are never written down")),
    ("scram_client_key", Unsupported("give the password")),
    ("scram_server_key", Unsupported("give the password")),
];

/// What the driver (and so other programs that use it) takes for the same.
const SYNONYMS: &[(&str, &str)] = &[
    ("ssl-mode", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
];

/// By what other programs set the schema.
const SCHEMA: &[&str] = &["search_path", "search-path", "searchpath", "schema", "currentschema", "current_schema"];

/// The values of the parameters that are used.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    values: BTreeMap<&'static str, String>,
    /// Settings of the session, by `options[NAME]=VALUE`.
    pub settings: Vec<(String, String)>,
}

impl Parameters {
    /// Parses what follows the `?`. Of a parameter that stands twice the last counts.
    pub(super) fn parse(query: &str) -> Result<Self, BadAddress> {
        let mut parameters = Self::default();
        for (position, parameter) in (1..).zip(query.split('&').filter(|parameter| !parameter.is_empty())) {
            let (name, value) = parameter.split_once('=').ok_or(BadAddress::NoValue { position })?;
            let (name, value) = (decode(name)?, decode(value)?);
            if let Some(setting) = name.strip_prefix("options[").and_then(|rest| rest.strip_suffix(']')) {
                parameters.settings.push((setting.to_owned(), value));
                continue;
            }
            let (name, treatment) = find(position, &name)?;
            match treatment {
                Used => drop(parameters.values.insert(name, value)),
                Ignored => {}
                Only(values, _) if values.iter().any(|known| known.eq_ignore_ascii_case(&value)) => {}
                Only(_, takes) => return Err(BadAddress::Value { name, takes }),
                Unsupported(instead) => return Err(BadAddress::Unsupported { name, instead }),
            }
        }
        Ok(parameters)
    }

    /// The value of a parameter; none where it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a parameter, or else of the variable that libpq reads for it.
    pub(super) fn get_or_variable(&self, name: &str, variable: &str) -> Option<String> {
        let own = self.get(name).map(str::to_owned);
        own.or_else(|| std::env::var(variable).ok().filter(|value| !value.is_empty()))
    }
}

fn find(position: usize, name: &str) -> Result<(&'static str, Treatment), BadAddress> {
    let name = SYNONYMS.iter().find(|(synonym, _)| *synonym == name).map_or(name, |(_, meant)| meant);
    if let Some(&known) = PARAMETERS.iter().find(|(known, _)| *known == name) {
        return Ok(known);
    }
    if SCHEMA.iter().any(|schema| schema.eq_ignore_ascii_case(name)) {
        return Err(BadAddress::SearchPath);
    }
    let known =
        PARAMETERS.iter().filter(|(_, treatment)| !matches!(treatment, Unsupported(_))).map(|(known, _)| *known);
    Err(BadAddress::Unknown { position, nearest: nearest(name, known) })
}

/// The known name that looks most like this one.
pub(super) fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> &'static str {
    let likeness = |known: &str| strsim::jaro_winkler(&name.to_ascii_lowercase(), known);
    known.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or("host")
}
