//! The database stops, stalls, resets or refuses, under load (P7): nobody is let in who must not be, no good token is called bad,
//! "not now" comes soon, and all is well again by itself.

use std::time::Duration;

use tokio::{task::block_in_place, time::sleep};

use super::{
    Token,
    acknowledged_writes::Writers,
    checker::{Checkers, Kind},
    client, delete, is_long, make, times, writes_within,
};
use crate::{
    cluster::{
        administer,
        proxy::{Mode, Proxy},
    },
    support::{
        binary::{Running, command},
        postgres::{End, Server},
    },
};

/// What goes wrong between the service and its database.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Stopped,
    Between(Mode),
}

/// The last is much like the first, and left for the long form.
const FAULTS: [Fault; 4] =
    [Fault::Stopped, Fault::Between(Mode::Stall), Fault::Between(Mode::Reset), Fault::Between(Mode::Refuse)];

/// A "not now" comes within this. The short form runs beside other tests, and does not judge how busy they keep the machine.
fn soon() -> Duration {
    Duration::from_secs(if is_long() { 3 } else { 15 })
}

/// After the return of the database all is well within this.
fn whole_within() -> Duration {
    Duration::from_secs(if is_long() { 5 } else { 60 })
}

struct Scene {
    server: Server,
    proxy: Proxy,
    running: Running,
    admin: Token,
    good: Vec<Token>,
    deleted: Vec<Token>,
}

impl Scene {
    async fn set() -> Self {
        let server = block_in_place(Server::durable);
        administer(server.port, "postgres", "create database tokenward").await;
        let proxy = Proxy::before(server.port).await;
        let mut serve = command(&Server::url_by(proxy.port, "tokenward"));
        serve.env("RUST_LOG", "error");
        let running = block_in_place(|| Running::start_with(serve));
        let admin = Token::made_by(&running).await;
        let (http, mut good, mut deleted) = (client(), Vec::new(), Vec::new());
        for n in 0..40 {
            let token = make(&http, &running.url, &admin).await.unwrap().1.unwrap();
            if n % 2 == 0 {
                assert_eq!(delete(&http, &running.url, &token).await, Some(204));
                deleted.push(token);
            } else {
                good.push(token);
            }
        }
        Self { server, proxy, running, admin, good, deleted }
    }

    /// Lasts this long, and until a check was answered 503.
    async fn go_wrong(&mut self, fault: Fault, length: Duration, checkers: &Checkers) {
        let lasts = async {
            sleep(length).await;
            checkers.have_seen_503().await;
        };
        match fault {
            Fault::Stopped => {
                block_in_place(|| self.server.end(End::Immediate));
                lasts.await;
                block_in_place(|| self.server.start_again());
            }
            Fault::Between(mode) => {
                self.proxy.switch(mode);
                lasts.await;
                self.proxy.switch(Mode::Pass);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_the_service_lets_nobody_in_and_calls_nobody_bad() {
    let mut scene = Scene::set().await;
    let length = Duration::from_secs(times(3, 60) as u64);
    for fault in FAULTS.into_iter().take(times(3, 4)) {
        let checkers = Checkers::start(&scene.running.url, &scene.good, &scene.deleted, 8);
        let writers = Writers::start(&scene.running.url, &scene.admin, 2);
        writers.have_done(10).await;
        let before = resident_kib(scene.running.id());
        scene.go_wrong(fault, length, &checkers).await;
        let back = writes_within(whole_within(), &scene.running.url, &scene.admin).await;
        let grown = resident_kib(scene.running.id()).saturating_sub(before);
        let (ledger, seen) = (writers.stop().await, checkers.stop().await);
        seen.expect_closed();
        ledger.verify(&scene.running.url).await;
        println!(
            "P7 Postgres {fault:?}: {} checks, 0 wrong, {} answered 503 after at most {:.1?}; {} of {} writes answered 503 after \
             at most {:.1?}; whole again after {back:.1?}; memory grew by {grown} KiB",
            seen.all(),
            seen.unavailable(),
            seen.slowest_503,
            ledger.refused,
            ledger.acknowledged() + ledger.refused,
            ledger.slowest_refusal,
        );
        assert!(seen.unavailable() > 0 && seen.count(Kind::Good, 200) > 0, "{seen:?}");
        assert!(seen.slowest_503 < soon(), "{:?}", seen.slowest_503);
        assert_eq!(ledger.unanswered, 0);
        // What an outage leaves in memory does not depend on how long it lasts.
        assert!(grown < 64 * 1024, "{grown} KiB more than before");
    }
}

/// How much memory a process has, in KiB.
pub fn resident_kib(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
