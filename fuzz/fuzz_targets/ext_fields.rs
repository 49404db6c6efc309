//! `cargo fuzz run ext_fields`: see the README.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmq_fuzz::ext_fields(data));
