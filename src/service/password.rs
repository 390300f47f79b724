//! Hashing passwords with Argon2id without letting it become a way to stop the service.
//!
//! One permit per core, owned by the blocking task itself, so that a caller who hangs up does not free it early; a bounded
//! queue in front, past which the answer is [`Busy`]; and one memory buffer per permit, used again and again, because
//! allocating 19 MiB for each hash costs many times the memory.

use std::{
    cell::Cell,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Ident, Output, ParamsString, PasswordHash, Salt},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::{password::Password, random::Random};

/// The most that a stored hash may ask for (KiB, passes, lanes): a row must not be able to stop the service.
const CEILING: (u32, u32, u32) = (256 * 1024, 10, 8);
const OUTPUT_LEN: usize = 32;

/// What Argon2id is to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
    /// How many may wait for a permit.
    pub queue: usize,
}

/// A cost that Argon2 does not allow, or that is over the ceiling.
#[derive(Debug, thiserror::Error)]
#[error(
    "passwords.memory_kib must be from 8 x parallelism to {}, iterations from 1 to {}, parallelism from 1 to {}",
    CEILING.0, CEILING.1, CEILING.2
)]
pub struct BadCost;

/// Too many passwords wait to be hashed already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// Hashes and checks passwords. Cheap to clone.
#[derive(Clone)]
pub struct Hasher(Arc<Inner>);

struct Inner {
    params: Params,
    random: Random,
    cores: usize,
    permits: Arc<Semaphore>,
    places: usize,
    queue: Arc<Semaphore>,
    buffers: Mutex<Vec<Vec<Block>>>,
    /// Whether anything was hashed since somebody asked.
    has_worked: AtomicBool,
    /// The number of hashes that were computed.
    computed: AtomicU64,
    /// Compared with where there is no account, so that a stranger's try costs what a member's does. It is chance, no password's.
    decoy: String,
}

/// How much less of the processor a thread that hashes is given where others want it (setpriority(2)).
const NICENESS: i32 = 10;

/// All permits.
struct Hold(Option<OwnedSemaphorePermit>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.take();
    }
}

/// A place in the queue, given back when dropped.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Hasher {
    /// Prepares for hashing at this cost, on all cores.
    ///
    /// # Errors
    /// [`BadCost`].
    pub fn new(cost: Cost, random: Random) -> Result<Self, BadCost> {
        let ceiling = cost.memory_kib <= CEILING.0 && cost.iterations <= CEILING.1 && cost.parallelism <= CEILING.2;
        let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, Some(OUTPUT_LEN));
        let params = params.ok().filter(|_| ceiling).ok_or(BadCost)?;
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let places = cores.saturating_add(cost.queue).min(Semaphore::MAX_PERMITS);
        let mut inner = Inner {
            params,
            cores,
            permits: Arc::new(Semaphore::new(cores)),
            places,
            queue: Arc::new(Semaphore::new(places)),
            buffers: Mutex::default(),
            has_worked: AtomicBool::new(false),
            computed: AtomicU64::new(0),
            decoy: String::new(),
            random,
        };
        inner.decoy = inner.written(&inner.random.bytes::<16>(), Output::new(&inner.random.bytes::<OUTPUT_LEN>()).ok());
        Ok(Self(Arc::new(inner)))
    }

    /// Hashes a password into a PHC string, which carries its parameters and its salt.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn hash(&self, password: &Password) -> Result<String, Busy> {
        let password = password.clone();
        self.run(self.place()?, move |inner, buffer| inner.hash(password.expose(), buffer)).await
    }

    /// A place in the queue, to be taken when a password is about to be hashed and at no other time: a request that holds one keeps
    /// others from signing in.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn place(&self) -> Result<Place, Busy> {
        Arc::clone(&self.0.queue).try_acquire_owned().map(Place).map_err(|_| Busy)
    }

    /// Whether a password is the one of a stored hash. Without a hash the answer is no, and takes as long.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn verify(&self, password: &Password, stored: Option<&str>, place: Place) -> Result<bool, Busy> {
        Ok(self.verify_any(std::slice::from_ref(password), stored, place).await?.is_some())
    }

    /// Finds the first of several passwords that is the one of a stored hash. Without a hash there is none, and finding that out takes
    /// as long as finding out that all are wrong.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn verify_any(
        &self,
        passwords: &[Password],
        stored: Option<&str>,
        place: Place,
    ) -> Result<Option<usize>, Busy> {
        let passwords = passwords.to_vec();
        let exists = stored.is_some();
        let stored = stored.unwrap_or(&self.0.decoy).to_owned();
        let equal = move |inner: &Inner, buffer: &mut Vec<Block>| {
            // The decoy is no password's hash, so all are compared with it.
            passwords.iter().position(|password| inner.verify(password.expose(), &stored, buffer))
        };
        Ok(self.run(place, equal).await?.filter(|_| exists))
    }

    /// Returns how many hashes were computed since the start, and how many places of the queue are taken.
    #[must_use]
    pub fn counts(&self) -> (u64, usize) {
        (self.0.computed.load(Ordering::Relaxed), self.0.places - self.0.queue.available_permits())
    }

    /// Keeps any hash from starting until the guard is dropped: those that run are waited for. For tests.
    pub(super) async fn hold(&self) -> impl Drop + use<> {
        let all = u32::try_from(self.0.cores).unwrap_or(u32::MAX);
        // They are never closed.
        Hold(Arc::clone(&self.0.permits).acquire_many_owned(all).await.ok())
    }

    /// Whether a stored hash was made at another cost than the present one.
    #[must_use]
    pub fn is_outdated(&self, stored: &str) -> bool {
        let now = &self.0.params;
        let then = PasswordHash::new(stored).ok().and_then(|hash| Params::try_from(&hash).ok());
        then.is_none_or(|then| {
            (then.m_cost(), then.t_cost(), then.p_cost()) != (now.m_cost(), now.t_cost(), now.p_cost())
        })
    }

    /// Gives up the memory of hashes that are not being made; the next ones allocate it anew.
    pub fn release(&self) {
        self.0.buffers().clear();
    }

    /// The same, unless something was hashed since this was called last.
    pub fn release_if_idle(&self) {
        if !self.0.has_worked.swap(false, Ordering::Relaxed) {
            self.release();
        }
    }

    async fn run<T, F>(&self, place: Place, job: F) -> Result<T, Busy>
    where
        T: Send + 'static,
        F: FnOnce(&Inner, &mut Vec<Block>) -> T + Send + 'static,
    {
        let permit = Arc::clone(&self.0.permits).acquire_owned().await.map_err(|_| Busy)?;
        let inner = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || {
            let _held = (place, permit);
            give_way();
            inner.has_worked.store(true, Ordering::Relaxed);
            let mut buffer = inner.buffers().pop().unwrap_or_default();
            let result = job(&inner, &mut buffer);
            inner.buffers().push(buffer);
            result
        });
        match task.await {
            Ok(result) => Ok(result),
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            Err(_stopping) => Err(Busy),
        }
    }
}

