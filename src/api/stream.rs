//! List responses of any length: the rows are read page by page and written chunk by chunk, so that
//! memory holds at most one page.
//!
//! The first page is read before the response starts, so that an error until then has its own
//! status. A later error aborts the body: the connection is closed without the last chunk, and no
//! client mistakes a part of a list for all of it.

use axum::{
    body::{Body, Bytes},
    extract::FromRequestParts,
    http::{HeaderValue, header::CONTENT_TYPE, request::Parts},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use serde::Serialize;

use super::{ApiError, error::ApiResult};
use crate::{
    app::App,
    http::authenticate::Authenticated,
    service::{list_pages::Pages, tokens::ReadAccess},
};
use tokenward_guard::{AuthError, Credential};

/// The size of a chunk. hyper buffers sixteen chunks for a client that does not read.
const CHUNK_BYTES: usize = 2 * 1024;

/// The caller's permission to read a list. It is checked again before each further page.
pub(super) struct ListReader(ReadAccess);

impl FromRequestParts<App> for ListReader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let authenticated = parts.extensions.get::<Authenticated>();
        let authenticated = authenticated.ok_or(ApiError::Unauthenticated(AuthError::Missing))?;
        let bearer = match Credential::from_headers(&parts.headers) {
            Ok(Credential::Bearer(bearer)) => Some(bearer),
            _ => None,
        };
        let login = authenticated.password_login.as_ref();
        Ok(Self(app.tokens().read_access(&authenticated.principal, bearer, login)))
    }
}

/// The fields after the rows, in the same JSON object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListTrailer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Returns the response `{"data": [...]}`. `view` converts each row; `trailer` returns the further
/// fields after the last page has been read.
///
/// # Errors
/// The error of reading the first page.
pub(super) async fn respond<P, V>(
    mut pages: P,
    ListReader(access): ListReader,
    view: impl Fn(P::Row) -> V + Send + 'static,
    trailer: impl Fn(&P) -> ListTrailer + Send + 'static,
) -> ApiResult<Response>
where
    P: Pages,
    V: Serialize,
{
    let rows = pages.next_page().await?.into_iter();
    let is_complete = pages.is_at_end();
    let mut list = ListStream { pages, access, rows, view, trailer, rows_written: 0, is_finished: false };
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
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// A list that is being written.
struct ListStream<P: Pages, F, T> {
    pages: P,
    access: ReadAccess,
    /// The rows of the current page that are not written yet.
    rows: std::vec::IntoIter<P::Row>,
    view: F,
    trailer: T,
    rows_written: u64,
    is_finished: bool,
}

/// The error that aborts the body of a list.
#[derive(Debug, thiserror::Error)]
#[error("the list was aborted")]
struct ListAborted;

impl<P, V, F, T> ListStream<P, F, T>
where
    P: Pages,
    V: Serialize,
    F: Fn(P::Row) -> V,
    T: Fn(&P) -> ListTrailer,
{
    /// Returns the next chunk. `None` after the last one.
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, ListAborted> {
        if self.is_finished {
            return Ok(None);
        }
        let mut buffer = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 2);
        if self.rows_written == 0 {
            buffer.extend_from_slice(br#"{"data":["#);
        }
        while buffer.len() < CHUNK_BYTES {
            match self.rows.next() {
                Some(row) => self.write_row(row, &mut buffer),
                None if self.pages.is_at_end() => {
                    self.finish(&mut buffer);
                    break;
                }
                // The written rows are sent before the next page is read.
                None if self.rows_written > 0 && !buffer.is_empty() => break,
                None => self.load_next_page().await?,
            }
        }
        Ok(Some(buffer.into()))
    }

    fn write_row(&mut self, row: P::Row, buffer: &mut Vec<u8>) {
        if self.rows_written > 0 {
            buffer.push(b',');
        }
        self.rows_written += 1;
        write_json(buffer, &(self.view)(row));
    }

    fn finish(&mut self, buffer: &mut Vec<u8>) {
        buffer.push(b']');
        let mut trailer = Vec::new();
        write_json(&mut trailer, &(self.trailer)(&self.pages));
        // The fields continue the object that contains the rows.
        if trailer.len() > b"{}".len() {
            trailer[0] = b',';
            buffer.extend_from_slice(&trailer);
        } else {
            buffer.push(b'}');
        }
        buffer.push(b'\n');
        self.is_finished = true;
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

fn write_json(buffer: &mut Vec<u8>, value: &impl Serialize) {
    #[expect(
        clippy::expect_used,
        reason = "rows contain only strings, numbers and maps with string keys, and a `Vec` accepts all bytes"
    )]
    serde_json::to_writer(buffer, value).expect("a row serializes to JSON");
}
