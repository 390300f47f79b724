//! Password hashing with Argon2id, bounded so that it cannot exhaust the server.
//!
//! There is one permit per core. The blocking task owns it, so a client that disconnects does not
//! free it early. A bounded queue precedes the permits; when it is full, the hasher returns
//! [`HasherBusy`]. Each permit reuses one memory buffer, because allocating 19 MiB for every hash
//! costs a multiple of that memory.

use std::{
    cell::Cell,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Ident, Output, ParamsString, PasswordHash, Salt},
};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::{password::Password, random::Random};

/// The maximum parameters of a stored hash (KiB, passes, lanes). A manipulated row cannot stop the
/// service.
const MAX_COST: (u32, u32, u32) = (256 * 1024, 10, 8);
/// The length of a hash in bytes.
const OUTPUT_LEN: usize = 32;

/// The parameters of Argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
    /// The maximum number of hashes that wait for a permit.
    pub max_queued: usize,
}

/// The parameters are not valid for Argon2, or above the maximum.
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid passwords.argon2: memory_kib must be from 8 x parallelism to {}, iterations from 1 to {}, parallelism from 1 \
     to {}",
    MAX_COST.0, MAX_COST.1, MAX_COST.2
)]
pub struct InvalidCost;

/// The queue of the hasher is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HasherBusy;

/// Hashes and verifies passwords. Cheap to clone.
#[derive(Clone)]
pub struct Hasher(Arc<Inner>);

struct Inner {
    params: Params,
    random: Random,
    cores: usize,
    workers: Arc<Semaphore>,
    capacity: usize,
    queue: Arc<Semaphore>,
    buffers: Mutex<Vec<Vec<Block>>>,
    /// Set by each hash, cleared by [`Hasher::release_idle_buffers`].
    used_since_check: AtomicBool,
    /// The number of hashes computed since the start.
    hash_count: AtomicU64,
    /// Verified against when the account does not exist, to equalize timing. Random bytes, not the
    /// hash of a real password.
    decoy_hash: String,
}

/// The niceness of hashing threads (setpriority(2)).
const NICENESS: i32 = 10;

/// A guard that holds all workers.
struct HashingPause(Option<OwnedSemaphorePermit>);

impl Drop for HashingPause {
    fn drop(&mut self) {
        self.0.take();
    }
}

