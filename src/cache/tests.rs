//! Tests of the token cache and the lease, without a database.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use uuid::Uuid;

use super::{Lease, RecordedUse, TokenCache, entry::CachedPerson};
use crate::{
    domain::{
        id::{PersonId, WorkspaceId},
        invalidation::Invalidation,
        person::TokenAccess,
        time::{Clock, Timestamp},
        token_limits::TokenLimits,
        token_use::TokenUse,
    },
    last_used::LastUsedBuffer,
    store::FoundToken,
};
use tokenward_guard::token_format::TokenDigest;

/// Returns the row of a token of this person, as the database would return it.
pub(crate) fn found_token(person_id: i64, workspace_id: i64) -> FoundToken {
    FoundToken {
        token_id: Uuid::from_u128(person_id.unsigned_abs().into()),
        created_at: Timestamp::from_millis(0),
        ends_at: None,
        is_replaced: false,
        limits: TokenLimits::NONE,
        person_id: PersonId::new(person_id),
        workspace_id: WorkspaceId::new(workspace_id),
        email: format!("{person_id}@example.com"),
        name: String::new(),
        is_admin: false,
        is_platform_admin: false,
        is_disabled: false,
        token_access: TokenAccess::Default,
        enabled: None,
        provider_sign_in: None,
    }
}

/// Returns digests that are distributed over the shards, like real ones.
fn digest(n: u64) -> TokenDigest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    bytes[8] = n.to_le_bytes()[0];
    bytes[16..24].copy_from_slice(&n.to_le_bytes());
    TokenDigest::from_bytes(bytes)
}

fn new_cache(max_tokens: usize) -> TokenCache {
    TokenCache::new(max_tokens, usize::MAX, LastUsedBuffer::default())
}

fn insert(cache: &TokenCache, n: u64, row: &FoundToken) {
    cache.insert(cache.version(), &digest(n), row);
}

#[test]
fn an_invalidation_removes_only_affected_tokens() {
    let cache = new_cache(1_000);
    for (n, person, workspace) in [(1, 10, 100), (2, 10, 100), (3, 11, 100), (4, 12, 101)] {
        insert(&cache, n, &found_token(person, workspace));
    }
    let cached = |cache: &TokenCache| [1, 2, 3, 4].map(|n| cache.find(&digest(n)).is_some());
    cache.invalidate(Invalidation::Token(digest(1)));
    assert_eq!(cached(&cache), [false, true, true, true]);
    cache.invalidate(Invalidation::Person(PersonId::new(10)));
    assert_eq!(cached(&cache), [false, false, true, true]);
    cache.invalidate(Invalidation::Workspace(WorkspaceId::new(100)));
    assert_eq!(cached(&cache), [false, false, false, true]);
    insert(&cache, 3, &found_token(11, 100));
    assert_eq!(cached(&cache), [false, false, true, true]);
    cache.invalidate(Invalidation::Everything);
    assert_eq!(cached(&cache), [false; 4]);
    assert_eq!(cache.len(), 0);
}

/// The invalidation arrives after the database read and before its result is inserted.
#[test]
fn a_read_that_overlaps_with_an_invalidation_is_not_cached() {
    for invalidation in [
        Invalidation::Token(digest(1)),
        Invalidation::Person(PersonId::new(7)),
        Invalidation::Workspace(WorkspaceId::new(1)),
        Invalidation::Everything,
    ] {
        let cache = new_cache(1_000);
        let version = cache.version();
        cache.invalidate(invalidation);
        let token = cache.insert(version, &digest(1), &found_token(7, 1));
        assert!(cache.find(&digest(1)).is_none(), "{invalidation:?}");
        assert_eq!(token.person.identity.person_id, 7, "the checks that wait for the read use its result");
    }
    let cache = new_cache(1_000);
    let version = cache.version();
    cache.invalidate(Invalidation::Person(PersonId::new(8)));
    cache.insert(version, &digest(1), &found_token(7, 1));
    assert!(cache.find(&digest(1)).is_some(), "an invalidation of another person has no effect");
}

