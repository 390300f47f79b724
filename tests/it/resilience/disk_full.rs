//! A full disk: writes return 503, checks continue, and writes succeed again when there is space.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tokio::task::block_in_place;

use super::{
    Token, acknowledged_writes::WriteLog, check_token, client, crash::integrity_check, create_token, delete_token,
    iterations, wait_until, wait_until_recovered,
};
use crate::{
    cluster::execute_sql,
    support::{
        binary::{ServerProcess, tokenward_command},
        postgres::PostgresServer,
    },
};

/// A small tmpfs, unmounted when dropped.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(mebibytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mut mount = as_root("mount");
        let status = mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "this test mounts a tmpfs, which requires root or sudo");
        Self { folder }
    }

    /// Fills the file system completely.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.filler()).unwrap();
        let mut size = 1 << 20;
        while size > 0 {
            if file.write_all(&vec![0; size]).is_err() {
                size /= 2;
            }
        }
    }

    fn free_space(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }
}

impl Drop for SmallDisk {
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
async fn a_full_disk_under_sqlite_stops_only_writes() {
    let disk = SmallDisk::mount(8);
    let file = disk.folder.path().join("tokenward.db");
    let url = format!("sqlite:{}", file.display());
    let running = ServerProcess::start(&url);
    let write_log = fill_and_recover("Sqlite", &disk, &running).await;
    running.send_signal("KILL");
    running.wait_for_exit();
    // The acknowledged writes are in the file, not only in the memory of the killed process.
    let running = ServerProcess::start(&url);
    write_log.verify(&running.url).await;
    running.send_signal("TERM");
    let (code, log) = running.wait_for_exit();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(integrity_check(Path::new(&file)).await, "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_postgres_stops_only_writes() {
    let disk = SmallDisk::mount(160);
    // The write-ahead log is allocated first, so that the tables run out of space.
    let settings = ["max_wal_size=32MB", "min_wal_size=32MB", "autovacuum=off"];
    let server = block_in_place(|| PostgresServer::durable_with(&settings, Some(disk.folder.path())));
    execute_sql(server.port, "postgres", "create database tokenward").await;
    let running = ServerProcess::start_with(tokenward_command(&PostgresServer::url_via_port(server.port, "tokenward")));
    // Allocates a whole segment of the write-ahead log while there is space. PostgreSQL stops if it
    // cannot allocate one.
    execute_sql(server.port, "postgres", "select pg_switch_wal()").await;
    execute_sql(server.port, "postgres", "checkpoint").await;
    fill_and_recover("Postgres", &disk, &running).await;
}

async fn fill_and_recover(engine: &str, disk: &SmallDisk, running: &ServerProcess) -> WriteLog {
    let (http, url) = (client(), &running.url);
    let admin = Token::create(running).await;
    let mut write_log = WriteLog::default();
    for n in 0..40 {
        let token = create_token(&http, url, &admin).await.unwrap().1.unwrap();
        write_log.created.insert(token.clone());
        if n % 2 == 0 {
            assert_eq!(delete_token(&http, url, &token).await, Some(204));
            write_log.deleted.insert(token);
        }
    }
    disk.fill();
    let (mut written, mut rejected) = (0, 0);
    // Space that was allocated earlier is used up first.
    while rejected < iterations(20, 200) {
        match create_token(&http, url, &admin).await {
            Some((201, Some(token))) => {
                written += 1;
                write_log.created.insert(token);
            }
            Some((503, _)) => rejected += 1,
            other => panic!("{other:?}"),
        }
        assert!(written < 2_000, "writes are still acknowledged although the disk is full");
    }
    let rounds = iterations(3, 100);
    for _ in 0..rounds {
        write_log.verify(url).await;
        assert_eq!(check_token(&http, url, "twd_nonsense").await, Some(401));
    }
    let checks = rounds * (write_log.acknowledged() + 1);
    disk.free_space();
    let recovery = wait_until_recovered(Duration::from_secs(60), url, &admin).await;
    let deleted = write_log.valid().next().unwrap().clone();
    let is_deleted = || async { delete_token(&http, url, &deleted).await == Some(204) };
    wait_until(Duration::from_secs(60), "deletions", is_deleted).await;
    write_log.deleted.insert(deleted);
    write_log.verify(url).await;
    println!(
        "[measured] disk full, {engine}: {written} writes in space allocated earlier, {rejected} responses with 503, {checks} \
         checks, 0 wrong, writes again after {recovery:.1?} without a restart"
    );
    write_log
}
