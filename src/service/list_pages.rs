//! Lists that are read page by page while they are sent.

use uuid::Uuid;

use crate::{
    domain::{
        event::Event,
        person::Person,
        token::Token,
        token_query::{Cursor, Page, SortKey},
    },
    service::{
        Result,
        read_budget::{Lists, Share},
        tokens::Listed,
    },
    store::{EventFilter, EventPage, EventStart, PersonFilter, Store, TokenFilter, TokenOwner},
};
use tokenward_guard::Principal;

/// The most rows of a page. A client that reads nothing keeps one page in memory, and no connection.
const ROWS: i64 = 40;
/// The most rows of a page of events, which can be several kilobytes each.
const EVENT_ROWS: i64 = 16;
/// The number of IDs that are read ahead where no index has the order of the list.
const RUN: i64 = 1_000;

/// A list that is read page by page.
pub trait Pages: Send + 'static {
    /// A row.
    type Row: Send + 'static;

    /// Reads the next page.
    ///
    /// # Errors
    /// Whatever kept the store from reading, or the reader from the budget of lists.
    fn next(&mut self) -> impl Future<Output = Result<Vec<Self::Row>>> + Send;

    /// Returns whether the last page has been read.
    fn is_at_end(&self) -> bool;
}

/// How far a list has come.
#[derive(Clone, Copy, Debug)]
struct Progress {
    share: Share,
    /// The number of rows that may still follow; none is no limit.
    rest: Option<i64>,
    is_at_end: bool,
}

impl Progress {
    fn new(person_id: i64, limit: Option<i64>) -> Self {
        Self { share: Share::of(person_id), rest: limit, is_at_end: false }
    }

    /// The size of the next read.
    fn size(&self, most: i64) -> i64 {
        self.rest.map_or(most, |rest| rest.min(most))
    }

    /// Counts what was read of so many rows that were asked for.
    fn took(&mut self, read: usize, asked: i64) {
        let read = i64::try_from(read).unwrap_or(i64::MAX);
        self.share = self.share.under_way();
        self.rest = self.rest.map(|rest| rest - read);
        self.is_at_end = read < asked || self.rest == Some(0);
    }
}

/// Tokens.
pub struct TokenPages {
    lists: Lists,
    store: Store,
    filter: TokenFilter,
    page: Page,
    progress: Progress,
    /// Rows read ahead: their IDs, in order.
    ahead: std::vec::IntoIter<Uuid>,
}

impl TokenPages {
    pub(super) fn new(lists: Lists, store: Store, person_id: i64, filter: TokenFilter, page: &Page) -> Self {
        let progress = Progress::new(person_id, page.limit);
        Self { lists, store, filter, page: page.clone(), progress, ahead: Vec::new().into_iter() }
    }

    /// The place after the last row where the list was cut off by its limit.
    #[must_use]
    pub fn cut_at(&self) -> Option<&Cursor> {
        self.page.after.as_ref().filter(|_| self.progress.rest == Some(0))
    }

    /// Reads rows from where the list has come to, and moves on behind them.
    async fn advance(&mut self, most: i64) -> Result<Vec<(Token, TokenOwner)>> {
        let size = self.progress.size(most);
        let (store, filter, page) =
            (self.store.clone(), self.filter.clone(), Page { limit: Some(size), ..self.page.clone() });
        let rows = self.lists.read(self.progress.share, async move { store.list_tokens(&filter, &page).await }).await?;
        self.progress.took(rows.len(), size);
        if let Some((last, _)) = rows.last() {
            self.page.after = Some(Cursor::of(last, self.page.sort.key));
            self.page.offset = 0;
        }
        Ok(rows)
    }

    /// Reads rows that were read ahead. Those that are gone by now are left out.
    async fn read_ahead(&mut self) -> Result<Vec<(Token, TokenOwner)>> {
        let ids: Vec<Uuid> = self.ahead.by_ref().take(usize::try_from(ROWS).unwrap_or(1)).collect();
        let (store, filter, wanted) = (self.store.clone(), self.filter.clone(), ids.clone());
        let read = async move { store.list_tokens_of(&filter, &wanted).await };
        let mut rows = self.lists.read(self.progress.share, read).await?;
        rows.sort_by_key(|(token, _)| ids.iter().position(|id| *id == token.id));
        Ok(rows)
    }
}