/// Lets everybody else have the processor first: a flood of sign-ins must not make checks of tokens wait. The threads that hash do nothing
/// else that anybody waits for, so they keep the lower priority.
fn give_way() {
    thread_local! {
        static HAS_GIVEN_WAY: Cell<bool> = const { Cell::new(false) };
    }
    if !HAS_GIVEN_WAY.replace(true)
        && let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS)
    {
        tracing::debug!(%error, "passwords are hashed at the priority of everything else");
    }
}

impl Inner {
    fn buffers(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Block>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(
        clippy::expect_used,
        reason = "the parameters were checked in `new`, and salt and output have fixed lengths"
    )]
    fn hash(&self, password: &str, buffer: &mut Vec<Block>) -> String {
        let salt = self.random.bytes::<16>();
        let output = self.digest(&self.params, password, &salt, OUTPUT_LEN, buffer).expect("checked parameters");
        self.written(&salt, Some(output))
    }

    /// A hash in its PHC form.
    #[expect(clippy::expect_used, reason = "the parameters were checked in `new`, and salts have a fixed length")]
    fn written(&self, salt: &[u8; 16], hash: Option<Output>) -> String {
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
        let Some((params, salt, expected)) = readable(stored) else {
            tracing::error!("a stored password hash is not Argon2id within the ceiling; its owner cannot sign in");
            let _as_long = self.verify(password, &self.decoy, buffer);
            return false;
        };
        // `Output` compares in constant time.
        self.digest(&params, password, &salt, expected.len(), buffer).is_some_and(|output| output == expected)
    }

    fn digest(
        &self,
        params: &Params,
        password: &str,
        salt: &[u8],
        len: usize,
        buffer: &mut Vec<Block>,
    ) -> Option<Output> {
        self.computed.fetch_add(1, Ordering::Relaxed);
        if buffer.len() < params.block_count() {
            buffer.resize(params.block_count(), Block::default());
        }
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let mut output = vec![0; len];
        argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut output, buffer.as_mut_slice()).ok()?;
        Output::new(&output).ok()
    }
}

