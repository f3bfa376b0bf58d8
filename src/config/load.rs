//! Reading: file, then environment, then checks; a mistake names its key, its line and what is allowed.

use super::Config;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use toml_edit::{Document, DocumentMut, Item, Value};

/// Prefix of environment variables that override a key: `SNOWSHED__COLLECTOR__LISTEN`.
const PREFIX: &str = "SNOWSHED__";

/// A configuration that can be used, and what it was made from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// The file, if one was given.
    pub file: Option<PathBuf>,
    /// Keys set by the file, dotted.
    pub from_file: Vec<String>,
    /// Keys set by the environment, dotted, with the variable's name.
    pub from_env: Vec<(String, String)>,
}

/// Why a configuration cannot be used. Printed whole, a problem a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// Reads `file` (or only the defaults), puts the variables of `env` on top and checks the result.
///
/// # Errors
/// Every problem found, each with key, place, value and what is allowed.
pub fn load(file: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Loaded, ConfigError> {
    let one = |text: String| ConfigError(vec![text]);
    let text = match file {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|e| one(format!("configuration file {}: {e}", path.display())))?
        }
        None => String::new(),
    };
    let place = file.map_or_else(|| "configuration".to_owned(), |p| p.display().to_string());
    parse(&text).map_err(|e| one(format!("{place}: {e}")))?;
    let mut doc: DocumentMut = text.parse().map_err(|e| one(format!("{place}: {e}")))?;
    let mut from_file = Vec::new();
    leaves("", doc.as_table(), &mut from_file);

    let mut from_env = Vec::new();
    let mut variables: Vec<(String, String)> = env.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    let defaults = defaults();
    for (name, value) in variables {
        let key = name[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
        let before = doc.to_string();
        set(&mut doc, &key, typed(&defaults, &key, &value))
            .map_err(|why| one(format!("environment variable {name}: {why}")))?;
        if parse(&doc.to_string()).is_err() {
            // The other reading of the text: a bare word as a string, or a quoted look-alike as a value.
            doc = before.parse().map_err(|e| one(format!("{place}: {e}")))?;
            set(&mut doc, &key, Value::from(value.as_str()))
                .map_err(|why| one(format!("environment variable {name}: {why}")))?;
        }
        if let Err(e) = parse(&doc.to_string()) {
            return Err(one(format!("environment variable {name}=\"{value}\" (key {key}): {}", short(&e))));
        }
        from_env.push((key, name));
    }
    let config = parse(&doc.to_string()).map_err(|e| one(format!("{place}: {e}")))?;
    let problems = config.check();
    if !problems.is_empty() {
        return Err(ConfigError(problems.into_iter().map(|p| locate(&place, &text, &from_env, p)).collect()));
    }
    Ok(Loaded { config, file: file.map(Path::to_owned), from_file, from_env })
}

fn parse(text: &str) -> Result<Config, toml::de::Error> {
    toml::from_str(text)
}

/// The defaults as a tree, to know which type a key has.
pub(super) fn defaults() -> toml::Table {
    toml::Table::try_from(Config::default()).unwrap_or_default()
}

/// The first line of a TOML error that says what is wrong, without the excerpt of a document the user never saw.
fn short(error: &toml::de::Error) -> String {
    error.message().lines().next().unwrap_or_default().to_owned()
}

fn typed(defaults: &toml::Table, key: &str, text: &str) -> Value {
    let mut at = Some(defaults);
    let mut found: Option<&toml::Value> = None;
    for part in key.split('.') {
        found = at.and_then(|t| t.get(part));
        at = found.and_then(toml::Value::as_table);
    }
    match found {
        Some(toml::Value::String(_)) => Value::from(text),
        _ => text.trim().parse::<Value>().unwrap_or_else(|_| Value::from(text)),
    }
}

fn set(doc: &mut DocumentMut, key: &str, value: Value) -> Result<(), String> {
    let parts: Vec<&str> = key.split('.').collect();
    let Some((last, folders)) = parts.split_last() else { return Err("names no key".to_owned()) };
    let mut table: &mut dyn toml_edit::TableLike = doc.as_table_mut();
    for part in folders {
        let item = table.entry(part).or_insert(Item::Table(toml_edit::Table::new()));
        table = item.as_table_like_mut().ok_or_else(|| format!("\"{part}\" is no section"))?;
    }
    table.insert(last, Item::Value(value));
    Ok(())
}

