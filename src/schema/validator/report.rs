//! What is reported: problems of data, problems of schemas.

use serde::Serialize;

/// One rule that the data breaks, as it stands in a bad row under `dataReports`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// One sentence for the person who repairs the tracker.
    pub message: String,
    /// Where: `$.a.b[1]`. For a missing or an extra key the object that should or should not have it.
    pub path: String,
    /// The JSON Schema keyword; `dateTime` and `uuid` for those formats.
    pub keyword: String,
    /// The missing or extra key, or the bound that was broken.
    pub targets: Vec<String>,
}

/// One reason why a document is no draft-04 schema, as it stands in a bad row under `schemaIssues`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SchemaIssue {
    /// Where in the schema: `$.properties.a.type`.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl Report {
    /// The report for data whose schema cannot be used.
    pub fn of_faulty_schema(issues: &[SchemaIssue]) -> Report {
        let first = issues.first().map_or(String::new(), |i| format!(": {} {}", i.path, i.message));
        Report {
            message: format!("the schema itself is faulty{first}"),
            path: "$".to_owned(),
            keyword: "schema".to_owned(),
            targets: Vec::new(),
        }
    }
}
