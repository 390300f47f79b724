//! What was counted, fault by fault, and whether it is as promised.

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

use super::revocations::Act;

/// Numbers of one kind of fault.
#[derive(Debug, Default)]
pub struct Tally {
    /// Acts that were answered with success, by what they were.
    pub acts: BTreeMap<Act, u64>,
    /// Of them, those whose token every node had accepted several times before.
    pub ripe: u64,
    /// Attempts, and preparations of some, that were answered 503 or not at all.
    pub failed: u64,
    /// Attempts after a failed one that found nothing to do any more.
    pub gone: u64,
    pub checks: u64,
    /// Of them, those that began after the right was taken away.
    pub checks_after: u64,
    pub stale: u64,
    pub false_refusals: u64,
    pub unavailable: u64,
    pub broken: u64,
    pub odd: u64,
    /// How long deletions of tokens took that were sent during the fault.
    pub deletions: Vec<Duration>,
    /// What should not have been, the first of it in words.
    pub wrong: Vec<String>,
}

impl Tally {
    pub fn tell(&mut self, what: String) {
        if self.wrong.len() < 10 {
            self.wrong.push(what);
        }
    }

    pub fn acts(&self) -> u64 {
        self.acts.values().sum()
    }

    fn add(&mut self, other: &Self) {
        for (act, times) in &other.acts {
            *self.acts.entry(*act).or_default() += times;
        }
        self.ripe += other.ripe;
        self.failed += other.failed;
        self.gone += other.gone;
        self.checks += other.checks;
        self.checks_after += other.checks_after;
        self.stale += other.stale;
        self.false_refusals += other.false_refusals;
        self.unavailable += other.unavailable;
        self.broken += other.broken;
        self.odd += other.odd;
        self.deletions.extend(&other.deletions);
        self.wrong.extend(other.wrong.iter().cloned());
    }

    /// The answer time of a deletion that this share of them did not exceed.
    fn deletion(&self, share: f64) -> String {
        let mut times = self.deletions.clone();
        times.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index, rounded up")]
        let rank = (times.len() as f64 * share).ceil() as usize;
        match times.get(rank.saturating_sub(1)) {
            Some(time) => format!("{:.1}", time.as_secs_f64() * 1_000.0),
            None => "-".to_owned(),
        }
    }
}

/// The tallies of all faults, and which of them is being made.
#[derive(Debug)]
pub struct Record {
    rows: Mutex<Vec<(&'static str, Tally)>>,
    /// The row that is being counted in.
    current: AtomicUsize,
    is_faulty: AtomicBool,
    acts: watch::Sender<u64>,
}

impl Record {
    pub fn new() -> Self {
        Self {
            rows: Mutex::default(),
            current: AtomicUsize::new(0),
            is_faulty: AtomicBool::new(false),
            acts: watch::Sender::new(0),
        }
    }

    /// From here on everything counts for this fault.
    pub fn begin(&self, fault: &'static str) {
        let mut rows = self.rows();
        let known = rows.iter().position(|(name, _)| *name == fault);
        self.current.store(known.unwrap_or(rows.len()), Ordering::SeqCst);
        if known.is_none() {
            rows.push((fault, Tally::default()));
        }
        self.is_faulty.store(true, Ordering::SeqCst);
    }

    /// The fault is over and everything works again.
    pub fn recovered(&self) {
        self.is_faulty.store(false, Ordering::SeqCst);
    }

    pub fn is_faulty(&self) -> bool {
        self.is_faulty.load(Ordering::SeqCst)
    }

    pub fn count(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.rows()[self.current.load(Ordering::SeqCst)].1);
    }

    pub fn count_act(&self, act: Act, was_ripe: bool, deletion: Option<Duration>) {
        self.count(|tally| {
            *tally.acts.entry(act).or_default() += 1;
            tally.ripe += u64::from(was_ripe);
            tally.deletions.extend(deletion);
        });
        self.acts.send_modify(|acts| *acts += 1);
    }

    /// Completes when so many more acts have succeeded.
    pub async fn acts_go_on(&self, more: u64) {
        let mut acts = self.acts.subscribe();
        let enough = *acts.borrow() + more;
        acts.wait_for(|acts| *acts >= enough).await.unwrap();
    }

    /// Whether enough was done to prove anything. How much is done in a given time depends on the machine, so this is waited for.
    pub fn is_enough(&self) -> bool {
        let mut all = Tally::default();
        self.rows().iter().for_each(|(_, tally)| all.add(tally));
        all.acts() >= 200 && all.acts.len() == Act::TURNS.len() && all.ripe >= 70 && all.checks >= 5_000
    }

    /// Holds what was counted against what is promised.
    pub fn verify(&self) {
        let rows = self.rows();
        let mut all = Tally::default();
        for (fault, tally) in rows.iter() {
            assert!(
                tally.acts() >= 10 && tally.checks > 0,
                "{fault}: ten acts were waited for, and checks of each right"
            );
            all.add(tally);
        }
        assert_eq!((all.stale, all.false_refusals, all.odd), (0, 0, 0), "\n{}", all.wrong.join("\n"));
        // After each act every node is asked by two doors at least.
        assert!(all.checks_after >= all.acts() * 6, "too few checks after the answer: {}", all.checks_after);
    }

    fn rows(&self) -> MutexGuard<'_, Vec<(&'static str, Tally)>> {
        self.rows.lock().unwrap()
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let mut all = Tally::default();
        writeln!(
            f,
            "{:<36}{:>6}{:>6}{:>7}{:>6}{:>8}{:>8}{:>6}{:>6}{:>6}{:>7}{:>5}   delete: median, p99 ms",
            "", "acts", "ripe", "failed", "gone", "checks", "after", "stale", "false", "503", "broken", "odd"
        )?;
        for (fault, tally) in rows.iter() {
            write_row(f, fault, tally)?;
            all.add(tally);
        }
        write_row(f, "all", &all)?;
        writeln!(f, "{:?}", all.acts)
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, tally: &Tally) -> fmt::Result {
    writeln!(
        f,
        "{name:<36}{:>6}{:>6}{:>7}{:>6}{:>8}{:>8}{:>6}{:>6}{:>6}{:>7}{:>5}   {:>8} {:>8}  of {}",
        tally.acts(),
        tally.ripe,
        tally.failed,
        tally.gone,
        tally.checks,
        tally.checks_after,
        tally.stale,
        tally.false_refusals,
        tally.unavailable,
        tally.broken,
        tally.odd,
        tally.deletion(0.5),
        tally.deletion(0.99),
        tally.deletions.len()
    )
}
