//! The libFuzzer program of the target `ext_authz`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| tokenward_fuzz::ext_authz::run(bytes));
