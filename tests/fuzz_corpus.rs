//! Runs the fuzz targets of `fuzz/` with their corpus and with reproducible mutations of it.
//! `scripts/fuzz` runs them with libFuzzer.
//!
//! `TOKENWARD_FUZZ_SEED` selects other mutations, and `TOKENWARD_FUZZ_MUTATIONS` sets their number.

#![expect(clippy::expect_used, clippy::panic, reason = "a failed fuzz target panics")]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

/// Fragments with a meaning for one of the parsers.
const FRAGMENTS: [&[u8]; 38] = [
    b"$VALID",
    b"$DELETED",
    b"$USER",
    b"$SESSION",
    b"Bearer ",
    b"Basic ",
    b"secret-token:",
    b"authorization:",
    b"tokenward=",
    b"__Host-tokenward=",
    b"token=",
    b"for=",
    b"10.0.0.1",
    b"::ffff:10.0.0.1",
    b"[2001:db8::1]:80",
    b"workspace=1",
    b"admin",
    b"any",
    b"\"lifetimeSeconds\":",
    b"-1",
    b"3600",
    b"1e2",
    b"null",
    b"\\u0000",
    b"%2F",
    b"%00",
    b"/",
    b"//",
    b"\n",
    b",",
    b";",
    b"\"",
    b"<!-- c -->",
    b"<![CDATA[x]]>",
    b"<saml:NameID>eve</saml:NameID>",
    b" xmlns=\"urn:x\"",
    b" ID=\"_torture\"",
    b"&#101;",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn env_number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Returns the named inputs of a target. Inputs that libFuzzer has found are named by a hash and
/// not in the repository.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = root().join("corpus").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder in fuzz/corpus")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name.len() < 40))
        .collect();
    files.sort();
    files.into_iter().map(|file| std::fs::read(file).expect("an input")).collect()
}

/// Applies one random change to an input.
fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut StdRng) {
    let at = random.random_range(0..=input.len());
    let end = (at + random.random_range(0..8)).min(input.len());
    match random.random_range(0..7) {
        0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
        1 if at < input.len() => input[at] = random.random(),
        2 => drop(input.splice(at..end, FRAGMENTS.choose(random).copied().unwrap_or_default().iter().copied())),
        3 => drop(input.drain(at..end)),
        4 => {
            let piece = input[at..end].to_vec();
            drop(input.splice(at..at, piece));
        }
        5 => {
            let donor = corpus.choose(random).cloned().unwrap_or_default();
            let from = random.random_range(0..=donor.len());
            input.truncate(at);
            input.extend_from_slice(&donor[from..]);
        }
        _ => input.insert(at, random.random_range(b' '..=b'~')),
    }
    input.truncate(8_192);
}

fn check_input(name: &str, input: &[u8]) {
    let target = fuzz::TARGETS.iter().find(|(target, _)| *target == name).expect("a target").1;
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        panic!("target {name} failed for \"{}\"", input.escape_ascii());
    }
}

fn run_target(name: &str) {
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for input in &corpus {
        check_input(name, input);
    }
    let mut random = StdRng::seed_from_u64(env_number("TOKENWARD_FUZZ_SEED", 1));
    for _ in 0..env_number("TOKENWARD_FUZZ_MUTATIONS", 1_500) {
        let mut input = corpus.choose(&mut random).cloned().unwrap_or_default();
        for _ in 0..random.random_range(1..5) {
            mutate(&mut input, &corpus, &mut random);
        }
        check_input(name, &input);
    }
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];
        $(#[test]
        fn $name() {
            run_target(stringify!($name));
        })*
    };
}

targets!(
    authorization,
    cookie,
    cursor,
    ext_authz,
    form,
    forwarded,
    json,
    ldap_message,
    path,
    saml_response,
    token_value
);

/// Each target has a function, a program for libFuzzer, a corpus folder and a test.
#[test]
fn every_target_has_a_program_a_corpus_and_a_test() {
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
        let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
        entries.filter_map(|entry| stem(entry.expect("an entry").path())).collect()
    };
    let targets: BTreeSet<String> = fuzz::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(TESTED.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), targets);
    assert_eq!((names("fuzz_targets"), names("corpus")), (targets.clone(), targets.clone()));
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    for target in targets {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")),
            "{target} is not in fuzz/Cargo.toml"
        );
    }
}
