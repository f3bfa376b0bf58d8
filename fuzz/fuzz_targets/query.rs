//! See `snowshed::collector::fuzz::query`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snowshed::collector::fuzz::query(data));
