//! The libFuzzer program of the target `token_value`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| tokenward_fuzz::token_value::run(bytes));
