//! `cargo fuzz run header_rocketmq`: see the README.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmq_fuzz::header_rocketmq(data));
