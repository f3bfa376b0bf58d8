//! The shape of the house, held by a test.
//!
//! Reads the sources as text: which folder imports which, which crate is named where, what every file opens with, how long
//! it is. A rule that is only written down is a rule that is soon broken.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders and files under `src/` by layer; a name may import names of lower layers only, and of its own layer where
/// `peers` says so.
const LAYERS: &[(u8, &[&str], bool)] = &[
    (6, &["main", "cli", "app", "config"], true),
    (5, &["serving"], false),
    (4, &["admin"], false),
    (3, &["collector", "enrich", "dedupe", "speed", "batch"], false),
    (2, &["journal", "schema", "net"], false),
    (1, &["event", "view"], false),
    (0, &["platform", "pipeline", "telemetry"], false),
];

/// Crates that one place only may name.
const FENCES: &[(&str, &[&str])] = &[
    ("duckdb", &["src/batch/warehouse/duckdb"]),
    ("libc", &["src/platform/slice"]),
    ("rdkafka", &["src/speed/streams/kafka"]),
    ("object_store", &["src/batch/lake", "src/batch/error"]),
    ("parquet", &["src/batch"]),
    ("axum", &["src/serving"]),
    (
        "rustls",
        &[
            "src/net",
            "src/collector/tls",
            "src/main.rs",
            "src/schema/registry",
            "src/enrich/steps/asset",
            "src/cli",
            "src/serving/tests",
        ],
    ),
    ("fancy_regex", &["src/schema", "src/enrich"]),
    ("clap", &["src/cli", "src/main.rs"]),
    ("datasketches", &["src/view"]),
    ("rust_embed", &["src/schema", "src/serving/dashboard", "src/enrich/steps"]),
];

/// Production lines of a file; a pure table that says "pure table" in its header is exempt.
const MAX_LINES: usize = 400;
/// Lines of one function.
const MAX_FUNCTION: usize = 70;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

struct Source {
    path: String,
    text: String,
}

fn sources(folder: &str) -> Vec<Source> {
    let mut out = Vec::new();
    let mut todo = vec![root().join(folder)];
    while let Some(dir) = todo.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let relative = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                out.push(Source { path: relative, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

/// The lines before the tests: what counts as production code.
fn production(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod ").map_or(text, |at| &text[..at])
}

fn is_test_file(path: &str) -> bool {
    ["/tests/", "/tests.rs", "/testing.rs", "/testing/", "_sim.rs"].iter().any(|mark| path.contains(mark))
}

fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, l)| (i + 1, l)).filter(|(_, l)| !l.trim_start().starts_with("//"))
}

fn box_of(path: &str) -> &str {
    let rest = path.trim_start_matches("src/");
    rest.split(['/', '.']).next().unwrap_or(rest)
}

fn layer_of(name: &str) -> Option<(u8, bool)> {
    LAYERS.iter().find(|(_, names, _)| names.contains(&name)).map(|(n, _, peers)| (*n, *peers))
}

fn report(rule: &str, problems: Vec<String>) {
    assert!(problems.is_empty(), "{rule}:\n  {}", problems.join("\n  "));
}

