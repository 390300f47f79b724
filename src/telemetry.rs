//! Logging: text on a terminal, JSON otherwise, filtered by `RUST_LOG`.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::LogFormat;

/// Initializes logging to standard error.
///
/// # Errors
/// If `RUST_LOG` is invalid.
pub fn init_logging(format: LogFormat) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(text)?,
        _ => EnvFilter::new("info"),
    };
    let is_terminal = std::io::stderr().is_terminal();
    let as_text = match format {
        LogFormat::Auto => is_terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(|| Stderr);
    let registry = tracing_subscriber::registry().with(filter);
    if as_text {
        registry.with(layer.with_ansi(is_terminal).with_target(false)).init();
    } else {
        registry.with(layer.json().flatten_event(true).with_current_span(true).with_span_list(false)).init();
    }
    Ok(())
}

/// Standard error that ignores write errors: the service continues when the program that reads its
/// log has ended.
struct Stderr;

impl io::Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(bytes).ok();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints a line for people to standard error, outside the log. Write errors are ignored.
pub(crate) fn print_notice(line: fmt::Arguments<'_>) {
    writeln!(Stderr, "{line}").ok();
}

/// Limits the log lines per second that clients can cause. Clones share one state.
#[derive(Clone, Debug)]
pub(crate) struct LogBudget(Arc<BudgetState>);

#[derive(Debug)]
struct BudgetState {
    /// The maximum number of lines per second; 0: no limit.
    per_second: u32,
    started: Instant,
    /// Upper half: the current second since `started`. Lower half: the lines requested in it.
    window: AtomicU64,
}

impl LogBudget {
    /// Creates a budget; 0 means no limit.
    pub(crate) fn new(per_second: u32) -> Self {
        Self(Arc::new(BudgetState { per_second, started: Instant::now(), window: AtomicU64::new(0) }))
    }

    /// Returns whether a line may be written.
    pub(crate) fn try_acquire(&self) -> bool {
        if self.0.per_second == 0 {
            return true;
        }
        let counts = self.add(1);
        self.report_dropped(counts);
        counts.current < u64::from(self.0.per_second)
    }

    /// Logs the number of dropped lines once per second, if there are any.
    pub(crate) async fn report_every_second(self) {
        let mut timer = tokio::time::interval(Duration::from_secs(1));
        loop {
            timer.tick().await;
            self.report_dropped(self.add(0));
        }
    }

    /// Logs the number of lines dropped in the current second. Called during shutdown, after the
    /// last line.
    pub(crate) fn report_remaining(&self) {
        let requested = self.0.window.swap(0, Ordering::Relaxed) & u64::from(u32::MAX);
        self.report_dropped(WindowCounts { current: 0, previous: requested });
    }

    /// Adds to the count of the current second. Returns its previous count or, for the first line
    /// of a second, the total of the second before.
    fn add(&self, lines: u64) -> WindowCounts {
        let second = self.0.started.elapsed().as_secs() << 32;
        let next = |window: u64| {
            let requested = if window >> 32 << 32 == second { window & u64::from(u32::MAX) } else { 0 };
            second | (requested + lines).min(u64::from(u32::MAX))
        };
        let updated = self.0.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |window| Some(next(window)));
        let window = updated.unwrap_or_else(|window| window);
        let requested = window & u64::from(u32::MAX);
        let is_same_second = window >> 32 << 32 == second;
        if is_same_second {
            WindowCounts { current: requested, previous: 0 }
        } else {
            WindowCounts { current: 0, previous: requested }
        }
    }

    /// Logs the number of lines over the limit in the previous second.
    fn report_dropped(&self, counts: WindowCounts) {
        let dropped = counts.previous.saturating_sub(u64::from(self.0.per_second));
        if self.0.per_second > 0 && dropped > 0 {
            tracing::warn!(dropped, "dropped log lines of denied auth checks over log.denied_auth_checks_per_second");
        }
    }
}

/// Requested lines: before this one in the current second, and in the previous second if this is
/// the first line of a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WindowCounts {
    current: u64,
    previous: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_over_the_limit_are_dropped_and_reported_once() {
        let budget = LogBudget::new(3);
        for _ in 0..2 {
            let accepted = (0..1_000).filter(|_| budget.try_acquire()).count();
            assert_eq!(accepted, 3);
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(budget.add(0), WindowCounts { current: 0, previous: 1_000 });
            assert_eq!(budget.add(0), WindowCounts { current: 0, previous: 0 }, "once");
        }
        assert!(budget.try_acquire());
        let unlimited = LogBudget::new(0);
        assert!((0..1_000).all(|_| unlimited.try_acquire()));
    }
}
