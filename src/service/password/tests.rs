//! Tests of password hashing.

use super::*;

const CHEAP: Cost = Cost { memory_kib: 64, iterations: 1, parallelism: 1, max_queued: 4 };

fn hasher(cost: Cost) -> Hasher {
    Hasher::new(cost, Random::system()).unwrap()
}

fn password(text: &str) -> Password {
    Password::parse_untrusted(text).unwrap()
}

#[tokio::test]
async fn hash_verifies_only_its_own_password() {
    let hasher = hasher(CHEAP);
    let stored = hasher.hash(&password("correct horse")).await.unwrap();
    assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
    assert_eq!(hasher.verify(&password("correct horse"), Some(&stored), hasher.reserve().unwrap()).await, Ok(true));
    assert_eq!(hasher.verify(&password("correct horsf"), Some(&stored), hasher.reserve().unwrap()).await, Ok(false));
    assert_eq!(hasher.verify(&password("correct horse"), None, hasher.reserve().unwrap()).await, Ok(false));
}

#[tokio::test]
async fn argon2_crate_accepts_the_hashes() {
    use argon2::PasswordVerifier as _;
    let stored = hasher(CHEAP).hash(&password("correct horse")).await.unwrap();
    let parsed = PasswordHash::new(&stored).unwrap();
    assert!(Argon2::default().verify_password(b"correct horse", &parsed).is_ok());
    assert!(Argon2::default().verify_password(b"another", &parsed).is_err());
}

#[tokio::test]
async fn hash_of_another_cost_verifies_and_needs_a_rehash() {
    let stored = hasher(CHEAP).hash(&password("correct horse")).await.unwrap();
    let costlier = hasher(Cost { iterations: 2, ..CHEAP });
    assert_eq!(costlier.verify(&password("correct horse"), Some(&stored), costlier.reserve().unwrap()).await, Ok(true));
    assert!(costlier.needs_rehash(&stored));
    assert!(!hasher(CHEAP).needs_rehash(&stored));
}

#[tokio::test]
async fn hashes_above_the_maximum_cost_are_rejected() {
    let hasher = hasher(CHEAP);
    let stored = hasher.hash(&password("correct horse")).await.unwrap();
    for hostile in [
        stored.replace("m=64", "m=4194304"),
        stored.replace("t=1", "t=4000"),
        stored.replace("argon2id", "argon2d"),
        "x".into(),
    ] {
        assert_eq!(
            hasher.verify(&password("correct horse"), Some(&hostile), hasher.reserve().unwrap()).await,
            Ok(false),
            "{hostile}"
        );
    }
}

#[tokio::test]
async fn full_queue_returns_busy_and_permits_are_released() {
    let hasher = hasher(Cost { max_queued: 3, ..CHEAP });
    let pause = hasher.pause().await;
    let waiting: Vec<_> = std::iter::from_fn(|| hasher.reserve().ok())
        .map(|permit| {
            let hasher = hasher.clone();
            tokio::spawn(async move { hasher.verify(&password("x"), None, permit).await })
        })
        .collect();
    assert_eq!(waiting.len(), hasher.0.cores + 3);
    assert!(matches!(hasher.reserve(), Err(HasherBusy)));
    assert_eq!(hasher.hash(&password("x")).await, Err(HasherBusy));
    assert_eq!(hasher.counts(), (0, waiting.len()));
    drop(pause);
    let expected_hashes = u64::try_from(waiting.len()).unwrap();
    for outcome in waiting {
        assert_eq!(outcome.await.unwrap(), Ok(false));
    }
    assert_eq!(hasher.counts(), (expected_hashes, 0));
    assert_eq!(hasher.verify(&password("x"), None, hasher.reserve().unwrap()).await, Ok(false));
}

#[tokio::test]
async fn verify_any_finds_the_matching_password() {
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
        let permit = hasher.reserve().unwrap();
        assert_eq!(hasher.verify_any(&passwords, stored.map(String::as_str), permit).await, Ok(found));
        assert_eq!(hasher.counts().0 - before, computed);
    }
}

#[tokio::test]
async fn buffers_are_released_only_when_idle() {
    let hasher = hasher(CHEAP);
    let buffer_count = || hasher.0.lock_buffers().len();
    hasher.verify(&password("x"), None, hasher.reserve().unwrap()).await.unwrap();
    hasher.release_idle_buffers();
    assert_eq!(buffer_count(), 1, "a buffer in use since the last call was freed");
    hasher.release_idle_buffers();
    assert_eq!(buffer_count(), 0);
    assert_eq!(hasher.verify(&password("x"), None, hasher.reserve().unwrap()).await, Ok(false));
}

#[test]
fn costs_outside_the_bounds_are_rejected() {
    for invalid in
        [Cost { memory_kib: 1, ..CHEAP }, Cost { iterations: 0, ..CHEAP }, Cost { memory_kib: 300_000, ..CHEAP }]
    {
        assert!(Hasher::new(invalid, Random::system()).is_err(), "{invalid:?}");
    }
}
