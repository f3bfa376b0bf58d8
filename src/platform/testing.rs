//! What tests of several boxes need.

use std::path::Path;
use std::time::Duration;

/// How long a test waits for what has to come: a machine that is slow or busy is no failure.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a fuzz target over every file of its corpus: what a fuzzer once found stays found.
pub fn over_corpus(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).flatten() {
        run(&std::fs::read(entry.path()).unwrap());
        count += 1;
    }
    assert!(count > 3, "{} has {count} files", folder.display());
}
