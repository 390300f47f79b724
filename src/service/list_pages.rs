//! Lists that are read page by page while the response is sent.

use uuid::Uuid;

use crate::{
    domain::{
        event::Event,
        id::{PersonId, WorkspaceId},
        person::Person,
        token::Token,
        token_query::{Cursor, SortKey, TokenPageQuery},
    },
    service::{
        Result,
        read_budget::{ReadBudget, ReadRequester},
        tokens::ListedToken,
    },
    store::{EventFilter, EventPage, EventPageStart, PersonFilter, Store, TokenListQuery, TokenOwner},
};
use tokenward_guard::Principal;

/// The maximum number of rows of a page. A client that does not read keeps one page in memory and
/// no database connection.
const PAGE_ROWS: i64 = 40;
/// The maximum number of rows of a page of events, which can have several kilobytes each.
const EVENT_PAGE_ROWS: i64 = 16;
/// The number of IDs read at once if no index has the order of the list.
const PREFETCHED_IDS: i64 = 1_000;

/// A list that is read page by page.
pub trait Pages: Send + 'static {
    /// The type of a row.
    type Row: Send + 'static;

    /// Reads the next page.
    ///
    /// # Errors
    /// [`Error::RateLimited`](crate::service::Error::RateLimited) if the reader has too many reads
    /// in progress, [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is
    /// unreachable or too slow.
    fn next_page(&mut self) -> impl Future<Output = Result<Vec<Self::Row>>> + Send;

    /// Returns whether the last page has been read.
    fn is_at_end(&self) -> bool;
}

/// The progress of a list.
#[derive(Clone, Copy, Debug)]
struct Progress {
    requester: ReadRequester,
    /// The number of rows that may follow, or `None` without a limit.
    remaining: Option<i64>,
    is_at_end: bool,
}

impl Progress {
    fn new(person_id: PersonId, limit: Option<i64>) -> Self {
        Self { requester: ReadRequester::person(person_id), remaining: limit, is_at_end: false }
    }

    /// Returns the size of the next page.
    fn page_size(&self, max: i64) -> i64 {
        self.remaining.map_or(max, |remaining| remaining.min(max))
    }

    /// Records a page of `read` rows of which `requested` were requested.
    fn record_page(&mut self, read: usize, requested: i64) {
        let read = i64::try_from(read).unwrap_or(i64::MAX);
        self.requester = self.requester.continuing();
        self.remaining = self.remaining.map(|remaining| remaining - read);
        self.is_at_end = read < requested || self.remaining == Some(0);
    }
}

/// A list of tokens.
pub struct TokenPages {
    read_budget: ReadBudget,
    store: Store,
    filter: TokenListQuery,
    page: TokenPageQuery,
    progress: Progress,
    /// The IDs of rows that were read ahead, in order.
    prefetched_ids: std::vec::IntoIter<Uuid>,
}

impl TokenPages {
    pub(super) fn new(
        read_budget: ReadBudget,
        store: Store,
        person_id: PersonId,
        filter: TokenListQuery,
        page: &TokenPageQuery,
    ) -> Self {
        let progress = Progress::new(person_id, page.limit);
        Self { read_budget, store, filter, page: page.clone(), progress, prefetched_ids: Vec::new().into_iter() }
    }

    /// Returns the cursor after the last row if the limit ended the list.
    #[must_use]
    pub fn next_cursor(&self) -> Option<&Cursor> {
        self.page.after.as_ref().filter(|_| self.progress.remaining == Some(0))
    }

    /// Reads the next rows and advances the cursor past them.
    async fn fetch_rows(&mut self, max: i64) -> Result<Vec<(Token, TokenOwner)>> {
        let size = self.progress.page_size(max);
        let (store, filter, page) =
            (self.store.clone(), self.filter.clone(), TokenPageQuery { limit: Some(size), ..self.page.clone() });
        let rows = self
            .read_budget
            .run(self.progress.requester, async move { store.list_tokens(&filter, &page).await })
            .await?;
        self.progress.record_page(rows.len(), size);
        if let Some((last, _)) = rows.last() {
            self.page.after = Some(Cursor::from_token(last, self.page.sort.key));
            self.page.offset = 0;
        }
        Ok(rows)
    }

