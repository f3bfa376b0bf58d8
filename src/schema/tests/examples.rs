//! Examples written by hand: `tests/schemas/vendor/name/version.json` holds `{"pass":[…],"fail":[…]}`.

use super::*;
use crate::event::json::{Json, parse};
use std::path::PathBuf;

fn files(dir: PathBuf, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())).flatten() {
        if entry.path().is_dir() {
            files(entry.path(), out);
        } else {
            out.push(entry.path());
        }
    }
}

#[test]
fn hand_written_examples_pass_and_fail_as_they_should() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/schemas");
    let mut all = Vec::new();
    files(root.clone(), &mut all);
    assert!(all.len() >= 25, "{}", all.len());
    let resolver = resolver(&Config::default(), None);
    for file in all {
        let relative = file.strip_prefix(&root).unwrap().with_extension("");
        let parts: Vec<&str> = relative.to_str().unwrap().split('/').collect();
        let key = key(&format!("{}/{}/jsonschema/{}", parts[0], parts[1], parts[2]));
        let Lookup::Found(schema) = fetched(&resolver, &key) else { panic!("{key} is not found") };
        let text = std::fs::read_to_string(&file).unwrap();
        let examples = parse(&text, 60).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let list = |name: &str| -> Vec<Json<'_>> { examples.get(name).and_then(Json::as_array).unwrap().to_vec() };
        assert!(!list("pass").is_empty() && !list("fail").is_empty(), "{key}");
        for data in list("pass") {
            assert_eq!(schema.validate(&data), [], "{key} {}", data.to_text());
        }
        for data in list("fail") {
            assert!(!schema.is_valid(&data), "{key} should refuse {}", data.to_text());
        }
    }
}
