//! The open files that the operating system allows the process, and how many of them connections may take. Each connection is an open
//! file; so are the connections of the database, which must stay possible however many clients there are.

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Open files kept for everything but connections of clients: listeners, the log, timers, SQLite and its write-ahead log, backups,
/// webhooks.
const OWN_FILES: usize = 64;
/// Open files kept for each connection of `database.max_connections`: pools beside the main one and SQLite's files have as many at most.
const FILES_PER_DATABASE_CONNECTION: usize = 4;
/// The fewest connections of clients that a service starts with.
const FEWEST_CONNECTIONS: usize = 32;
/// Most connections of the gRPC port, and of one address there. A connection of gRPC carries many checks at once.
const GRPC: Cap = Cap { all: 1_024, of_one: 256 };
/// Most connections of the metrics port, and of one address there.
const METRICS: Cap = Cap { all: 32, of_one: 8 };

/// Most connections in all and of one address; 0: any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cap {
    pub(crate) all: usize,
    pub(crate) of_one: usize,
}

impl Cap {
    /// The cap that at most `room` connections leave of this one. Two addresses may take half of it at most.
    fn within(self, room: usize) -> Self {
        let all = if self.all == 0 { room } else { self.all.min(room) };
        let of_one = if self.of_one == 0 { 0 } else { self.of_one.min((all / 4).max(1)) };
        Self { all, of_one }
    }
}

/// How many connections each port may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileBudget {
    pub(crate) http: Cap,
    pub(crate) grpc: Cap,
    pub(crate) metrics: Cap,
}

/// Raises the soft limit on open files to the hard limit.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!(%error, soft = limit.current, hard = limit.maximum, "cannot raise the limit on open files");
    }
}

impl FileBudget {
    /// The budget under the limit in force. Logs what was lowered.
    ///
    /// # Errors
    /// A limit that leaves no room for connections.
    pub(crate) fn in_force(config: &Config) -> anyhow::Result<Self> {
        let limit = getrlimit(Resource::Nofile)
            .current
            .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let budget = Self::within(limit, config).context("cannot serve")?;
        let (configured, in_force) = (config.http.connections, budget.http.all);
        if configured > in_force {
            tracing::warn!(
                configured,
                in_force,
                per_address = budget.http.of_one,
                open_files = limit,
                "lowered http.connections to what the limit on open files allows; raise that limit (ulimit -n, LimitNOFILE)"
            );
        }
        Ok(budget)
    }

    fn within(limit: usize, config: &Config) -> anyhow::Result<Self> {
        let database = usize::try_from(config.database.max_connections).unwrap_or(usize::MAX);
        let reserve = database.saturating_mul(FILES_PER_DATABASE_CONNECTION).saturating_add(OWN_FILES);
        let needed = reserve.saturating_add(FEWEST_CONNECTIONS);
        ensure!(
            limit >= needed,
            "the limit on open files is {limit}; the service needs at least {needed} (ulimit -n, LimitNOFILE), or fewer \
             database.max_connections"
        );
        let room = limit - reserve;
        let none = Cap { all: 0, of_one: 0 };
        let metrics = if config.listen.metrics.is_some() { METRICS.within(room / 8) } else { none };
        let grpc = if config.listen.ext_authz.is_some() {
            let of_one = if config.http.connections_per_address == 0 { 0 } else { GRPC.of_one };
            Cap { of_one, ..GRPC }.within(room / 4)
        } else {
            none
        };
        let http = Cap { all: config.http.connections, of_one: config.http.connections_per_address };
        Ok(Self { http: http.within(room - metrics.all - grpc.all), grpc, metrics })
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
    fn connections_follow_the_limit_on_open_files() {
        let every_port = config(|config| {
            config.listen.ext_authz = Some(([127, 0, 0, 1], 0).into());
            config.listen.metrics = Some(([127, 0, 0, 1], 0).into());
        });
        for limit in [128, 129, 200, 256, 1_024, 4_096, 20_000, 1_048_576, usize::MAX] {
            let budget = FileBudget::within(limit, &every_port).unwrap();
            let FileBudget { http, grpc, metrics } = budget;
            let reserve = 64 + 4 * 8;
            assert!(http.all + grpc.all + metrics.all + reserve <= limit, "{limit}: {budget:?}");
            assert!(http.all <= 8_192 && grpc.all <= 1_024 && metrics.all <= 32, "{limit}: {budget:?}");
            for cap in [http, grpc, metrics] {
                assert!(cap.of_one >= 1 && 4 * cap.of_one <= cap.all.max(4), "{limit}: {budget:?}");
            }
        }
        let roomy = FileBudget::within(20_000, &every_port).unwrap();
        assert_eq!(roomy.http, Cap { all: 8_192, of_one: 512 }, "what was configured holds where there is room");
        let tight = FileBudget::within(1_024, &Config::default()).unwrap();
        assert_eq!(tight.http, Cap { all: 928, of_one: 232 });
    }

    #[test]
    fn what_the_operator_set_is_never_raised() {
        let small = config(|config| (config.http.connections, config.http.connections_per_address) = (100, 3));
        assert_eq!(FileBudget::within(1_024, &small).unwrap().http, Cap { all: 100, of_one: 3 });
        let any = config(|config| (config.http.connections, config.http.connections_per_address) = (0, 0));
        assert_eq!(
            FileBudget::within(1_024, &any).unwrap().http,
            Cap { all: 928, of_one: 0 },
            "any number, of the files there are"
        );
    }

    #[test]
    fn a_limit_without_room_for_connections_is_an_error_that_names_what_is_needed() {
        let error = FileBudget::within(127, &Config::default()).unwrap_err().to_string();
        assert!(error.contains("is 127") && error.contains("at least 128"), "{error}");
        let many = config(|config| config.database.max_connections = 1_000);
        assert!(FileBudget::within(4_095, &many).is_err() && FileBudget::within(4_096, &many).is_ok());
    }
}
