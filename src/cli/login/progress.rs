//! The line that `tokenward login` shows while it waits: animated on a terminal, plain text elsewhere.

use std::{
    io::{self, IsTerminal as _},
    pin::pin,
    time::Duration,
};

use crate::cli::output::write_stderr;

const FRAMES: [&str; 4] = ["|", "/", "-", "\\"];
const FRAME_INTERVAL: Duration = Duration::from_millis(200);
/// Returns to the beginning of the line and clears it.
const CLEAR_LINE: &str = "\r\u{1b}[K";

/// The line on standard error. It is cleared when dropped.
pub(super) struct Progress {
    text: String,
    is_terminal: bool,
    frame: usize,
}

impl Progress {
    /// Shows the text.
    pub(super) fn start(text: String) -> Self {
        let is_terminal = io::stderr().is_terminal();
        if !is_terminal {
            write_stderr(format!("{text}.\n").as_bytes());
        }
        Self { text, is_terminal, frame: 0 }
    }

    /// Waits for a future, and animates the line meanwhile.
    pub(super) async fn wait(&mut self, until: impl Future<Output = ()>) {
        let mut until = pin!(until);
        if !self.is_terminal {
            return until.await;
        }
        loop {
            let frame = FRAMES[self.frame % FRAMES.len()];
            self.frame += 1;
            write_stderr(format!("{CLEAR_LINE}{frame} {}", self.text).as_bytes());
            if tokio::time::timeout(FRAME_INTERVAL, until.as_mut()).await.is_ok() {
                return;
            }
        }
    }

    /// Prints a line of its own.
    pub(super) fn note(&self, line: &str) {
        let clear = if self.is_terminal { CLEAR_LINE } else { "" };
        write_stderr(format!("{clear}{line}\n").as_bytes());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_terminal {
            write_stderr(CLEAR_LINE.as_bytes());
        }
    }
}
