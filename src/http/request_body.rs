//! Request bodies: read completely, within limits of size and time.

use std::{task::Poll, time::Duration};

use axum::body::{Bytes, HttpBody};
use http_body_util::BodyExt as _;

use super::error::{ApiError, BODY_LIMIT};

/// The number of bytes of an oversized body that are read and discarded. A client that is
/// disconnected while it sends never receives the response.
const MAX_DISCARDED_BYTES: usize = 8 * 1024 * 1024;

/// Reads a whole body within `limit`. A body that is announced as too large gets a fifth of the
/// time.
///
/// # Errors
/// [`ApiError::BodyTooLarge`] over [`BODY_LIMIT`]; [`ApiError::BadRequest`] if the body is
/// incomplete or late.
pub(crate) async fn read_body<B: HttpBody<Data = Bytes> + Unpin>(body: B, limit: Duration) -> Result<Bytes, ApiError> {
    let is_large = body.size_hint().lower() > BODY_LIMIT as u64;
    let timeout = if is_large { limit / 5 } else { limit };
    match with_timeout(timeout, collect_body(body)).await {
        Some(bytes) => bytes,
        None if is_large => Err(ApiError::BodyTooLarge),
        None => Err(ApiError::BadRequest("The body did not arrive within the time limit.".to_owned())),
    }
}

/// Runs `work` with a time limit; `None` if it is exceeded. Most work completes on the first poll,
/// without a timer.
pub(crate) async fn with_timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    match std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        Poll::Ready(output) => Some(output),
        Poll::Pending => tokio::time::timeout(limit, work).await.ok(),
    }
}

/// Collects the frames of a body; reads and discards the excess of an oversized one.
async fn collect_body<B: HttpBody<Data = Bytes> + Unpin>(mut body: B) -> Result<Bytes, ApiError> {
    // Most bodies arrive in one frame, which is not copied.
    let mut first = Bytes::new();
    let mut joined = Vec::new();
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(ApiError::BadRequest("The connection closed before the end of the body.".to_owned()));
        };
        let Ok(data) = frame.into_data() else { continue };
        received += data.len();
        if received > MAX_DISCARDED_BYTES {
            break;
        }
        if received == data.len() {
            first = data;
        } else if received <= BODY_LIMIT {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&data);
        }
    }
    if received > BODY_LIMIT {
        Err(ApiError::BodyTooLarge)
    } else if joined.is_empty() {
        Ok(first)
    } else {
        Ok(joined.into())
    }
}