#[test]
fn a_newer_row_replaces_the_cached_person_and_workspace() {
    let cache = new_cache(1_000);
    insert(&cache, 1, &found_token(7, 1));
    insert(&cache, 2, &found_token(7, 1));
    let disabled = FoundToken { is_disabled: true, ..found_token(7, 1) };
    let token = cache.insert(cache.version(), &digest(1), &disabled);
    assert!(token.person.is_disabled);
    assert!(cache.find(&digest(1)).unwrap().person.is_disabled);
    assert!(cache.find(&digest(2)).is_none(), "points to the previous state of the person");
    let switched_off = FoundToken { enabled: Some(false), ..found_token(8, 1) };
    insert(&cache, 3, &switched_off);
    assert!(cache.find(&digest(1)).is_none(), "points to the previous state of the workspace");
}

#[test]
fn tokens_of_one_person_share_one_entry() {
    let cache = new_cache(1_000);
    (0..100).for_each(|n| insert(&cache, n, &found_token(7, 1)));
    let first = cache.find(&digest(0)).unwrap();
    for n in 1..100 {
        assert!(Arc::ptr_eq(&first.person, &cache.find(&digest(n)).unwrap().person), "token {n}");
    }
    let bytes = cache.bytes();
    assert!((9_000..12_000).contains(&bytes), "{bytes} bytes");
}

/// A person or workspace that was swept while a cached token points to it could no longer be
/// invalidated.
#[test]
fn sweeping_removes_only_unused_people_and_workspaces() {
    const PEOPLE: i64 = 3_000;
    let digest_of = |id: i64| digest(id.unsigned_abs());
    let person = |id| Invalidation::Person(PersonId::new(id));
    let workspace = |id| Invalidation::Workspace(WorkspaceId::new(id));
    for invalidation in [person as fn(i64) -> Invalidation, workspace] {
        let cache = new_cache(100_000);
        (1..=PEOPLE).for_each(|id| insert(&cache, id.unsigned_abs(), &found_token(id, id)));
        assert_eq!(cache.tracked_owners(), 2 * 3_000);
        for id in 1..=PEOPLE {
            assert!(cache.find(&digest_of(id)).is_some());
            cache.invalidate(invalidation(id));
            assert!(cache.find(&digest_of(id)).is_none(), "{:?}", invalidation(id));
        }
    }
    let cache = new_cache(100_000);
    for id in 1..=PEOPLE {
        insert(&cache, id.unsigned_abs(), &found_token(id, id));
        cache.invalidate(Invalidation::Token(digest_of(id)));
    }
    assert!(cache.tracked_owners() <= 1_024, "{}", cache.tracked_owners());
}

#[test]
fn tokens_of_one_administrator_share_one_entry() {
    for (is_admin, is_platform_admin) in [(true, false), (false, true), (true, true)] {
        let cache = new_cache(1_000);
        let row = FoundToken { is_admin, is_platform_admin, ..found_token(7, 1) };
        let [first, second] = [1, 2].map(|n| cache.insert(cache.version(), &digest(n), &row).person);
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(first.identity.is_admin, is_admin);
        assert_eq!(first.identity.is_platform_admin, is_admin && is_platform_admin);
        let changed = FoundToken { is_admin: !is_admin, ..row };
        let third = cache.insert(cache.version(), &digest(1), &changed).person;
        assert!(!Arc::ptr_eq(&first, &third), "the role has changed");
    }
}

#[test]
fn the_size_includes_the_texts_of_a_person() {
    let bytes = |email: usize, name: usize| {
        let cache = new_cache(1_000);
        let row = FoundToken { email: "e".repeat(email), name: "n".repeat(name), ..found_token(7, 1) };
        insert(&cache, 1, &row);
        cache.bytes()
    };
    assert_eq!(bytes(10, 100) - bytes(0, 0), 110);
    assert!(bytes(0, 0) > size_of::<CachedPerson>());
}

#[test]
fn a_scan_of_all_tokens_does_not_evict_those_in_regular_use() {
    let cache = new_cache(6_400);
    let check = |n: u64| {
        let token =
            cache.find(&digest(n)).unwrap_or_else(|| cache.insert(cache.version(), &digest(n), &found_token(7, 1)));
        cache.record_use(&token, Timestamp::from_millis(i64::try_from(n).unwrap() + 1));
    };
    for n in (0..1_000).chain(0..1_000) {
        check(n);
    }
    for n in 10_000..50_000 {
        check(n);
        check(n % 1_000);
    }
    assert!(cache.len() <= 6_400);
    let cached = (0..1_000).filter(|n| cache.find(&digest(*n)).is_some()).count();
    assert!(cached > 950, "{cached} of 1000 tokens in regular use are cached");
}

