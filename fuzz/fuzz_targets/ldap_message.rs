//! The libFuzzer program of the target `ldap_message`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| tokenward_fuzz::ldap_message::run(bytes));
