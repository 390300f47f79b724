//! The disk is full (P28): what would be written is 503, checks go on, and all is well again when there is room.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tokio::task::block_in_place;

use super::{
    Token, acknowledged_writes::Ledger, check, client, crash::integrity, delete, make, times, within, writes_within,
};
use crate::{
    cluster::administer,
    support::{
        binary::{Running, command},
        postgres::Server,
    },
};

/// A file system of its own in memory, until this is dropped.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn of(mebibytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mut mount = as_root("mount");
        let done = mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        assert!(
            done.is_ok_and(|done| done.success()),
            "this test mounts a small tmpfs, for which it must be root or sudo"
        );
        Self { folder }
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.filler()).unwrap();
        let mut size = 1 << 20;
        while size > 0 {
            if file.write_all(&vec![0; size]).is_err() {
                size /= 2;
            }
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        as_root("umount").arg("--lazy").arg(self.folder.path()).status().ok();
    }
}

fn as_root(program: &str) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", program]);
    sudo
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_sqlite_stops_writes_alone() {
    let disk = Disk::of(8);
    let file = disk.folder.path().join("tokenward.db");
    let url = format!("sqlite:{}", file.display());
    let running = Running::start(&url);
    let ledger = fill_and_mend("Sqlite", &disk, &running).await;
    running.signal("KILL");
    running.wait();
    // What was acknowledged is in the file, not just in the memory of the process that acknowledged it.
    let running = Running::start(&url);
    ledger.verify(&running.url).await;
    running.signal("TERM");
    let (code, log) = running.wait();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(integrity(Path::new(&file)).await, "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_postgres_stops_writes_alone() {
    let disk = Disk::of(160);
    // The journal is made at once, so that it is the tables that find no room.
    let settings = ["max_wal_size=32MB", "min_wal_size=32MB", "autovacuum=off"];
    let server = block_in_place(|| Server::durable_with(&settings, Some(disk.folder.path())));
    administer(server.port, "postgres", "create database tokenward").await;
    let running = Running::start_with(command(&Server::url_by(server.port, "tokenward")));
    // The journal has a whole segment before it, which is made while there is room: without one PostgreSQL itself would end.
    administer(server.port, "postgres", "select pg_switch_wal()").await;
    administer(server.port, "postgres", "checkpoint").await;
    fill_and_mend("Postgres", &disk, &running).await;
}

async fn fill_and_mend(engine: &str, disk: &Disk, running: &Running) -> Ledger {
    let (http, url) = (client(), &running.url);
    let admin = Token::made_by(running).await;
    let mut ledger = Ledger::default();
    for n in 0..40 {
        let token = make(&http, url, &admin).await.unwrap().1.unwrap();
        ledger.made.insert(token.clone());
        if n % 2 == 0 {
            assert_eq!(delete(&http, url, &token).await, Some(204));
            ledger.deleted.insert(token);
        }
    }
    disk.fill();
    let (mut written, mut refused) = (0, 0);
    // What was set aside before is used up first.
    while refused < times(20, 200) {
        match make(&http, url, &admin).await {
            Some((201, Some(token))) => {
                written += 1;
                ledger.made.insert(token);
            }
            Some((503, _)) => refused += 1,
            other => panic!("{other:?}"),
        }
        assert!(written < 2_000, "the disk is full, and writes are acknowledged all the same");
    }
    let rounds = times(3, 100);
    for _ in 0..rounds {
        ledger.verify(url).await;
        assert_eq!(check(&http, url, "twd_nonsense").await, Some(401));
    }
    let checks = rounds * (ledger.acknowledged() + 1);
    disk.make_room();
    let back = writes_within(Duration::from_secs(60), url, &admin).await;
    let gone = ledger.good().next().unwrap().clone();
    let is_gone = || async { delete(&http, url, &gone).await == Some(204) };
    within(Duration::from_secs(60), "deletions", is_gone).await;
    ledger.deleted.insert(gone);
    ledger.verify(url).await;
    println!(
        "P28 {engine}: disk full, {written} writes went on in room set aside, {refused} answered 503, {checks} checks, 0 wrong, \
         writes again after {back:.1?} without a restart"
    );
    ledger
}