/// A slot in the queue of the hasher, released on drop.
#[derive(Debug)]
pub struct HashPermit(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Hasher {
    /// Creates a hasher with one worker per core.
    ///
    /// # Errors
    /// [`InvalidCost`] if the parameters are invalid or above the maximum.
    pub fn new(cost: Cost, random: Random) -> Result<Self, InvalidCost> {
        let is_within_maximum =
            cost.memory_kib <= MAX_COST.0 && cost.iterations <= MAX_COST.1 && cost.parallelism <= MAX_COST.2;
        let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, Some(OUTPUT_LEN));
        let params = params.ok().filter(|_| is_within_maximum).ok_or(InvalidCost)?;
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let capacity = cores.saturating_add(cost.max_queued).min(Semaphore::MAX_PERMITS);
        let mut inner = Inner {
            params,
            cores,
            workers: Arc::new(Semaphore::new(cores)),
            capacity,
            queue: Arc::new(Semaphore::new(capacity)),
            buffers: Mutex::default(),
            used_since_check: AtomicBool::new(false),
            hash_count: AtomicU64::new(0),
            decoy_hash: String::new(),
            random,
        };
        inner.decoy_hash =
            inner.format_phc(&inner.random.bytes::<16>(), Output::new(&inner.random.bytes::<OUTPUT_LEN>()).ok());
        Ok(Self(Arc::new(inner)))
    }

    /// Hashes a password to a PHC string, which contains the parameters and the salt.
    ///
    /// # Errors
    /// [`HasherBusy`] if the queue is full or the server shuts down.
    pub async fn hash(&self, password: &Password) -> Result<String, HasherBusy> {
        let password = password.clone();
        self.run(self.reserve()?, move |inner, buffer| inner.hash(password.expose(), buffer)).await
    }

    /// Reserves a slot in the queue. Reserve it only right before hashing: a held slot keeps others
    /// from signing in.
    ///
    /// # Errors
    /// [`HasherBusy`] if the queue is full.
    pub fn reserve(&self) -> Result<HashPermit, HasherBusy> {
        Arc::clone(&self.0.queue).try_acquire_owned().map(HashPermit).map_err(|_| HasherBusy)
    }

    /// Verifies a password against a stored hash. Without a hash the result is false and takes the
    /// same time.
    ///
    /// # Errors
    /// [`HasherBusy`] if the server shuts down.
    pub async fn verify(
        &self,
        password: &Password,
        stored: Option<&str>,
        permit: HashPermit,
    ) -> Result<bool, HasherBusy> {
        Ok(self.verify_any(std::slice::from_ref(password), stored, permit).await?.is_some())
    }

    /// Returns the index of the first password that matches a stored hash. Without a hash the
    /// result is `None` and takes as long as if no password matched.
    ///
    /// # Errors
    /// [`HasherBusy`] if the server shuts down.
    pub async fn verify_any(
        &self,
        passwords: &[Password],
        stored: Option<&str>,
        permit: HashPermit,
    ) -> Result<Option<usize>, HasherBusy> {
        let passwords = passwords.to_vec();
        let has_hash = stored.is_some();
        let stored = stored.unwrap_or(&self.0.decoy_hash).to_owned();
        let find_match = move |inner: &Inner, buffer: &mut Vec<Block>| {
            // No password matches the decoy, so all of them are compared.
            passwords.iter().position(|password| inner.verify(password.expose(), &stored, buffer))
        };
        Ok(self.run(permit, find_match).await?.filter(|_| has_hash))
    }

    /// Returns the number of hashes computed since the start, and the number of queued or running
    /// hashes.
    #[must_use]
    pub fn counts(&self) -> (u64, usize) {
        (self.0.hash_count.load(Ordering::Relaxed), self.0.capacity - self.0.queue.available_permits())
    }

    /// Waits for running hashes, and prevents new ones until the guard is dropped. For tests.
    pub(super) async fn pause(&self) -> impl Drop + use<> {
        let all = u32::try_from(self.0.cores).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        HashingPause(Arc::clone(&self.0.workers).acquire_many_owned(all).await.ok())
    }

    /// Returns whether a stored hash has other parameters than the configured ones.
    #[must_use]
    pub fn needs_rehash(&self, stored: &str) -> bool {
        let current = &self.0.params;
        let stored_params = PasswordHash::new(stored).ok().and_then(|hash| Params::try_from(&hash).ok());
        stored_params.is_none_or(|stored_params| {
            (stored_params.m_cost(), stored_params.t_cost(), stored_params.p_cost())
                != (current.m_cost(), current.t_cost(), current.p_cost())
        })
    }

    /// Frees the buffers that no hash is using. Later hashes allocate new ones.
    pub fn release_buffers(&self) {
        self.0.lock_buffers().clear();
    }

    /// Frees the unused buffers if nothing was hashed since the last call.
    pub fn release_idle_buffers(&self) {
        if !self.0.used_since_check.swap(false, Ordering::Relaxed) {
            self.release_buffers();
        }
    }

    /// Runs a hashing job on a worker, with a buffer. The blocking task owns both permits.
    async fn run<T, F>(&self, reservation: HashPermit, job: F) -> Result<T, HasherBusy>
    where
        T: Send + 'static,
        F: FnOnce(&Inner, &mut Vec<Block>) -> T + Send + 'static,
    {
        let permit = Arc::clone(&self.0.workers).acquire_owned().await.map_err(|_| HasherBusy)?;
        let inner = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || {
            let _held = (reservation, permit);
            lower_thread_priority();
            inner.used_since_check.store(true, Ordering::Relaxed);
            let mut buffer = inner.lock_buffers().pop().unwrap_or_default();
            let result = job(&inner, &mut buffer);
            inner.lock_buffers().push(buffer);
            result
        });
        match task.await {
            Ok(result) => Ok(result),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_cancelled) => Err(HasherBusy),
        }
    }
}

