//! Heap allocations per event in the pure core of enrichment.
//!
//! `cargo bench --bench enrich_allocations`. A bench of its own, because counting slows the program down.

#[path = "enrich/traffic.rs"]
mod traffic;

use snowshed::event::Offset;
use snowshed::journal::RecordKind;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use traffic::Form;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let folder = std::env::temp_dir().join("snowshed-bench-enrich");
    std::fs::create_dir_all(&folder).expect("a folder for configuration files");
    println!("{:<34} {:>12} {:>14} {:>14}", "per event", "allocations", "reallocations", "bytes");
    for (name, form) in [
        ("POST of 10, JSON contexts", Form::Json(10)),
        ("POST of 10, base64 contexts", Form::Base64(10)),
        ("POST of 1, JSON contexts", Form::Json(1)),
        ("GET, base64 contexts", Form::Get),
    ] {
        let (records, each) = traffic::records(form, 500);
        for usual in [false, true] {
            let enricher = traffic::enricher(&folder, usual);
            let run = || {
                for record in &records {
                    let done = enricher.process(Offset(0), RecordKind::Payload, record, 0).expect("built-in schemas");
                    std::hint::black_box(done);
                }
            };
            run();
            let region = Region::new(GLOBAL);
            run();
            let stats = region.change();
            let per = |n: usize| n as f64 / (records.len() * each) as f64;
            let name = format!("{name}{}", if usual { ", usual steps" } else { "" });
            println!(
                "{name:<34} {:>12.1} {:>14.1} {:>14.0}",
                per(stats.allocations),
                per(stats.reallocations),
                per(stats.bytes_allocated)
            );
        }
    }
}
