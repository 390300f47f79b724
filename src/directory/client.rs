//! The connections of a directory: one for searches that is kept, and one for each password check.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex, Semaphore},
    time::{Instant, timeout},
};

use super::{
    connection::Connection,
    entry::Entry,
    error::DirectoryError,
    search::{Found, Query, SEARCH_TIMEOUT, code, result_error},
    settings::{BindPassword, DirectorySettings, ServerUrl, SettingsError},
    transport::Servers,
};

/// The maximum time of one operation of a sign-in, with all attempts.
const OPERATION_TIMEOUT: Duration = Duration::from_millis(4_500);

/// The time without further binds after the directory rejected the service's own password. Otherwise
/// sign-ins would lock the service's account.
const SERVICE_BIND_PAUSE: Duration = Duration::from_secs(60);

/// The maximum time that a password check waits for the others.
const QUEUE_TIMEOUT: Duration = Duration::from_millis(900);
/// The maximum time to connect for a password check, with all servers.
const OPEN_TIMEOUT: Duration = Duration::from_millis(3_500);

/// The connections of a directory.
pub(super) struct Client {
    servers: Servers,
    bind_dn: String,
    bind_password: BindPassword,
    /// The connection for searches, bound as the service.
    searcher: Mutex<Option<Arc<Connection>>>,
    password_checks: Semaphore,
    /// When the directory last rejected the password of the service.
    service_rejected_at: parking_lot::Mutex<Option<Instant>>,
    broken: Arc<AtomicU64>,
}

impl Client {
    pub(super) fn new(settings: &DirectorySettings) -> Result<Self, SettingsError> {
        Ok(Self {
            servers: Servers::new(settings)?,
            bind_dn: settings.bind_dn.clone(),
            bind_password: settings.bind_password.clone(),
            searcher: Mutex::default(),
            password_checks: Semaphore::new(settings.max_password_checks.min(Semaphore::MAX_PERMITS)),
            service_rejected_at: parking_lot::Mutex::default(),
            broken: Arc::default(),
        })
    }

    /// Returns the number of connections that ended because of an invalid answer.
    pub(super) fn broken_connections(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }

    /// Runs an operation of a sign-in with a limit on its whole time.
    ///
    /// # Errors
    /// [`DirectoryError::Timeout`] after the limit, and the errors of the operation.
    pub(super) async fn within_limit<T>(
        &self,
        operation: impl Future<Output = Result<T, DirectoryError>>,
    ) -> Result<T, DirectoryError> {
        let timed_out = |_| Err(DirectoryError::Timeout { limit: OPERATION_TIMEOUT });
        timeout(OPERATION_TIMEOUT, operation).await.unwrap_or_else(timed_out)
    }

    /// Searches with the kept connection. If it fails, a new one is opened and asked once.
    ///
    /// # Errors
    /// A [`DirectoryError`] if there was no response.
    pub(super) async fn search(&self, query: &Query) -> Result<Found, DirectoryError> {
        let (connection, is_new) = self.searcher().await?;
        let found = self.search_with(&connection, query).await;
        let is_retried = match &found {
            Ok(found) => matches!(found.result.rc, code::OPERATIONS_ERROR | code::UNAVAILABLE),
            Err(DirectoryError::Unreachable { .. } | DirectoryError::Timeout { .. }) => true,
            Err(_) => false,
        };
        if is_new || !is_retried {
            return found;
        }
        self.discard(&connection).await;
        let (connection, _) = self.searcher().await?;
        self.search_with(&connection, query).await
    }

    /// Returns all entries that a search finds. If they are more than the server returns at once,
    /// they are read page by page on a connection of their own: slapd keeps one paged search per
    /// connection.
    ///
    /// # Errors
    /// A [`DirectoryError`] if the result is incomplete.
    pub(super) async fn search_all(&self, query: &Query) -> Result<Vec<Entry>, DirectoryError> {
        let found = self.search(query).await?;
        match found.result.rc {
            code::SIZE_LIMIT_EXCEEDED => self.open_bound().await?.search_pages(query).await,
            _ => found.complete(),
        }
    }

