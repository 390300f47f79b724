//! The libFuzzer program of the target `authorization`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| tokenward_fuzz::authorization::run(bytes));
