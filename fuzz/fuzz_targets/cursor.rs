//! The libFuzzer program of the target `cursor`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| tokenward_fuzz::cursor::run(bytes));
