//! Logging: text on a terminal, JSON otherwise, filtered by `RUST_LOG`.

mod log_line;

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tracing_subscriber::{
    EnvFilter, filter::Directive, fmt::format::JsonFields, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{config::LogFormat, domain::causes::Causes};
use log_line::{LogLine, TextStyle};

/// The format of the log, once it is initialized.
static LOG_LINE: OnceLock<LogLine> = OnceLock::new();

/// Initializes logging to standard error.
///
/// # Errors
/// If `RUST_LOG` is invalid.
pub fn init_logging(format: LogFormat) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => parse_filter(&text)?,
        _ => EnvFilter::new("info"),
    };
    let is_terminal = io::stderr().is_terminal();
    let line = match format {
        LogFormat::Json => LogLine::Json,
        LogFormat::Auto if !is_terminal => LogLine::Json,
        LogFormat::Auto | LogFormat::Text => {
            LogLine::Text(TextStyle { is_terminal, has_colors: is_terminal && are_colors_wanted() })
        }
    };
    let line = *LOG_LINE.get_or_init(|| line);
    let layer =
        tracing_subscriber::fmt::layer().with_writer(|| Stderr).fmt_fields(JsonFields::new()).event_format(line);
    tracing_subscriber::registry().with(filter).with(layer).init();
    if line == LogLine::Json {
        // The default hook writes text.
        std::panic::set_hook(Box::new(|panic| {
            tracing::error!(panic = %panic.to_string(), "a thread panicked");
        }));
    }
    Ok(())
}

/// Parses the value of `RUST_LOG`.
fn parse_filter(text: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(text).map_err(|_| {
        let invalid = text.split(',').find(|part| !part.is_empty() && part.parse::<Directive>().is_err());
        anyhow::anyhow!(
            "environment variable RUST_LOG: {:?} is not a directive; write a level (error, warn, info, debug, trace or \
             off) or TARGET=LEVEL, for example RUST_LOG=info,sqlx=debug",
            invalid.unwrap_or(text)
        )
    })
}

/// Returns whether the environment allows colors (<https://no-color.org>).
fn are_colors_wanted() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Returns whether a person reads the log: it is text on a terminal.
pub(crate) fn is_interactive() -> bool {
    matches!(LOG_LINE.get(), Some(LogLine::Text(style)) if style.is_terminal)
}

/// Reports why the program ends with a failure: as a log line if the log is JSON, otherwise as text.
/// Write errors are ignored, because standard error may be closed.
pub fn report_failure(error: &anyhow::Error) {
    let causes = Causes(error.as_ref());
    if LOG_LINE.get() == Some(&LogLine::Json) {
        tracing::error!(error = %causes, "failed");
    } else {
        print_notice(format_args!("tokenward: {causes}"));
    }
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
