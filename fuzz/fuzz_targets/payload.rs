//! See `snowshed::enrich::fuzz::payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snowshed::enrich::fuzz::payload(data));
