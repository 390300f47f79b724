//! Token values are as random as they should be: no duplicates, and equally distributed characters.

use std::collections::HashSet;

use tokenward::domain::random::Random;
use tokenward_guard::token_format::TokenFormat;

use super::iterations;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The random characters follow the prefix `twd_`. After them comes the checksum.
const RANDOM_CHARS: std::ops::Range<usize> = 4..47;
/// For 61 degrees of freedom, chi-squared is in this range with a probability of 0.998.
const CHI_SQUARED: std::ops::Range<f64> = 32.46..100.89;

/// One correct run in five hundred fails by chance, so a failure is repeated once with other
/// values. A defect fails twice.
#[test]
fn token_values_do_not_repeat_and_their_characters_are_equally_likely() {
    let count = iterations(100_000, 1_000_000);
    let first = chi_squared(count);
    println!(
        "[measured] token values: {count} values, 0 duplicates, chi-squared of the characters {first:.1} (61 degrees of freedom)"
    );
    assert!(CHI_SQUARED.contains(&first) || CHI_SQUARED.contains(&chi_squared(count)), "{first}");
}

/// Generates values. Returns chi-squared of the frequencies of their characters.
fn chi_squared(count: usize) -> f64 {
    let format = TokenFormat::default();
    let random = Random::system();
    let mut values = HashSet::with_capacity(count);
    let mut frequencies = [0_u32; 128];
    for _ in 0..count {
        let value = format.generate(|bytes| random.fill(bytes)).expose().to_owned();
        value[RANDOM_CHARS].bytes().for_each(|byte| frequencies[usize::from(byte)] += 1);
        assert!(values.insert(value), "a value was generated twice");
    }
    let expected = (count * RANDOM_CHARS.len()) as f64 / BASE62.len() as f64;
    BASE62.iter().map(|byte| (f64::from(frequencies[usize::from(*byte)]) - expected).powi(2) / expected).sum()
}
