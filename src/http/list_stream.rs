//! List responses of any length: the rows are read page by page and written chunk by chunk, so that
//! memory holds at most one page.
//!
//! The first page is read before the response starts, so that an error until then has its own
//! status. A later error aborts the body: the connection is closed without the last chunk, and no
//! client mistakes a part of a list for all of it.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;

use super::ApiError;
use crate::service::{list_pages::Pages, tokens::ReadAccess};

/// The size of a chunk. hyper buffers sixteen chunks for a client that does not read.
const CHUNK_BYTES: usize = 2 * 1024;

/// The format of a list response.
pub(crate) trait ListWriter<P: Pages>: Send + 'static {
    /// The value of `Content-Type`.
    const CONTENT_TYPE: &'static str;

    /// Writes what precedes the rows.
    fn start(&self, buffer: &mut Vec<u8>);

    /// Writes a row.
    fn write_row(&self, row: P::Row, is_first: bool, buffer: &mut Vec<u8>);

    /// Writes what follows the rows, after the last page has been read.
    fn finish(&self, pages: &P, buffer: &mut Vec<u8>);
}

/// Returns a response with the rows of all pages. `access` is checked again before each further page.
///
/// # Errors
/// The error of reading the first page.
pub(crate) async fn respond<P: Pages, W: ListWriter<P>>(
    mut pages: P,
    access: ReadAccess,
    writer: W,
) -> Result<Response, ApiError> {
    let rows = pages.next_page().await?.into_iter();
    let is_complete = pages.is_at_end();
    let mut list = ListStream { pages, access, rows, writer, rows_written: 0, is_started: false, is_finished: false };
    let body = if is_complete {
        let mut buffer = Vec::new();
        while let Some(chunk) = list.next_chunk().await.map_err(|ListAborted| ApiError::Internal)? {
            buffer.extend_from_slice(&chunk);
        }
        Body::from(buffer)
    } else {
        Body::from_stream(stream::try_unfold(list, |mut list| async move {
            let chunk = list.next_chunk().await?;
            Ok::<_, ListAborted>(chunk.map(|chunk| (chunk, list)))
        }))
    };
    let mut response = body.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(W::CONTENT_TYPE));
    Ok(response)
}

/// A list that is being written.
struct ListStream<P: Pages, W> {
    pages: P,
    access: ReadAccess,
    /// The rows of the current page that are not written yet.
    rows: std::vec::IntoIter<P::Row>,
    writer: W,
    rows_written: u64,
    is_started: bool,
    is_finished: bool,
}

/// The error that aborts the body of a list.
#[derive(Debug, thiserror::Error)]
#[error("the list was aborted")]
struct ListAborted;

impl<P: Pages, W: ListWriter<P>> ListStream<P, W> {
    /// Returns the next chunk. `None` after the last one.
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, ListAborted> {
        if self.is_finished {
            return Ok(None);
        }
        let mut buffer = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 2);
        if !self.is_started {
            self.writer.start(&mut buffer);
            self.is_started = true;
        }
        while buffer.len() < CHUNK_BYTES {
            match self.rows.next() {
                Some(row) => {
                    self.writer.write_row(row, self.rows_written == 0, &mut buffer);
                    self.rows_written += 1;
                }
                None if self.pages.is_at_end() => {
                    self.writer.finish(&self.pages, &mut buffer);
                    self.is_finished = true;
                    break;
                }
                // The written rows are sent before the next page is read.
                None if self.rows_written > 0 && !buffer.is_empty() => break,
                None => self.load_next_page().await?,
            }
        }
        Ok(Some(buffer.into()))
    }

    /// Reads the next page, if the caller still has access.
    async fn load_next_page(&mut self) -> Result<(), ListAborted> {
        let next_page = async {
            self.access.recheck().await?;
            self.pages.next_page().await
        };
        match next_page.await {
            Ok(rows) => {
                self.rows = rows.into_iter();
                Ok(())
            }
            Err(service_error) => {
                let error = service_error.to_string();
                let cause = ApiError::from(service_error).cause();
                tracing::warn!(error, cause, rows = self.rows_written, "aborted a list response");
                Err(ListAborted)
            }
        }
    }
}