fn leaves(prefix: &str, table: &dyn toml_edit::TableLike, out: &mut Vec<String>) {
    for (key, item) in table.iter() {
        let path = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        match item.as_table_like() {
            Some(inner) if !inner.is_empty() => leaves(&path, inner, out),
            _ => out.push(path),
        }
    }
}

/// Adds the place where the key was written to a problem found by a check.
fn locate(place: &str, text: &str, from_env: &[(String, String)], (key, what): (String, String)) -> String {
    let mut out = String::new();
    if let Some((_, variable)) = from_env.iter().find(|(k, _)| *k == key) {
        let _ = write!(out, "environment variable {variable} (key {key}): {what}");
        return out;
    }
    match line_of(text, &key) {
        Some(line) => {
            let _ = write!(out, "{place}, line {line}: {key}: {what}");
        }
        None => {
            let _ = write!(out, "{key}: {what}");
        }
    }
    out
}

fn line_of(text: &str, key: &str) -> Option<usize> {
    let doc = Document::parse(text).ok()?;
    let mut item: &Item = doc.as_item();
    let mut at = None;
    for part in key.split('.') {
        let (name, index) = part.split_once('[').unwrap_or((part, ""));
        let Some(next) = item.get(name) else { break };
        item = next;
        at = item.span().or(at);
        let Some(number) = index.strip_suffix(']').and_then(|n| n.parse::<usize>().ok()) else { continue };
        // A table of an array is no item, so its keys are looked up in it.
        let element = item.as_array_of_tables().and_then(|all| all.get(number));
        at = element.and_then(|table| table.span()).or(at);
        match element.zip(key.split_once(&format!("{part}."))).and_then(|(t, (_, rest))| t.get(rest)) {
            Some(found) => return line_at(text, found.span().or(at)),
            None => break,
        }
    }
    line_at(text, at)
}

fn line_at(text: &str, at: Option<std::ops::Range<usize>>) -> Option<usize> {
    at.map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, env: &[(&str, &str)]) -> Result<Loaded, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        load(Some(&path), env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))).map_err(|e| e.to_string())
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let loaded = with(
            "data_dir = \"/a\"\n[batch]\nmax_age = \"5s\"\n",
            &[
                ("SNOWSHED__DATA_DIR", "/b"),
                ("SNOWSHED__BATCH__MAX_AGE", "2s"),
                ("SNOWSHED__COLLECTOR__COOKIE__SECURE", "false"),
                ("PATH", "x"),
            ],
        )
        .unwrap();
        assert_eq!(loaded.config.data_dir, PathBuf::from("/b"));
        assert_eq!(loaded.config.batch.max_age.as_millis(), 2000);
        assert!(!loaded.config.collector.cookie.secure);
        assert_eq!(loaded.from_env.len(), 3);
    }

    #[test]
    fn a_mistake_names_key_and_line() {
        let unknown = with("data_dir = \"/a\"\n[batch]\nmax_agee = \"5s\"\n", &[]).unwrap_err();
        assert!(unknown.contains("line 3") && unknown.contains("max_agee"), "{unknown}");
        let wrong = with("[batch]\nmax_age = \"soon\"\n", &[]).unwrap_err();
        assert!(wrong.contains("line 2") && wrong.contains("soon"), "{wrong}");
        let range = with("[batch]\nmax_rows = 0\n", &[]).unwrap_err();
        assert!(range.contains("line 2") && range.contains("batch.max_rows"), "{range}");
        let second = "[[views]]\nname = \"a\"\ngrain = \"1m\"\n[views.measures]\nn = \"count\"\n\n[[views]]\nname = \"pulse\"\ngrain = \"1m\"\n[views.measures]\nn = \"count\"\n";
        let view = with(second, &[]).unwrap_err();
        assert!(view.contains("line 7: views[1]: \"pulse\" is the name of a built-in view"), "{view}");
        let registry = with("[[iglu.registries]]\nname = \"a\"\nuri = \"nowhere\"\n", &[]).unwrap_err();
        assert!(registry.contains("line 3: iglu.registries[0].uri"), "{registry}");
        let variable = with("", &[("SNOWSHED__BATCH__MAX_AGEE", "1s")]).unwrap_err();
        assert!(variable.contains("SNOWSHED__BATCH__MAX_AGEE"), "{variable}");
    }
}