/// The boxes that a path names behind `crate::`: one, or those of a group in braces, which may go on for lines.
fn named(rest: &str, code: &str, line: usize) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    if !rest.starts_with('{') {
        return vec![word(rest)];
    }
    let further: String = code.lines().skip(line).take(60).collect::<Vec<_>>().join(" ");
    let group = format!("{} {further}", &rest[1..]);
    let (mut depth, mut out, mut fresh) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && depth == 0 && !c.is_whitespace() => {
                out.push(word(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    out
}

#[test]
fn a_group_of_imports_names_each_box() {
    assert_eq!(named("batch::config::X;", "", 0), ["batch"]);
    let code = "use crate::{batch, collector::{self, x},\n    enrich, serving};\nuse std::fs;";
    assert_eq!(named("{batch, collector::{self, x},", code, 1), ["batch", "collector", "enrich", "serving"]);
}

#[test]
fn imports_go_down_only() {
    let mut problems = Vec::new();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources("src") {
        let from = box_of(&source.path).to_owned();
        if from == "lib" || is_test_file(&source.path) {
            continue;
        }
        let Some((layer, peers)) = layer_of(&from) else {
            problems.push(format!("{}: the folder is in no layer", source.path));
            continue;
        };
        let code = production(&source.text);
        for (line, text) in code_lines(code) {
            for prefix in ["crate::", "snowshed::"] {
                for to in text.match_indices(prefix).flat_map(|(at, _)| named(&text[at + prefix.len()..], code, line)) {
                    if to == from {
                        continue;
                    }
                    let Some((other, _)) = layer_of(&to) else { continue };
                    graph.entry(from.clone()).or_default().insert(to.clone());
                    let allowed = other < layer || (other == layer && peers) || (from == "view" && to == "event");
                    if !allowed {
                        problems.push(format!(
                            "{}:{line}: {from} (layer {layer}) imports {to} (layer {other})",
                            source.path
                        ));
                    }
                }
            }
        }
    }
    for (from, tos) in &graph {
        for to in tos {
            let shell = layer_of(from).is_some_and(|(l, _)| l == 6) && layer_of(to).is_some_and(|(l, _)| l == 6);
            if !shell && graph.get(to).is_some_and(|back| back.contains(from)) {
                problems.push(format!("{from} and {to} import each other"));
            }
        }
    }
    report("imports go down only (docs/ARCHITECTURE.md)", problems);
}

#[test]
fn a_fenced_crate_is_named_in_its_place_only() {
    let mut problems = Vec::new();
    for source in sources("src") {
        if is_test_file(&source.path) {
            continue;
        }
        for (line, text) in code_lines(&source.text) {
            for (name, places) in FENCES {
                let named = text.contains(&format!("{name}::")) || text.contains(&format!("use {name};"));
                let own = text.contains(&format!("::{name}::")) || text.contains(&format!("_{name}::"));
                if named && !own && !places.iter().any(|p| source.path.starts_with(p)) {
                    problems.push(format!("{}:{line}: crate {name} belongs into {}", source.path, places.join(", ")));
                }
            }
        }
    }
    report("crate fences", problems);
}

#[test]
fn every_file_says_what_it_owns() {
    let all = ["src", "tests", "benches"].into_iter().flat_map(sources).filter(|s| !s.text.starts_with("//!"));
    report("a file opens with `//!`", all.map(|s| s.path).collect());
}

#[test]
fn files_and_functions_stay_small() {
    let mut problems = Vec::new();
    for source in sources("src") {
        if is_test_file(&source.path) {
            continue;
        }
        let text = production(&source.text);
        let lines = text.lines().count();
        let header: String = text.lines().take_while(|l| l.starts_with("//!")).collect();
        let table = header.to_lowercase().contains("pure table");
        if lines > MAX_LINES && !table {
            problems.push(format!("{}: {lines} lines, at most {MAX_LINES}", source.path));
        }
        let mut start: Option<(usize, usize, String)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let word = line.trim_start();
            let opens = [
                "fn ",
                "pub fn ",
                "pub(crate) fn ",
                "pub(super) fn ",
                "async fn ",
                "pub async fn ",
                "pub(super) async fn ",
                "const fn ",
                "pub const fn ",
            ]
            .iter()
            .any(|p| word.starts_with(p));
            if opens && start.is_none() {
                start = Some((number, indent, word.to_owned()));
            } else if let Some((from, depth, name)) = &start
                && line.starts_with(&format!("{}}}", " ".repeat(*depth)))
            {
                let length = number - from + 1;
                if length > MAX_FUNCTION && !table {
                    let name = name.split('(').next().unwrap_or(name);
                    problems.push(format!(
                        "{}:{}: `{name}` has {length} lines, at most {MAX_FUNCTION}",
                        source.path,
                        from + 1
                    ));
                }
                start = None;
            }
            if start.as_ref().is_some_and(|(from, ..)| *from == number) && (word.ends_with('}') || word.ends_with(';'))
            {
                start = None;
            }
        }
    }
    report("sizes", problems);
}

#[test]
fn nothing_unwraps_without_a_reason() {
    let mut problems = Vec::new();
    for source in sources("src") {
        if is_test_file(&source.path) {
            continue;
        }
        let text = production(&source.text);
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            let panics = [".unwrap()", ".expect(\"", "panic!(", "unreachable!(", "unimplemented!(", "todo!("];
            if !panics.iter().any(|p| code.contains(p)) {
                continue;
            }
            let said = line.contains("//") || number > 0 && lines[number - 1].trim_start().starts_with("//");
            if !said {
                problems.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    report("`unwrap`, `expect` and panics outside tests carry a reason in a comment", problems);
}

#[test]
fn every_configuration_key_is_documented() {
    let text = fs::read_to_string(root().join("config.toml")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut problems = Vec::new();
    // What the first table of an array says of a key holds for the others.
    let (mut table, mut known) = ("", BTreeSet::new());
    for (number, line) in lines.iter().enumerate() {
        if line.starts_with('[') {
            table = line;
        }
        let is_key = line.chars().next().is_some_and(|c| c.is_ascii_lowercase()) && line.contains('=');
        if !is_key {
            continue;
        }
        let said = line.contains(" # ")
            || number > 0 && {
                let above = lines[number - 1];
                above.starts_with("# ")
            };
        let key = (table, line.split('=').next().unwrap_or_default());
        if said {
            known.insert(key);
        } else if !known.contains(&key) {
            problems.push(format!("config.toml:{}: {line}", number + 1));
        }
    }
    report("a configuration key carries a comment", problems);
}

#[test]
fn the_page_never_turns_data_into_markup() {
    let banned =
        ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "srcdoc", "eval(", "Function("];
    let ui = root().join("src/serving/dashboard/ui");
    let mut problems = Vec::new();
    for entry in fs::read_dir(&ui).unwrap().flatten() {
        let path = entry.path();
        if !path.is_file() {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            for word in banned {
                if line.contains(word) {
                    problems.push(format!("{}:{}: {word}", name(&path), number + 1));
                }
            }
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            problems.push(format!("{}: {lines} lines, at most {MAX_LINES}", name(&path)));
        }
    }
    report("event data are text on the page", problems);
}

#[test]
fn unsafe_code_stays_out() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"deny\""));
    // Only here may the compiler be told to let it pass.
    let named = sources("src").into_iter().filter(|s| s.text.contains("unsafe_code") || s.text.contains("unsafe {"));
    let others = named.map(|s| s.path).filter(|path| path != "src/platform/slice.rs");
    report("unsafe code", others.collect());
}

fn name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}
