//! See `snowshed::enrich::fuzz::line`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snowshed::enrich::fuzz::line(data));
