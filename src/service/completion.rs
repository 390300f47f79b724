//! Work that completes although its client disconnects.

use tracing::{Instrument as _, Span};

/// Runs `work` in its own task, so that it completes although the caller is dropped. Returns `None`
/// if the runtime shuts down first.
///
/// A client that disconnects, or a time limit, drops the future of a request. A future that is
/// dropped between two statements can leave a connection inside a transaction (sqlx 0.9).
///
/// # Panics
/// Resumes a panic of `work`.
pub async fn run_to_completion<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    match tokio::spawn(work.instrument(Span::current())).await {
        Ok(output) => Some(output),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}