    /// Searches with a connection, and discards it if it failed.
    async fn search_with(&self, connection: &Arc<Connection>, query: &Query) -> Result<Found, DirectoryError> {
        let found = connection.search(query, SEARCH_TIMEOUT).await;
        if let Err(error) = &found {
            if matches!(error, DirectoryError::Timeout { .. }) {
                self.servers.avoid(&connection.server);
            }
            self.discard(connection).await;
        }
        found
    }

    /// Returns the connection for searches, and whether it was opened now.
    async fn searcher(&self) -> Result<(Arc<Connection>, bool), DirectoryError> {
        let mut searcher = self.searcher.lock().await;
        if let Some(connection) = &*searcher {
            return Ok((Arc::clone(connection), false));
        }
        let connection = Arc::new(self.open_bound().await?);
        *searcher = Some(Arc::clone(&connection));
        Ok((connection, true))
    }

    /// Stops using a connection for searches.
    async fn discard(&self, connection: &Arc<Connection>) {
        let mut searcher = self.searcher.lock().await;
        if searcher.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection)) {
            *searcher = None;
        }
    }

    /// Opens a connection that is bound as the service.
    ///
    /// # Errors
    /// [`DirectoryError::ServiceBindDenied`] if the directory rejects the service, and other
    /// errors if it does not respond.
    pub(super) async fn open_bound(&self) -> Result<Connection, DirectoryError> {
        self.bind_as_service(self.open()).await
    }

    /// Opens a connection to one server, bound as the service.
    ///
    /// # Errors
    /// As [`Client::open_bound`].
    pub(super) async fn open_bound_to(&self, server: &ServerUrl) -> Result<Connection, DirectoryError> {
        let opened = async {
            let transport = self.servers.connect_only_to(server).await?;
            Connection::start(transport, Arc::clone(&self.broken)).await
        };
        self.bind_as_service(opened).await
    }

    /// Returns the URLs of all servers.
    pub(super) fn server_urls(&self) -> impl Iterator<Item = &ServerUrl> {
        self.servers.urls()
    }

    /// Opens a connection and binds, unless the directory rejected the service a moment ago.
    async fn bind_as_service(
        &self,
        opened: impl Future<Output = Result<Connection, DirectoryError>>,
    ) -> Result<Connection, DirectoryError> {
        if self.service_rejected_at.lock().is_some_and(|at| at.elapsed() < SERVICE_BIND_PAUSE) {
            return Err(DirectoryError::ServiceBindDenied);
        }
        let connection = opened.await?;
        let bound = self.bind_with(&connection, &self.bind_dn, self.bind_password.expose(), false).await?;
        match bound.rc {
            code::SUCCESS => Ok(connection),
            code::INVALID_CREDENTIALS => {
                *self.service_rejected_at.lock() = Some(Instant::now());
                Err(DirectoryError::ServiceBindDenied)
            }
            _ => Err(result_error("bind", &bound)),
        }
    }

    /// Binds on a connection of its own, when one of the password checks is free.
    ///
    /// # Errors
    /// A [`DirectoryError`] if there was no response. Any result code is a response. After the bind was
    /// sent, the error is [`DirectoryError::NoVerdict`]: the directory may count the password.
    pub(super) async fn bind_once(
        &self,
        dn: &str,
        password: &str,
        asks_policy: bool,
    ) -> Result<ldap3::LdapResult, DirectoryError> {
        let acquired = timeout(QUEUE_TIMEOUT, self.password_checks.acquire()).await;
        let Ok(Ok(_permit)) = acquired else { return Err(DirectoryError::Busy) };
        let opened = timeout(OPEN_TIMEOUT, self.open()).await;
        let connection = opened.unwrap_or(Err(DirectoryError::Timeout { limit: OPEN_TIMEOUT }))?;
        let bound = self.bind_with(&connection, dn, password, asks_policy).await;
        bound.map_err(|error| DirectoryError::NoVerdict(Box::new(error)))
    }

    async fn bind_with(
        &self,
        connection: &Connection,
        dn: &str,
        password: &str,
        asks_policy: bool,
    ) -> Result<ldap3::LdapResult, DirectoryError> {
        let bound = connection.bind(dn, password, asks_policy).await;
        if matches!(bound, Err(DirectoryError::Timeout { .. })) {
            self.servers.avoid(&connection.server);
        }
        bound
    }

    async fn open(&self) -> Result<Connection, DirectoryError> {
        Connection::start(self.servers.connect().await?, Arc::clone(&self.broken)).await
    }
}
