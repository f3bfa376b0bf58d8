//! See `snowshed::collector::fuzz::thrift`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snowshed::collector::fuzz::thrift(data));