/// Takes a PHC string apart, unless it is of another algorithm or asks for more than the ceiling.
fn readable(stored: &str) -> Option<(Params, Vec<u8>, Output)> {
    let hash = PasswordHash::new(stored).ok()?;
    let params = Params::try_from(&hash).ok()?;
    let ours = hash.algorithm.as_str() == "argon2id" && hash.version == Some(Version::V0x13.into());
    let affordable = params.m_cost() <= CEILING.0 && params.t_cost() <= CEILING.1 && params.p_cost() <= CEILING.2;
    (ours && affordable).then_some(())?;
    Some((params, hash.salt?.as_ref().to_vec(), hash.hash?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 64, iterations: 1, parallelism: 1, queue: 4 };

    fn hasher(cost: Cost) -> Hasher {
        Hasher::new(cost, Random::system()).unwrap()
    }

    fn password(text: &str) -> Password {
        Password::presented(text).unwrap()
    }

    #[tokio::test]
    async fn a_hash_verifies_its_password_and_no_other() {
        let hasher = hasher(CHEAP);
        let stored = hasher.hash(&password("correct horse")).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        assert_eq!(hasher.verify(&password("correct horse"), Some(&stored), hasher.place().unwrap()).await, Ok(true));
        assert_eq!(hasher.verify(&password("correct horsf"), Some(&stored), hasher.place().unwrap()).await, Ok(false));
        assert_eq!(hasher.verify(&password("correct horse"), None, hasher.place().unwrap()).await, Ok(false));
    }

    #[tokio::test]
    async fn the_library_itself_accepts_our_hashes() {
        use argon2::PasswordVerifier as _;
        let stored = hasher(CHEAP).hash(&password("correct horse")).await.unwrap();
        let parsed = PasswordHash::new(&stored).unwrap();
        assert!(Argon2::default().verify_password(b"correct horse", &parsed).is_ok());
        assert!(Argon2::default().verify_password(b"another", &parsed).is_err());
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_still_verifies_and_is_outdated() {
        let stored = hasher(CHEAP).hash(&password("correct horse")).await.unwrap();
        let dearer = hasher(Cost { iterations: 2, ..CHEAP });
        assert_eq!(dearer.verify(&password("correct horse"), Some(&stored), dearer.place().unwrap()).await, Ok(true));
        assert!(dearer.is_outdated(&stored) && !hasher(CHEAP).is_outdated(&stored));
    }

    #[tokio::test]
    async fn hashes_that_would_stop_the_service_are_refused_at_once() {
        let hasher = hasher(CHEAP);
        let stored = hasher.hash(&password("correct horse")).await.unwrap();
        for hostile in [
            stored.replace("m=64", "m=4194304"),
            stored.replace("t=1", "t=4000"),
            stored.replace("argon2id", "argon2d"),
            "x".into(),
        ] {
            assert_eq!(
                hasher.verify(&password("correct horse"), Some(&hostile), hasher.place().unwrap()).await,
                Ok(false),
                "{hostile}"
            );
        }
    }

    #[tokio::test]
    async fn past_the_queue_the_answer_is_busy_and_permits_come_back() {
        let hasher = hasher(Cost { queue: 3, ..CHEAP });
        let held = hasher.hold().await;
        let waiting: Vec<_> = std::iter::from_fn(|| hasher.place().ok())
            .map(|place| {
                let hasher = hasher.clone();
                tokio::spawn(async move { hasher.verify(&password("x"), None, place).await })
            })
            .collect();
        assert_eq!(waiting.len(), hasher.0.cores + 3);
        assert!(matches!(hasher.place(), Err(Busy)) && hasher.hash(&password("x")).await == Err(Busy));
        assert_eq!(hasher.counts(), (0, waiting.len()));
        drop(held);
        let computed = u64::try_from(waiting.len()).unwrap();
        for outcome in waiting {
            assert_eq!(outcome.await.unwrap(), Ok(false));
        }
        assert_eq!(hasher.counts(), (computed, 0));
        assert_eq!(hasher.verify(&password("x"), None, hasher.place().unwrap()).await, Ok(false));
    }

    #[tokio::test]
    async fn of_several_passwords_the_right_one_is_found() {
        let hasher = hasher(CHEAP);
        let stored = hasher.hash(&password("right")).await.unwrap();
        let [right, wrong] = ["right", "wrong"].map(password);
        for (passwords, stored, found, computed) in [
            (vec![wrong.clone(), right.clone()], Some(&stored), Some(1), 2),
            (vec![right.clone(), wrong.clone()], Some(&stored), Some(0), 1),
            (vec![wrong.clone(), wrong.clone()], Some(&stored), None, 2),
            (vec![wrong, right], None, None, 2),
        ] {
            let before = hasher.counts().0;
            let place = hasher.place().unwrap();
            assert_eq!(hasher.verify_any(&passwords, stored.map(String::as_str), place).await, Ok(found));
            assert_eq!(hasher.counts().0 - before, computed);
        }
    }

    #[tokio::test]
    async fn memory_is_kept_while_it_is_used_and_given_up_then() {
        let hasher = hasher(CHEAP);
        let kept = || hasher.0.buffers().len();
        hasher.verify(&password("x"), None, hasher.place().unwrap()).await.unwrap();
        hasher.release_if_idle();
        assert_eq!(kept(), 1, "used since");
        hasher.release_if_idle();
        assert_eq!(kept(), 0);
        assert_eq!(hasher.verify(&password("x"), None, hasher.place().unwrap()).await, Ok(false));
    }

    #[test]
    fn costs_outside_the_bounds_are_refused() {
        for wrong in
            [Cost { memory_kib: 1, ..CHEAP }, Cost { iterations: 0, ..CHEAP }, Cost { memory_kib: 300_000, ..CHEAP }]
        {
            assert!(Hasher::new(wrong, Random::system()).is_err(), "{wrong:?}");
        }
    }
}
