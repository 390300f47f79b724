//! Parameters of a PostgreSQL URL: those of libpq, and the few that the driver adds.
//!
//! A parameter is used, or it affects nothing that the service guarantees and is ignored, or it is
//! rejected with a remedy. `docs/reference/database-url.md` lists the same parameters, and a test
//! compares the two.

use std::collections::BTreeMap;

use super::{InvalidDatabaseUrl, decoding::percent_decode};

/// Support for one parameter.
#[derive(Clone, Copy, Debug)]
pub(super) enum ParameterSupport {
    Used,
    /// Ignored, whatever its value.
    Ignored,
    /// Ignored with these values, rejected with all others. The text lists the accepted values.
    Restricted(&'static [&'static str], &'static str),
    /// Rejected. The text is the remedy.
    Rejected(&'static str),
}

use ParameterSupport::{Ignored, Rejected, Restricted, Used};

/// All known parameters, by name.
pub(super) const PARAMETERS: &[(&str, ParameterSupport)] = &[
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
        Restricted(&["read-write", "primary"], "read-write or primary, because the service uses only the primary"),
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
    ("client_encoding", Restricted(&["utf8", "utf-8", "auto"], "UTF8")),
    (
        "channel_binding",
        Restricted(
            &["prefer", "disable"],
            "prefer or disable; channel binding is not supported, but sslmode=verify-full authenticates the server",
        ),
    ),
    ("gssencmode", Restricted(&["disable", "prefer"], "disable or prefer; GSSAPI encryption is not supported")),
    ("sslnegotiation", Restricted(&["postgres"], "postgres")),
    ("sslcertmode", Restricted(&["allow"], "allow; a certificate is sent only with sslcert")),
    ("sslsni", Restricted(&["1"], "1")),
    ("ssl_min_protocol_version", Restricted(&["tlsv1", "tlsv1.1", "tlsv1.2"], "TLSv1.2, the lowest version in use")),
    ("ssl_max_protocol_version", Restricted(&["tlsv1.3"], "TLSv1.3")),
    ("min_protocol_version", Restricted(&["3.0"], "3.0")),
    ("max_protocol_version", Restricted(&["3.0", "3.2", "latest"], "3.0, 3.2 or latest")),
    ("replication", Restricted(&["false", "off", "no", "0"], "false")),
    ("requiressl", Rejected("write sslmode=require")),
    ("passfile", Rejected("set the environment variable PGPASSFILE")),
    ("service", Rejected("write the parameters of the service into the URL")),
    ("servicefile", Rejected("write the parameters of the service into the URL")),
    ("require_auth", Rejected("use sslmode=verify-full, which authenticates the server before the password is sent")),
    ("requirepeer", Rejected("put the socket into a directory that only the server's user can write")),
    ("sslcrl", Rejected("remove it; certificate revocation lists are not supported")),
    ("sslcrldir", Rejected("remove it; certificate revocation lists are not supported")),
    ("sslpassword", Rejected("use a key without a passphrase that only this user can read")),
    ("sslkeylogfile", Rejected("remove it; session keys are never written to a file")),
    ("scram_client_key", Rejected("use the password")),
    ("scram_server_key", Rejected("use the password")),
];

/// Alternative names that the driver, and so other programs built on it, accepts.
const ALIASES: &[(&str, &str)] = &[
    ("ssl-mode", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
];

/// Parameters with which other programs set the schema.
const SCHEMA_PARAMETERS: &[&str] =
    &["search_path", "search-path", "searchpath", "schema", "currentschema", "current_schema"];

/// Values of the supported parameters.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    values: BTreeMap<&'static str, String>,
    /// Session settings, from `options[NAME]=VALUE`.
    pub settings: Vec<(String, String)>,
}

impl Parameters {
    /// Parses the part after `?`. If a parameter is repeated, the last value counts.
    pub(super) fn parse(query: &str) -> Result<Self, InvalidDatabaseUrl> {
        let mut parameters = Self::default();
        for (position, parameter) in (1..).zip(query.split('&').filter(|parameter| !parameter.is_empty())) {
            let (name, value) = parameter.split_once('=').ok_or(InvalidDatabaseUrl::MissingValue { position })?;
            let name = percent_decode(name)?;
            let value = percent_decode(value)?;
            if let Some(setting) = name.strip_prefix("options[").and_then(|rest| rest.strip_suffix(']')) {
                parameters.settings.push((setting.to_owned(), value));
                continue;
            }
            let (name, support) = find_parameter(position, &name)?;
            match support {
                Used => drop(parameters.values.insert(name, value)),
                Ignored => {}
                Restricted(values, _) if values.iter().any(|accepted| accepted.eq_ignore_ascii_case(&value)) => {}
                Restricted(_, expected) => return Err(InvalidDatabaseUrl::InvalidValue { name, expected }),
                Rejected(remedy) => return Err(InvalidDatabaseUrl::UnsupportedParameter { name, remedy }),
            }
        }
        Ok(parameters)
    }

    /// Returns the value of a parameter, or `None` if it is missing or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns the value of a parameter, or else of the environment variable that libpq reads for
    /// it.
    pub(super) fn get_or_env(&self, name: &str, variable: &str) -> Option<String> {
        let value = self.get(name).map(str::to_owned);
        value.or_else(|| std::env::var(variable).ok().filter(|value| !value.is_empty()))
    }
}

fn find_parameter(position: usize, name: &str) -> Result<(&'static str, ParameterSupport), InvalidDatabaseUrl> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, canonical)| canonical);
    if let Some(&known) = PARAMETERS.iter().find(|(known, _)| *known == name) {
        return Ok(known);
    }
    if SCHEMA_PARAMETERS.iter().any(|schema| schema.eq_ignore_ascii_case(name)) {
        return Err(InvalidDatabaseUrl::SearchPath);
    }
    let known = PARAMETERS.iter().filter(|(_, support)| !matches!(support, Rejected(_))).map(|(known, _)| *known);
    Err(InvalidDatabaseUrl::UnknownParameter { position, nearest: nearest_name(name, known) })
}

/// Returns the known name that is most similar to `name`.
pub(super) fn nearest_name(name: &str, known: impl Iterator<Item = &'static str>) -> &'static str {
    let similarity = |known: &str| strsim::jaro_winkler(&name.to_ascii_lowercase(), known);
    known.max_by(|a, b| similarity(a).total_cmp(&similarity(b))).unwrap_or("host")
}
