//! See `snowshed::collector::fuzz::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snowshed::collector::fuzz::request(data));
