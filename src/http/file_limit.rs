//! Connection limits derived from the operating system's limit on open files.
//!
//! Each connection is an open file. Files are reserved for database connections, so that clients
//! cannot use them up.

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Open files reserved for everything except client and database connections: listeners, log,
/// timers, SQLite and its write-ahead log, backups, webhooks.
const RESERVED_FILES: usize = 64;
/// Open files reserved for each connection of `database.max_connections`. The secondary pools and
/// the files of SQLite need at most this many.
const FILES_PER_DATABASE_CONNECTION: usize = 4;
/// The minimum number of client connections with which the service starts.
const MIN_CONNECTIONS: usize = 32;
/// Limits of the gRPC port. One gRPC connection carries many concurrent checks.
const GRPC_LIMITS: ConnectionLimits = ConnectionLimits { total: 1_024, per_ip: 256 };
/// Limits of the metrics port.
const METRICS_LIMITS: ConnectionLimits = ConnectionLimits { total: 32, per_ip: 8 };

/// The maximum number of connections in total and per client address; 0: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionLimits {
    pub(crate) total: usize,
    pub(crate) per_ip: usize,
}

impl ConnectionLimits {
    /// Returns these limits reduced to `room` connections. One address may hold at most a quarter.
    fn clamp_to(self, room: usize) -> Self {
        let total = if self.total == 0 { room } else { self.total.min(room) };
        let per_ip = if self.per_ip == 0 { 0 } else { self.per_ip.min((total / 4).max(1)) };
        Self { total, per_ip }
    }
}

/// The connection limits of each port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionBudget {
    pub(crate) http: ConnectionLimits,
    pub(crate) grpc: ConnectionLimits,
    pub(crate) metrics: ConnectionLimits,
}

/// Raises the soft limit on open files to the hard limit.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!(%error, soft = limit.current, hard = limit.maximum, "failed to raise the limit on open files");
    }
}

impl ConnectionBudget {
    /// Computes the limits from the process's limit on open files. Logs limits below the
    /// configuration.
    ///
    /// # Errors
    /// If the limit leaves no room for connections.
    pub(crate) fn from_process_limit(config: &Config) -> anyhow::Result<Self> {
        let limit = getrlimit(Resource::Nofile)
            .current
            .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let budget = Self::from_file_limit(limit, config).context("cannot serve")?;
        let configured = config.http.max_connections;
        let effective = budget.http.total;
        if configured > effective {
            tracing::warn!(
                configured,
                effective,
                per_address = budget.http.per_ip,
                open_files = limit,
                "lowered http.max_connections to the limit on open files; raise that limit (ulimit -n, LimitNOFILE)"
            );
        }
        Ok(budget)
    }

    /// Computes the limits for a limit on open files.
    fn from_file_limit(limit: usize, config: &Config) -> anyhow::Result<Self> {
        let database = usize::try_from(config.database.max_connections).unwrap_or(usize::MAX);
        let reserve = database.saturating_mul(FILES_PER_DATABASE_CONNECTION).saturating_add(RESERVED_FILES);
        let needed = reserve.saturating_add(MIN_CONNECTIONS);
        ensure!(
            limit >= needed,
            "the limit on open files is {limit}; the service needs at least {needed}: raise the limit (ulimit -n, \
             LimitNOFILE) or lower database.max_connections"
        );
        let room = limit - reserve;
        let none = ConnectionLimits { total: 0, per_ip: 0 };
        let metrics = if config.listen.metrics.is_some() { METRICS_LIMITS.clamp_to(room / 8) } else { none };
        let grpc = if config.listen.ext_authz.is_some() {
            let per_ip = if config.http.max_connections_per_ip == 0 { 0 } else { GRPC_LIMITS.per_ip };
            ConnectionLimits { per_ip, ..GRPC_LIMITS }.clamp_to(room / 4)
        } else {
            none
        };
        let http = ConnectionLimits { total: config.http.max_connections, per_ip: config.http.max_connections_per_ip };
        Ok(Self { http: http.clamp_to(room - metrics.total - grpc.total), grpc, metrics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::default();
        change(&mut config);
        config
    }

    #[test]
    fn connection_limits_fit_the_open_file_limit() {
        let every_port = config(|config| {
            config.listen.ext_authz = Some(([127, 0, 0, 1], 0).into());
            config.listen.metrics = Some(([127, 0, 0, 1], 0).into());
        });
        for limit in [128, 129, 200, 256, 1_024, 4_096, 20_000, 1_048_576, usize::MAX] {
            let budget = ConnectionBudget::from_file_limit(limit, &every_port).unwrap();
            let ConnectionBudget { http, grpc, metrics } = budget;
            let reserve = 64 + 4 * 8;
            assert!(http.total + grpc.total + metrics.total + reserve <= limit, "{limit}: {budget:?}");
            assert!(http.total <= 8_192 && grpc.total <= 1_024 && metrics.total <= 32, "{limit}: {budget:?}");
            for limits in [http, grpc, metrics] {
                assert!(limits.per_ip >= 1 && 4 * limits.per_ip <= limits.total.max(4), "{limit}: {budget:?}");
            }
        }
        let roomy = ConnectionBudget::from_file_limit(20_000, &every_port).unwrap();
        assert_eq!(
            roomy.http,
            ConnectionLimits { total: 8_192, per_ip: 512 },
            "configured limits apply where there is room"
        );
        let tight = ConnectionBudget::from_file_limit(1_024, &Config::default()).unwrap();
        assert_eq!(tight.http, ConnectionLimits { total: 928, per_ip: 232 });
    }

    #[test]
    fn configured_limits_are_never_raised() {
        let small = config(|config| (config.http.max_connections, config.http.max_connections_per_ip) = (100, 3));
        assert_eq!(
            ConnectionBudget::from_file_limit(1_024, &small).unwrap().http,
            ConnectionLimits { total: 100, per_ip: 3 }
        );
        let unlimited = config(|config| (config.http.max_connections, config.http.max_connections_per_ip) = (0, 0));
        assert_eq!(
            ConnectionBudget::from_file_limit(1_024, &unlimited).unwrap().http,
            ConnectionLimits { total: 928, per_ip: 0 },
            "no limit except the open files"
        );
    }

    #[test]
    fn a_file_limit_without_room_for_connections_is_an_error() {
        let error = ConnectionBudget::from_file_limit(127, &Config::default()).unwrap_err().to_string();
        assert!(error.contains("is 127") && error.contains("at least 128"), "{error}");
        let many = config(|config| config.database.max_connections = 1_000);
        assert!(
            ConnectionBudget::from_file_limit(4_095, &many).is_err()
                && ConnectionBudget::from_file_limit(4_096, &many).is_ok()
        );
    }
}