/// Lowers the priority of the current thread, so that a flood of sign-ins does not delay auth
/// checks. Hashing threads have no other latency-sensitive work, so they keep the lower priority.
fn lower_thread_priority() {
    thread_local! {
        static IS_LOWERED: Cell<bool> = const { Cell::new(false) };
    }
    if !IS_LOWERED.replace(true)
        && let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS)
    {
        tracing::debug!(%error, "failed to lower the priority of a password hashing thread");
    }
}

impl Inner {
    fn lock_buffers(&self) -> parking_lot::MutexGuard<'_, Vec<Vec<Block>>> {
        self.buffers.lock()
    }

    #[expect(
        clippy::expect_used,
        reason = "the parameters were checked in `new`, and salt and output have fixed lengths"
    )]
    fn hash(&self, password: &str, buffer: &mut Vec<Block>) -> String {
        let salt = self.random.bytes::<16>();
        let output = self.compute(&self.params, password, &salt, OUTPUT_LEN, buffer).expect("checked parameters");
        self.format_phc(&salt, Some(output))
    }

    /// Formats a hash as a PHC string.
    #[expect(clippy::expect_used, reason = "the parameters were checked in `new`, and salts have a fixed length")]
    fn format_phc(&self, salt: &[u8; 16], hash: Option<Output>) -> String {
        let hash = PasswordHash {
            algorithm: Ident::new("argon2id").expect("a valid identifier"),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&self.params).expect("checked parameters"),
            salt: Some(Salt::new(salt).expect("sixteen bytes")),
            hash,
        };
        hash.to_string()
    }

    fn verify(&self, password: &str, stored: &str, buffer: &mut Vec<Block>) -> bool {
        let Some((params, salt, expected)) = parse_phc(stored) else {
            tracing::error!(
                "a stored password hash is not Argon2id or exceeds the maximum cost; its owner cannot sign in"
            );
            let _equal_timing = self.verify(password, &self.decoy_hash, buffer);
            return false;
        };
        // `Output` compares in constant time.
        self.compute(&params, password, &salt, expected.len(), buffer).is_some_and(|output| output == expected)
    }

    fn compute(
        &self,
        params: &Params,
        password: &str,
        salt: &[u8],
        len: usize,
        buffer: &mut Vec<Block>,
    ) -> Option<Output> {
        self.hash_count.fetch_add(1, Ordering::Relaxed);
        if buffer.len() < params.block_count() {
            buffer.resize(params.block_count(), Block::default());
        }
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let mut output = vec![0; len];
        argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut output, buffer.as_mut_slice()).ok()?;
        Output::new(&output).ok()
    }
}

/// Parses a PHC string. Returns `None` for other algorithms and for parameters above the maximum.
fn parse_phc(stored: &str) -> Option<(Params, Vec<u8>, Output)> {
    let hash = PasswordHash::new(stored).ok()?;
    let params = Params::try_from(&hash).ok()?;
    let is_argon2id = hash.algorithm.as_str() == "argon2id" && hash.version == Some(Version::V0x13.into());
    let is_within_maximum =
        params.m_cost() <= MAX_COST.0 && params.t_cost() <= MAX_COST.1 && params.p_cost() <= MAX_COST.2;
    (is_argon2id && is_within_maximum).then_some(())?;
    Some((params, hash.salt?.as_ref().to_vec(), hash.hash?))
}

#[cfg(test)]
mod tests;
