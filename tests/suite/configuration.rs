//! The commented file at the root is the defaults; what is configured is checked before a start and recorded after it.

use crate::harness::{Instance, Setup, binary, command, free_ports, page_view};
use serde_json::{Value, json};
use snowshed::config::{Config, load};
use std::path::Path;
use std::process::{Command, Output};

#[test]
fn config_toml_is_complete_and_equals_the_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    let loaded = load(Some(&file), std::iter::empty()).unwrap_or_else(|e| panic!("{e}"));
    let text = |c: &Config| toml::Table::try_from(c).unwrap();
    let (file_values, defaults) = (text(&loaded.config), text(&Config::default()));
    let mut differences = Vec::new();
    compare("", &toml::Value::Table(file_values), &toml::Value::Table(defaults.clone()), &mut differences);
    let mut missing = Vec::new();
    keys("", &toml::Value::Table(defaults), &mut missing);
    let written = std::fs::read_to_string(&file).unwrap();
    missing.retain(|key| {
        let last = key.rsplit('.').next().unwrap_or(key);
        !written.lines().any(|l| l.trim_start_matches(['#', ' ']).starts_with(last))
    });
    assert!(differences.is_empty(), "config.toml differs from the defaults:\n{}", differences.join("\n"));
    assert!(missing.is_empty(), "keys that config.toml does not show:\n{}", missing.join("\n"));
}

fn compare(path: &str, a: &toml::Value, b: &toml::Value, out: &mut Vec<String>) {
    match (a, b) {
        (toml::Value::Table(a), toml::Value::Table(b)) => {
            for key in a.keys().chain(b.keys()).collect::<std::collections::BTreeSet<_>>() {
                match (a.get(key), b.get(key)) {
                    (Some(x), Some(y)) => compare(&format!("{path}{key}."), x, y, out),
                    (x, y) => out.push(format!("{path}{key}: file {x:?}, default {y:?}")),
                }
            }
        }
        (a, b) if a != b => out.push(format!("{path}: file {a}, default {b}")),
        _ => {}
    }
}

fn keys(path: &str, value: &toml::Value, out: &mut Vec<String>) {
    match value {
        toml::Value::Table(t) if !t.is_empty() => t.iter().for_each(|(k, v)| keys(&format!("{path}.{k}"), v, out)),
        _ => out.push(path.trim_start_matches('.').to_owned()),
    }
}

fn enrichment(folder: &Path, name: &str, parameters: &Value) {
    let vendor = "com.snowplowanalytics.snowplow";
    let data = json!({"vendor": vendor, "name": name, "enabled": true, "parameters": parameters});
    let file = json!({"schema": format!("iglu:{vendor}/{name}/jsonschema/1-0-1"), "data": data});
    std::fs::write(folder.join(format!("{name}.json")), file.to_string()).unwrap();
}

#[test]
fn check_refuses_what_run_refuses_and_in_the_same_words() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("en");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.json"), "{").unwrap();
    enrichment(&folder, "anon_ip", &json!({"anonOctets": 1.5}));
    let nowhere = dir.path().join("nowhere").display().to_string();
    let said = |out: &Output| String::from_utf8_lossy(&out.stderr).into_owned();
    for (i, (key, value, problems)) in [
        ("enrich.enrichments", folder.to_str().unwrap(), vec!["a.json: no JSON", "anonOctets: 1.5; allowed: 1 to 4"]),
        ("enrich.enrichments", &nowhere, vec!["nowhere\": the folder cannot be read: No such file"]),
        ("serving.token_file", &nowhere, vec!["serving.token_file = ", "No such file"]),
        ("lake.url", "s3://", vec!["s3://"]),
    ]
    .into_iter()
    .enumerate()
    {
        let (collector, serving) = free_ports();
        let data = dir.path().join(i.to_string());
        let setup = Setup::default().set(key, value);
        let run = command(&data, collector, serving, &setup).output().unwrap();
        let check =
            |args: &[&str]| Command::new(binary()).arg("check").args(args).envs(setup.env.clone()).output().unwrap();
        let checked = check(&[]);
        assert_eq!((run.status.code(), checked.status.code()), (Some(3), Some(2)), "{key}: {}", said(&checked));
        let (ran, lines) = (said(&run), said(&checked));
        for problem in problems {
            assert!(ran.contains(problem) && lines.contains(problem), "{key}: {problem}\n{ran}\n{lines}");
        }
        let found: Vec<&str> = lines.lines().skip(1).collect();
        assert!(found.iter().all(|line| ran.contains(line)), "{key}: {ran}\n{found:?}");
        let report: Value = serde_json::from_slice(&check(&["--json"]).stdout).unwrap();
        assert_eq!((&report["valid"], &report["problems"]), (&json!(false), &json!(found)), "{key}");
    }
}

#[test]
fn a_micro_batch_records_what_enrichment_was_made_from() {
    let dir = tempfile::tempdir().unwrap();
    let (data, folder) = (dir.path().join("data"), dir.path().join("en"));
    std::fs::create_dir(&folder).unwrap();
    enrichment(&folder, "ua_parser_config", &json!({}));
    let setup = Setup::default().set("enrich.enrichments", folder.to_str().unwrap());
    let (collector, serving) = free_ports();
    let mut hashes = Vec::new();
    for octets in [1, 2, 2] {
        enrichment(&folder, "anon_ip", &json!({"anonOctets": octets}));
        let mut instance = Instance::start_at(&data, collector, serving, &setup);
        assert_eq!(instance.post(&[page_view("shop", &[]).1]), 200);
        let status = instance.settle();
        let asset = &status["assets"][0];
        assert_eq!((&asset["step"], &asset["name"]), (&json!("ua-parser"), &json!("built in")), "{status}");
        assert_eq!(asset["checksum"].as_str().map(str::len), Some(8), "{status}");
        let last = "SELECT config_hash FROM snowshed.batches ORDER BY from_offset DESC LIMIT 1";
        hashes.push(instance.sql(last)[0][0].clone());
        assert!(instance.stop());
    }
    assert_ne!(hashes[0], hashes[1], "another configuration of enrichment");
    assert_eq!(hashes[1], hashes[2], "nothing changed");
}