impl Pages for TokenPages {
    type Row = Listed;

    async fn next(&mut self) -> Result<Vec<Listed>> {
        let rows = if self.ahead.len() > 0 {
            self.read_ahead().await?
        } else if self.page.sort.key == SortKey::CreatedAt {
            self.advance(ROWS).await?
        } else {
            // Every page would look at all tokens again: an order without an index is worked out for many pages at once.
            let mut rows = self.advance(RUN).await?;
            let beyond = rows.split_off(rows.len().min(usize::try_from(ROWS).unwrap_or(1)));
            self.ahead = beyond.into_iter().map(|(token, _)| token.id).collect::<Vec<_>>().into_iter();
            rows
        };
        let now = self.filter.now;
        Ok(rows.into_iter().map(|row| Listed::new(row, now)).collect())
    }

    fn is_at_end(&self) -> bool {
        self.progress.is_at_end && self.ahead.len() == 0
    }
}

/// Events, newest first.
pub struct EventPages {
    lists: Lists,
    store: Store,
    filter: EventFilter,
    after: i64,
    progress: Progress,
}

impl EventPages {
    pub(super) fn new(
        lists: Lists,
        store: Store,
        person_id: i64,
        (filter, after, limit): (EventFilter, i64, i64),
    ) -> Self {
        Self { lists, store, filter, after, progress: Progress::new(person_id, Some(limit)) }
    }

    /// The ID of the last event where the list was cut off by its limit.
    #[must_use]
    pub fn cut_at(&self) -> Option<i64> {
        (self.progress.rest == Some(0)).then_some(self.after)
    }
}

impl Pages for EventPages {
    type Row = Event;

    async fn next(&mut self) -> Result<Vec<Event>> {
        let size = self.progress.size(EVENT_ROWS);
        let (store, filter, after) = (self.store.clone(), self.filter.clone(), self.after);
        let read = async move { store.list_event_page(&filter, after, size).await };
        let EventPage { events, next } = self.lists.read(self.progress.share, read).await?;
        let read = if next.is_some() { usize::try_from(size).unwrap_or(0) } else { events.len() };
        self.progress.took(read, size);
        if let Some(EventStart::After(id)) = next {
            self.after = id;
        }
        Ok(events)
    }

    fn is_at_end(&self) -> bool {
        self.progress.is_at_end
    }
}

/// People, by ID.
pub struct PersonPages {
    lists: Lists,
    store: Store,
    workspace_id: i64,
    filter: PersonFilter,
    after: i64,
    offset: i64,
    progress: Progress,
}

impl PersonPages {
    pub(super) fn new(
        lists: Lists,
        store: Store,
        administrator: &Principal,
        filter: PersonFilter,
        (limit, offset): (i64, i64),
    ) -> Self {
        let progress = Progress::new(administrator.person_id, Some(limit));
        Self { lists, store, workspace_id: administrator.workspace_id, filter, after: 0, offset, progress }
    }
}

impl Pages for PersonPages {
    type Row = Person;

    async fn next(&mut self) -> Result<Vec<Person>> {
        let size = self.progress.size(ROWS);
        let (store, filter, workspace_id) = (self.store.clone(), self.filter.clone(), self.workspace_id);
        let (after, part) = (self.after, (size, self.offset));
        let read = async move { store.list_people_after(workspace_id, &filter, after, part).await };
        let people = self.lists.read(self.progress.share, read).await?;
        self.progress.took(people.len(), size);
        if let Some(last) = people.last() {
            (self.after, self.offset) = (last.id, 0);
        }
        Ok(people)
    }

    fn is_at_end(&self) -> bool {
        self.progress.is_at_end
    }
}