#[test]
fn the_size_in_bytes_is_bounded() {
    let cache = TokenCache::new(1_000_000, 1_000_000, LastUsedBuffer::default());
    for n in 0..20_000 {
        let row = FoundToken { name: "x".repeat(200), ..found_token(i64::try_from(n).unwrap(), 1) };
        insert(&cache, n, &row);
    }
    assert!(cache.bytes() < 1_010_000, "{} bytes", cache.bytes());
    assert!(cache.len() > 1_000, "{} tokens", cache.len());
}

#[test]
fn uses_are_taken_once_and_survive_their_token() {
    let last_used = LastUsedBuffer::default();
    let cache = TokenCache::new(1_000, usize::MAX, last_used.clone());
    let at = Timestamp::from_millis;
    for n in 1..=3 {
        insert(&cache, n, &found_token(i64::try_from(n).unwrap(), 1));
        let token = cache.find(&digest(n)).unwrap();
        for millis in [5, 9, 7] {
            assert_ne!(cache.record_use(&token, at(millis)), RecordedUse::Uncached);
        }
    }
    let deleted = cache.find(&digest(1)).unwrap();
    cache.invalidate(Invalidation::Token(digest(1)));
    assert_eq!(cache.record_use(&deleted, at(11)), RecordedUse::Uncached, "the token is no longer cached");
    let mut uses = cache.take_unwritten_uses();
    uses.sort_unstable();
    assert_eq!(uses, [(Uuid::from_u128(2), at(9)), (Uuid::from_u128(3), at(9))]);
    assert!(cache.take_unwritten_uses().is_empty());
    let passed_on = TokenUse { token_id: Uuid::from_u128(1), at: at(9), address: None };
    assert_eq!(last_used.take(), [passed_on], "the removed token passed on its use");
}

#[test]
fn a_lease_ends_by_the_monotonic_clock() {
    let boottime = Arc::new(AtomicU64::new(1_000));
    let millis = Arc::clone(&boottime);
    let clock = Clock::from_fn(|| Timestamp::from_millis(0))
        .with_boottime(move || Duration::from_millis(millis.load(Ordering::SeqCst)));
    let lease = Lease::none(clock.clone());
    assert!(!lease.is_valid());
    lease.extend(Duration::from_millis(1_500));
    assert!(lease.is_valid());
    boottime.store(1_499, Ordering::SeqCst);
    assert!(lease.is_valid());
    boottime.store(1_500, Ordering::SeqCst);
    assert!(!lease.is_valid());
    lease.extend(Duration::from_millis(2_000));
    lease.release();
    assert!(!lease.is_valid());
    assert!(Lease::unlimited(clock).is_valid());
}

#[test]
fn the_longest_lease_is_not_unlimited() {
    let clock = Clock::from_fn(|| Timestamp::from_millis(0)).with_boottime(|| Duration::MAX);
    let lease = Lease::none(clock.clone());
    lease.extend(Duration::MAX);
    assert!(!lease.is_valid());
    assert!(Lease::unlimited(clock).is_valid());
}

#[test]
fn many_threads_insert_and_invalidate_at_once() {
    let cache = new_cache(512);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let cache = &cache;
            scope.spawn(move || {
                for round in 0..5_000_u64 {
                    let n = (round * 7 + thread) % 1_000;
                    let person_id = i64::try_from(n % 10).unwrap();
                    match cache.find(&digest(n)) {
                        Some(token) => {
                            assert_eq!(token.person.identity.person_id, person_id);
                            cache.record_use(&token, Timestamp::from_millis(1));
                        }
                        None => insert(cache, n, &found_token(person_id, 1)),
                    }
                    if round % 97 == 0 {
                        cache.invalidate(Invalidation::Person(PersonId::new(person_id)));
                    }
                }
            });
        }
    });
    assert!(cache.len() <= 512);
}