    /// Reads the rows of prefetched IDs. Rows deleted in the meantime are omitted.
    async fn fetch_prefetched(&mut self) -> Result<Vec<(Token, TokenOwner)>> {
        let ids: Vec<Uuid> = self.prefetched_ids.by_ref().take(usize::try_from(PAGE_ROWS).unwrap_or(1)).collect();
        let (store, filter, query_ids) = (self.store.clone(), self.filter.clone(), ids.clone());
        let query = async move { store.list_tokens_by_id(&filter, &query_ids).await };
        let mut rows = self.read_budget.run(self.progress.requester, query).await?;
        rows.sort_by_key(|(token, _)| ids.iter().position(|id| *id == token.id));
        Ok(rows)
    }
}

impl Pages for TokenPages {
    type Row = ListedToken;

    async fn next_page(&mut self) -> Result<Vec<ListedToken>> {
        let rows = if self.prefetched_ids.len() > 0 {
            self.fetch_prefetched().await?
        } else if self.page.sort.key == SortKey::CreatedAt {
            self.fetch_rows(PAGE_ROWS).await?
        } else {
            // Without an index, every page would sort all tokens again. The order is therefore
            // computed for many pages at once.
            let mut rows = self.fetch_rows(PREFETCHED_IDS).await?;
            let rest = rows.split_off(rows.len().min(usize::try_from(PAGE_ROWS).unwrap_or(1)));
            self.prefetched_ids = rest.into_iter().map(|(token, _)| token.id).collect::<Vec<_>>().into_iter();
            rows
        };
        let now = self.filter.now;
        Ok(rows.into_iter().map(|row| ListedToken::new(row, now)).collect())
    }

    fn is_at_end(&self) -> bool {
        self.progress.is_at_end && self.prefetched_ids.len() == 0
    }
}

/// A list of events, newest first.
pub struct EventPages {
    read_budget: ReadBudget,
    store: Store,
    filter: EventFilter,
    after: i64,
    progress: Progress,
}

impl EventPages {
    pub(super) fn new(
        read_budget: ReadBudget,
        store: Store,
        person_id: PersonId,
        (filter, after, limit): (EventFilter, i64, i64),
    ) -> Self {
        Self { read_budget, store, filter, after, progress: Progress::new(person_id, Some(limit)) }
    }

    /// Returns the ID of the last event if the limit ended the list.
    #[must_use]
    pub fn next_cursor(&self) -> Option<i64> {
        (self.progress.remaining == Some(0)).then_some(self.after)
    }
}

impl Pages for EventPages {
    type Row = Event;

    async fn next_page(&mut self) -> Result<Vec<Event>> {
        let size = self.progress.page_size(EVENT_PAGE_ROWS);
        let (store, filter, after) = (self.store.clone(), self.filter.clone(), self.after);
        let query = async move { store.list_event_page(&filter, after, size).await };
        let EventPage { events, next } = self.read_budget.run(self.progress.requester, query).await?;
        let read = if next.is_some() { usize::try_from(size).unwrap_or(0) } else { events.len() };
        self.progress.record_page(read, size);
        if let Some(EventPageStart::After(id)) = next {
            self.after = id;
        }
        Ok(events)
    }

    fn is_at_end(&self) -> bool {
        self.progress.is_at_end
    }
}

/// A list of people by ID.
pub struct PersonPages {
    read_budget: ReadBudget,
    store: Store,
    workspace_id: WorkspaceId,
    filter: PersonFilter,
    after: Option<PersonId>,
    offset: i64,
    progress: Progress,
}

impl PersonPages {
    pub(super) fn new(
        read_budget: ReadBudget,
        store: Store,
        administrator: &Principal,
        filter: PersonFilter,
        (limit, offset): (i64, i64),
    ) -> Self {
        let progress = Progress::new(PersonId::of(administrator), Some(limit));
        Self { read_budget, store, workspace_id: WorkspaceId::of(administrator), filter, after: None, offset, progress }
    }
}

impl Pages for PersonPages {
    type Row = Person;

    async fn next_page(&mut self) -> Result<Vec<Person>> {
        let size = self.progress.page_size(PAGE_ROWS);
        let (store, filter, workspace_id) = (self.store.clone(), self.filter.clone(), self.workspace_id);
        let after = self.after;
        let part = (size, self.offset);
        let query = async move { store.list_people_after(workspace_id, &filter, after, part).await };
        let people = self.read_budget.run(self.progress.requester, query).await?;
        self.progress.record_page(people.len(), size);
        if let Some(last) = people.last() {
            self.after = Some(last.id);
            self.offset = 0;
        }
        Ok(people)
    }

    fn is_at_end(&self) -> bool {
        self.progress.is_at_end
    }
}
