//! The results of the linearizability test, counted per fault, and their verification.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use super::revocations::Revocation;

/// The results for one kind of fault.
#[derive(Debug, Default)]
pub struct Tally {
    /// Successful revocations by kind.
    pub revocations: BTreeMap<Revocation, u64>,
    /// Those of them whose token every node had in its cache.
    pub cached: u64,
    /// Revocations and creations of grants that failed with 503 or without a response.
    pub failed: u64,
    /// Repeated revocations that found nothing to revoke.
    pub not_found: u64,
    pub checks: u64,
    /// Those of them that started after the revocation took effect.
    pub checks_after_revocation: u64,
    pub stale_accepts: u64,
    pub false_rejections: u64,
    pub unavailable: u64,
    pub no_response: u64,
    pub unexpected: u64,
    /// Response times of token deletions during the fault.
    pub deletion_times: Vec<Duration>,
    /// Descriptions of the first violations.
    pub violations: Vec<String>,
}

impl Tally {
    pub fn add_violation(&mut self, description: String) {
        if self.violations.len() < 10 {
            self.violations.push(description);
        }
    }

    pub fn revocation_count(&self) -> u64 {
        self.revocations.values().sum()
    }

    fn merge(&mut self, other: &Self) {
        for (revocation, count) in &other.revocations {
            *self.revocations.entry(*revocation).or_default() += count;
        }
        self.cached += other.cached;
        self.failed += other.failed;
        self.not_found += other.not_found;
        self.checks += other.checks;
        self.checks_after_revocation += other.checks_after_revocation;
        self.stale_accepts += other.stale_accepts;
        self.false_rejections += other.false_rejections;
        self.unavailable += other.unavailable;
        self.no_response += other.no_response;
        self.unexpected += other.unexpected;
        self.deletion_times.extend(&other.deletion_times);
        self.violations.extend(other.violations.iter().cloned());
    }

    /// Returns a percentile of the deletion times in milliseconds.
    fn deletion_percentile(&self, share: f64) -> String {
        let mut times = self.deletion_times.clone();
        times.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index, rounded up")]
        let rank = (times.len() as f64 * share).ceil() as usize;
        match times.get(rank.saturating_sub(1)) {
            Some(time) => format!("{:.1}", time.as_secs_f64() * 1_000.0),
            None => "-".to_owned(),
        }
    }
}

/// The tallies of all faults.
#[derive(Debug)]
pub struct Report {
    rows: Mutex<Vec<(&'static str, Tally)>>,
    /// The index of the row of the current fault.
    current: AtomicUsize,
    is_fault_active: AtomicBool,
    revocations: watch::Sender<u64>,
}

impl Report {
    pub fn new() -> Self {
        Self {
            rows: Mutex::default(),
            current: AtomicUsize::new(0),
            is_fault_active: AtomicBool::new(false),
            revocations: watch::Sender::new(0),
        }
    }

    /// Starts counting for this fault.
    pub fn begin_fault(&self, fault: &'static str) {
        let mut rows = self.rows();
        let existing = rows.iter().position(|(name, _)| *name == fault);
        self.current.store(existing.unwrap_or(rows.len()), Ordering::SeqCst);
        if existing.is_none() {
            rows.push((fault, Tally::default()));
        }
        self.is_fault_active.store(true, Ordering::SeqCst);
    }

    /// Marks the fault as ended and recovered from.
    pub fn end_fault(&self) {
        self.is_fault_active.store(false, Ordering::SeqCst);
    }

    pub fn is_fault_active(&self) -> bool {
        self.is_fault_active.load(Ordering::SeqCst)
    }

    pub fn update(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.rows()[self.current.load(Ordering::SeqCst)].1);
    }

    pub fn record_revocation(&self, revocation: Revocation, was_cached: bool, deletion: Option<Duration>) {
        self.update(|tally| {
            *tally.revocations.entry(revocation).or_default() += 1;
            tally.cached += u64::from(was_cached);
            tally.deletion_times.extend(deletion);
        });
        self.revocations.send_modify(|acts| *acts += 1);
    }

    /// Waits until this many more revocations have succeeded.
    pub async fn wait_for_revocations(&self, more: u64) {
        let mut acts = self.revocations.subscribe();
        let enough = *acts.borrow() + more;
        acts.wait_for(|acts| *acts >= enough).await.unwrap();
    }

    /// Returns whether the results are sufficient for a verdict. The run continues until they are,
    /// because the rate depends on the machine.
    pub fn has_enough_data(&self) -> bool {
        let mut all = Tally::default();
        self.rows().iter().for_each(|(_, tally)| all.merge(tally));
        all.revocation_count() >= 200
            && all.revocations.len() == Revocation::ALL.len()
            && all.cached >= 70
            && all.checks >= 5_000
    }

    /// Asserts that there was no violation, and that there were enough revocations and checks.
    pub fn verify(&self) {
        let rows = self.rows();
        let mut all = Tally::default();
        for (fault, tally) in rows.iter() {
            assert!(tally.revocation_count() >= 10 && tally.checks > 0, "{fault}: too few revocations or checks");
            all.merge(tally);
        }
        assert_eq!(
            (all.stale_accepts, all.false_rejections, all.unexpected),
            (0, 0, 0),
            "\n{}",
            all.violations.join("\n")
        );
        // After each revocation, every node is checked with at least two endpoints.
        assert!(
            all.checks_after_revocation >= all.revocation_count() * 6,
            "too few checks after a revocation: {}",
            all.checks_after_revocation
        );
    }

    fn rows(&self) -> MutexGuard<'_, Vec<(&'static str, Tally)>> {
        self.rows.lock().unwrap()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let mut all = Tally::default();
        writeln!(
            f,
            "{:<36}{:>6}{:>6}{:>7}{:>6}{:>8}{:>8}{:>6}{:>6}{:>6}{:>7}{:>5}   delete: median, p99 ms",
            "", "total", "cached", "failed", "gone", "checks", "after", "stale", "false", "503", "none", "other"
        )?;
        for (fault, tally) in rows.iter() {
            write_row(f, fault, tally)?;
            all.merge(tally);
        }
        write_row(f, "all", &all)?;
        writeln!(f, "{:?}", all.revocations)
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, tally: &Tally) -> fmt::Result {
    writeln!(
        f,
        "{name:<36}{:>6}{:>6}{:>7}{:>6}{:>8}{:>8}{:>6}{:>6}{:>6}{:>7}{:>5}   {:>8} {:>8}  of {}",
        tally.revocation_count(),
        tally.cached,
        tally.failed,
        tally.not_found,
        tally.checks,
        tally.checks_after_revocation,
        tally.stale_accepts,
        tally.false_rejections,
        tally.unavailable,
        tally.no_response,
        tally.unexpected,
        tally.deletion_percentile(0.5),
        tally.deletion_percentile(0.99),
        tally.deletion_times.len()
    )
}
