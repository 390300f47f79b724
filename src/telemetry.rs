//! The log: one line per request, text on a terminal and JSON elsewhere, filtered by `RUST_LOG`.

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

/// Begins to log to standard error.
///
/// # Errors
/// A `RUST_LOG` that cannot be read.
pub fn start(format: LogFormat) -> anyhow::Result<()> {
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
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Stderr);
    let registry = tracing_subscriber::registry().with(filter);
    if as_text {
        registry.with(lines.with_ansi(is_terminal).with_target(false)).init();
    } else {
        registry.with(lines.json().flatten_event(true).with_current_span(true).with_span_list(false)).init();
    }
    Ok(())
}

/// Standard error that may be gone: the service goes on when the program that reads its log has ended.
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

/// Prints a line for people to standard error, if anything reads it. It is no line of the log.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    writeln!(Stderr, "{line}").ok();
}

/// Bounds how many lines a second anybody can have written to the log. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct LineBudget(Arc<Lines>);

#[derive(Debug)]
struct Lines {
    /// 0: any number.
    per_second: u32,
    begun: Instant,
    /// The second since `begun` in the upper half; in the lower one, how many lines were asked for in it.
    asked: AtomicU64,
}

impl LineBudget {
    pub(crate) fn new(per_second: u32) -> Self {
        Self(Arc::new(Lines { per_second, begun: Instant::now(), asked: AtomicU64::new(0) }))
    }

    /// Returns whether a line may be written now.
    pub(crate) fn admit(&self) -> bool {
        if self.0.per_second == 0 {
            return true;
        }
        let before = self.count(1);
        self.report(before);
        before.asked < u64::from(self.0.per_second)
    }

    /// Logs once a second how many lines were left out, if any were.
    pub(crate) async fn summarize(self) {
        let mut timer = tokio::time::interval(Duration::from_secs(1));
        loop {
            timer.tick().await;
            self.report(self.count(0));
        }
    }

    /// Logs how many lines were left out in the second that is not over, when no more will come.
    pub(crate) fn finish(&self) {
        let over = self.0.asked.swap(0, Ordering::Relaxed) & u64::from(u32::MAX);
        self.report(Before { asked: 0, over });
    }

    /// Adds to the count of this second; returns what it was before, and what an earlier second came to that this one takes over from.
    fn count(&self, more: u64) -> Before {
        let second = self.0.begun.elapsed().as_secs() << 32;
        let next = |was: u64| {
            let asked = if was >> 32 << 32 == second { was & u64::from(u32::MAX) } else { 0 };
            second | (asked + more).min(u64::from(u32::MAX))
        };
        let was = self.0.asked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |was| Some(next(was)));
        let was = was.unwrap_or_else(|was| was);
        let (asked, is_same) = (was & u64::from(u32::MAX), was >> 32 << 32 == second);
        if is_same { Before { asked, over: 0 } } else { Before { asked: 0, over: asked } }
    }

    fn report(&self, before: Before) {
        let left_out = before.over.saturating_sub(u64::from(self.0.per_second));
        if self.0.per_second > 0 && left_out > 0 {
            tracing::warn!(left_out, "left out lines about denied checks: more than log.denied_checks_per_second");
        }
    }
}

/// Lines asked for before this one in its second, and in the second before where this one begins a new second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Before {
    asked: u64,
    over: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_lines_are_admitted_a_second_and_those_left_out_are_counted_once() {
        let lines = LineBudget::new(3);
        for _ in 0..2 {
            let admitted = (0..1_000).filter(|_| lines.admit()).count();
            assert_eq!(admitted, 3);
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(lines.count(0), Before { asked: 0, over: 1_000 });
            assert_eq!(lines.count(0), Before { asked: 0, over: 0 }, "once");
        }
        assert!(lines.admit());
        let any = LineBudget::new(0);
        assert!((0..1_000).all(|_| any.admit()));
    }
}
