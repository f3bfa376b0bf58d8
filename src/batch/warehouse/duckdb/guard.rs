//! What a user's SQL may be: one SELECT over our tables.
//!
//! The file is opened so that no statement reaches other files (see [`super::instance`]) and a snapshot's transaction is
//! read-only; this is the wall in front of those. DuckDB's own parser says what a text is (`json_serialize_sql` refuses
//! whatever is no SELECT), then every table and function in it is looked at: table functions must be on a short list, since
//! some of them read files, run text as SQL or take addresses of memory.

use crate::batch::error::ReadError;
use crate::event::json::{self, Json};
use duckdb::Connection;
use std::collections::HashSet;

/// Longest statement.
const MAX_SQL: usize = 1 << 20;
/// Deepest statement, in levels of the parser's tree; an operator takes about four.
const MAX_DEPTH: usize = 1000;

/// Table functions that compute from their arguments alone, or describe our own tables.
const TABLE_FUNCTIONS: [&str; 17] = [
    "duckdb_columns",
    "duckdb_functions",
    "duckdb_keywords",
    "duckdb_schemas",
    "duckdb_tables",
    "duckdb_types",
    "duckdb_views",
    "generate_series",
    "json_each",
    "json_tree",
    "pragma_table_info",
    "range",
    "repeat",
    "repeat_row",
    "summary",
    "unnest",
    "histogram",
];

/// Scalar functions with effects, or that trust their argument.
const NO_FUNCTIONS: [&str; 12] = [
    "add_parquet_key",
    "currval",
    "getenv",
    "json_serialize_plan",
    "nextval",
    "pg_sleep",
    "set_config",
    "setseed",
    "sleep_ms",
    "variant_bytes_to_variant",
    "which_secret",
    "write_log",
];

/// Schemas that a table may be asked for by name.
const SCHEMAS: [&str; 7] = ["atomic", "derived", "snowshed", "main", "temp", "information_schema", "pg_catalog"];

/// A statement that may be run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Checked {
    /// The statement as the parser understood it, without comments and semicolons.
    pub(super) tree: String,
    /// Whether it asks for table `events` or `events_failed`.
    pub(super) tables: HashSet<String>,
    /// Whether it is `DESCRIBE`, `SHOW` or `SUMMARIZE`.
    pub(super) shows: bool,
}

/// Looks a statement over.
///
/// # Errors
/// [`ReadError::Refused`] with the reason, or [`ReadError::Sql`] when it cannot be parsed.
pub(super) fn check(con: &Connection, sql: &str) -> Result<Checked, ReadError> {
    if sql.len() > MAX_SQL {
        return Err(ReadError::Refused(format!("the statement is longer than {MAX_SQL} bytes")));
    }
    if sql.contains('\0') {
        return Err(ReadError::Refused("the statement has a NUL character".to_owned()));
    }
    let tree: String = con
        .query_row("SELECT json_serialize_sql(?::VARCHAR)", [sql], |row| row.get(0))
        .map_err(|e| ReadError::Sql(e.to_string()))?;
    let parsed =
        json::parse(&tree, MAX_DEPTH).map_err(|_| ReadError::Refused("the statement is nested too deep".to_owned()))?;
    if parsed.get("error") != Some(&Json::Bool(false)) {
        let message = parsed.get("error_message").and_then(Json::as_str).unwrap_or("it cannot be parsed");
        return Err(match parsed.get("error_type").and_then(Json::as_str) {
            Some("not implemented") => ReadError::Refused(format!("only SELECT is allowed here ({message})")),
            _ => ReadError::Sql(message.to_owned()),
        });
    }
    let statements = parsed.get("statements").and_then(Json::as_array).unwrap_or_default();
    let [statement] = statements else {
        return Err(ReadError::Refused(format!("one statement at a time; these are {}", statements.len())));
    };
    let shows = statement.get("node").and_then(|n| n.get("from_table")).is_some_and(|f| kind(f) == Some("SHOW_REF"));
    let mut looked = Look { tables: HashSet::new() };
    looked.at(statement)?;
    Ok(Checked { tables: looked.tables, shows, tree })
}

struct Look {
    tables: HashSet<String>,
}

impl Look {
    fn at(&mut self, node: &Json<'_>) -> Result<(), ReadError> {
        match node {
            Json::Array(items) => items.iter().try_for_each(|item| self.at(item)),
            Json::Object(members) => {
                match kind(node) {
                    Some("BASE_TABLE" | "SHOW_REF") => self.table(node)?,
                    Some("TABLE_FUNCTION") => table_function(node)?,
                    _ => {}
                }
                if let Some(function) = text(node, "function_name") {
                    scalar_function(function)?;
                }
                members.iter().try_for_each(|(_, value)| self.at(value))
            }
            _ => Ok(()),
        }
    }

    fn table(&mut self, node: &Json<'_>) -> Result<(), ReadError> {
        let part = |key| text(node, key).unwrap_or_default().to_ascii_lowercase();
        let (catalog, schema, table) = (part("catalog_name"), part("schema_name"), part("table_name"));
        // A name that looks like a file's would be read as one.
        let plain = !table.contains(['.', '/', '\\', ':', '*', '?', '[']);
        let ours = ["", "warehouse", "temp", "system"].contains(&catalog.as_str())
            && (schema.is_empty() || SCHEMAS.contains(&schema.as_str()));
        if !plain || !ours {
            let name: Vec<&str> =
                [&catalog, &schema, &table].into_iter().map(String::as_str).filter(|p| !p.is_empty()).collect();
            return Err(ReadError::Refused(format!(
                "\"{}\" is not a table of the warehouse; there are events, events_failed, atomic.*, derived.* and snowshed.*",
                name.join(".")
            )));
        }
        self.tables.insert(table);
        Ok(())
    }
}

fn table_function(node: &Json<'_>) -> Result<(), ReadError> {
    let name = node.get("function").and_then(|f| text(f, "function_name")).unwrap_or_default().to_ascii_lowercase();
    if TABLE_FUNCTIONS.contains(&name.as_str()) {
        return Ok(());
    }
    Err(ReadError::Refused(format!("table function {name} is not allowed; allowed are {}", TABLE_FUNCTIONS.join(", "))))
}

fn scalar_function(name: &str) -> Result<(), ReadError> {
    let name = name.to_ascii_lowercase();
    if NO_FUNCTIONS.contains(&name.as_str()) || name.starts_with("__internal") || name.starts_with("read_") {
        return Err(ReadError::Refused(format!("function {name} is not allowed")));
    }
    Ok(())
}

fn kind<'a>(node: &'a Json<'_>) -> Option<&'a str> {
    text(node, "type")
}

fn text<'a>(node: &'a Json<'_>, key: &str) -> Option<&'a str> {
    node.get(key).and_then(Json::as_str)
}
