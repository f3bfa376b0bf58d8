//! A view that has been checked: fields looked up, measures parsed, the stored columns laid out.

use super::def::{TimeColumn, ViewDef};
use super::error::ViewError;
use super::field::Field;
use super::measure::{self, Function, Measure, Number};
use arrow::datatypes::{DataType, Field as Col, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

/// Most dimensions of a view.
pub const MAX_DIMENSIONS: usize = 8;
/// Most windows of a view.
pub const MAX_WINDOWS: usize = 8;
/// Most measures of a view.
pub const MAX_MEASURES: usize = 32;
/// What stands in every dimension of the group that takes what exceeds `max_groups`.
pub const OTHER: &str = "(other)";
/// Stored column that counts the events of a row, whatever the measures are.
pub const ROWS_COLUMN: &str = "_rows";

/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 86_400_000;

/// Tables of `derived` that are no views, and names that answers use themselves.
const RESERVED_VIEWS: [&str; 4] = ["views", "sessions", "users", "user_mapping"];
const RESERVED_COLUMNS: [&str; 4] = ["time", "batch_from", "batch_to", ROWS_COLUMN];

/// A dimension of a view.
#[derive(Clone, Debug, PartialEq)]
pub struct Dimension {
    /// Its name in answers and in the table.
    pub name: String,
    /// Index of its field.
    pub field: usize,
}

/// Only events whose field has one of these values, as text.
#[derive(Clone, Debug, PartialEq)]
pub struct Only {
    /// Index of the field.
    pub field: usize,
    /// The values, at least one.
    pub values: Vec<String>,
}

/// A checked view. Made by [`ViewDef::compile`]; shared by [`Arc`].
#[derive(Debug)]
pub struct View {
    def: ViewDef,
    pub(super) fields: Vec<Field>,
    pub(super) dimensions: Vec<Dimension>,
    pub(super) only: Vec<Only>,
    pub(super) measures: Vec<Measure>,
    pub(super) all: Arc<[usize]>,
    windows: Vec<i64>,
    schema: SchemaRef,
}

impl View {
    pub(super) fn compile(def: &ViewDef) -> Result<Arc<View>, ViewError> {
        Compiler { def, fields: Vec::new() }.compile().map(Arc::new)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.def.name
    }
    /// The definition that it was made from.
    pub fn def(&self) -> &ViewDef {
        &self.def
    }
    /// Width of a stored bucket, milliseconds.
    pub fn grain_ms(&self) -> i64 {
        self.def.grain.as_millis()
    }
    /// Which time puts an event in a bucket.
    pub fn time(&self) -> TimeColumn {
        self.def.time
    }
    /// Most groups per micro-batch.
    pub fn max_groups(&self) -> usize {
        self.def.max_groups
    }
    /// Names of the dimensions, in order.
    pub fn dimension_names(&self) -> impl Iterator<Item = &str> {
        self.dimensions.iter().map(|d| d.name.as_str())
    }
    /// The measures, in order.
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }
    /// Widths of the rolling windows, milliseconds, ascending.
    pub fn windows(&self) -> &[i64] {
        &self.windows
    }
    /// How often changed aggregates are published, milliseconds.
    pub fn publish_ms(&self) -> Option<i64> {
        self.def.publish.map(|p| p.as_millis())
    }
    /// The self-describing columns that it refers to.
    pub fn self_describing_columns(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(|f| matches!(f.source, super::field::Source::Json { .. })).map(Field::column)
    }
    /// Every column of an event that a fold of this view reads, atomic and self-describing.
    pub fn columns(&self) -> std::collections::BTreeSet<&str> {
        let times = [TimeColumn::Derived.name(), TimeColumn::Collector.name()];
        self.fields.iter().map(Field::column).chain(times).collect()
    }
    /// Whether SQL can fold its stored rows without knowing sketches.
    pub fn is_scalar(&self) -> bool {
        self.measures.iter().all(Measure::is_scalar)
    }

    /// Columns of `derived.<view>` that the view itself fills: `time`, the dimensions, [`ROWS_COLUMN`], then the measures
    /// (a mean has two: `<name>_sum` and `<name>_count`).
    pub fn storage_schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

struct Compiler<'a> {
    def: &'a ViewDef,
    fields: Vec<Field>,
}

impl Compiler<'_> {
    fn wrong(&self, key: impl Into<String>, problem: impl Into<String>) -> ViewError {
        ViewError::Definition { view: self.def.name.clone(), key: key.into(), problem: problem.into() }
    }

    fn field(&mut self, field: Field) -> usize {
        if let Some(at) = self.fields.iter().position(|f| *f == field) {
            return at;
        }
        self.fields.push(field);
        self.fields.len() - 1
    }

    fn compile(mut self) -> Result<View, ViewError> {
        self.check_plain_keys()?;
        let dimensions = self.dimensions()?;
        let only = self.only()?;
        let measures = self.measures()?;
        let schema = self.schema(&dimensions, &measures)?;
        let windows = self.windows()?;
        let all = (0..dimensions.len()).collect();
        Ok(View { def: self.def.clone(), fields: self.fields, dimensions, only, measures, all, windows, schema })
    }

    fn check_plain_keys(&self) -> Result<(), ViewError> {
        let def = self.def;
        if !is_name(&def.name) || RESERVED_VIEWS.contains(&def.name.as_str()) {
            let reserved = RESERVED_VIEWS.join(", ");
            return Err(self.wrong(
                "name",
                format!(
                    "\"{}\" is not allowed; allowed: 1 to 60 lower-case letters, digits and _, a letter first, and not \
                     {reserved}",
                    def.name
                ),
            ));
        }
        let grain = def.grain.as_millis();
        if !is_grain(grain) {
            return Err(self.wrong("grain", format!("\"{}\" is not allowed; {GRAINS}", def.grain)));
        }
        if !(1..=1_000_000).contains(&def.max_groups) {
            return Err(self.wrong("max_groups", format!("{} is not allowed; allowed: 1 to 1000000", def.max_groups)));
        }
        if let Some(publish) = def.publish
            && !(100..=3_600_000).contains(&publish.as_millis())
        {
            return Err(self.wrong("publish", format!("\"{publish}\" is not allowed; allowed: \"100ms\" to \"1h\"")));
        }
        Ok(())
    }

    fn dimensions(&mut self) -> Result<Vec<Dimension>, ViewError> {
        if self.def.dimensions.len() > MAX_DIMENSIONS {
            let n = self.def.dimensions.len();
            return Err(self.wrong("dimensions", format!("{n} are too many; allowed: at most {MAX_DIMENSIONS}")));
        }
        let mut dimensions = Vec::new();
        for text in &self.def.dimensions {
            let field = Field::parse(text).map_err(|e| self.wrong("dimensions", e))?;
            if !field.can_group() {
                return Err(self.wrong(
                    "dimensions",
                    format!(
                        "{text} is {}; allowed: text, integer and flag columns, and JSON values",
                        field.kind.word()
                    ),
                ));
            }
            let name = field.text.clone();
            dimensions.push(Dimension { name, field: self.field(field) });
        }
        Ok(dimensions)
    }

    fn only(&mut self) -> Result<Vec<Only>, ViewError> {
        let mut only = Vec::new();
        for (name, allowed) in &self.def.only.0 {
            let key = format!("where.{name}");
            let field = Field::parse(name).map_err(|e| self.wrong(&key, e))?;
            if !field.can_group() {
                let kind = field.kind.word();
                return Err(
                    self.wrong(key, format!("is {kind}; allowed: text, integer and flag columns, and JSON values"))
                );
            }
            let values: Vec<String> = allowed.values().iter().map(ToString::to_string).collect();
            if values.is_empty() {
                return Err(self.wrong(key, "the list is empty, so no event would count; allowed: at least one value"));
            }
            only.push(Only { field: self.field(field), values });
        }
        Ok(only)
    }

    fn measures(&mut self) -> Result<Vec<Measure>, ViewError> {
        let defined = &self.def.measures.0;
        if defined.is_empty() || defined.len() > MAX_MEASURES {
            let n = defined.len();
            return Err(self.wrong("measures", format!("there are {n}; allowed: 1 to {MAX_MEASURES}")));
        }
        let mut measures = Vec::new();
        for (name, text) in defined {
            let key = format!("measures.{name}");
            if !is_name(name) {
                return Err(self.wrong(
                    key,
                    "the name is not allowed; allowed: 1 to 60 lower-case letters, digits and _, a letter first",
                ));
            }
            let parsed = measure::parse(text).map_err(|e| self.wrong(&key, e))?;
            let field = parsed.field.map(|f| self.field(f));
            measures.push(Measure { name: name.clone(), function: parsed.function, field, number: parsed.number });
        }
        Ok(measures)
    }

    fn windows(&self) -> Result<Vec<i64>, ViewError> {
        let mut windows: Vec<i64> = self.def.windows.iter().map(|w| w.as_millis()).collect();
        windows.sort_unstable();
        windows.dedup();
        if windows.len() > MAX_WINDOWS {
            let n = windows.len();
            return Err(self.wrong("windows", format!("{n} are too many; allowed: at most {MAX_WINDOWS}")));
        }
        if let Some(bad) = windows.iter().find(|w| !(1000..=3_600_000).contains(*w) || **w % 1000 != 0) {
            return Err(self.wrong(
                "windows",
                format!(
                    "\"{}\" is not allowed; allowed: whole seconds from \"1s\" to \"1h\"",
                    crate::platform::units::Span::from_millis(*bad)
                ),
            ));
        }
        Ok(windows)
    }

    fn schema(&self, dimensions: &[Dimension], measures: &[Measure]) -> Result<SchemaRef, ViewError> {
        let mut columns = vec![Col::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), false)];
        columns.extend(dimensions.iter().map(|d| Col::new(&d.name, DataType::Utf8, true)));
        columns.push(Col::new(ROWS_COLUMN, DataType::Int64, false));
        for m in measures {
            let sum = DataType::Decimal128(38, m.number.scale() as i8);
            match m.function {
                Function::Count => columns.push(Col::new(&m.name, DataType::Int64, false)),
                Function::Sum => columns.push(Col::new(&m.name, sum, true)),
                Function::Avg => {
                    columns.push(Col::new(format!("{}_sum", m.name), sum, false));
                    columns.push(Col::new(format!("{}_count", m.name), DataType::Int64, false));
                }
                Function::Min | Function::Max => {
                    let kind = match m.number {
                        Number::Whole => DataType::Int64,
                        Number::Money => DataType::Decimal128(38, 2),
                        Number::Double => DataType::Float64,
                        Number::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
                    };
                    columns.push(Col::new(&m.name, kind, true));
                }
                Function::Distinct | Function::Quantile(_) | Function::Top(_) => {
                    columns.push(Col::new(&m.name, DataType::Binary, true));
                }
            }
        }
        for (i, column) in columns.iter().enumerate() {
            let name = column.name();
            let taken = columns[..i].iter().any(|c| c.name().eq_ignore_ascii_case(name));
            let reserved = i > 0 && name != ROWS_COLUMN && RESERVED_COLUMNS.contains(&name.as_str());
            if taken || reserved {
                return Err(self.wrong(
                    "measures",
                    format!(
                        "two columns would be called \"{name}\"; allowed: names that differ from each other, from the \
                         dimensions and from {}",
                        RESERVED_COLUMNS.join(", ")
                    ),
                ));
            }
        }
        Ok(Arc::new(Schema::new(columns)))
    }
}

/// What a grain may be, for messages.
pub(super) const GRAINS: &str =
    "allowed: whole seconds that divide a day, from \"1s\" to \"1d\", as in \"1s\", \"10s\", \"1m\", \"15m\", \"1h\"";

/// Whether buckets of this width fill a day without a rest.
pub(super) fn is_grain(ms: i64) -> bool {
    (1000..=DAY_MS).contains(&ms) && ms % 1000 == 0 && DAY_MS % ms == 0
}

fn is_name(name: &str) -> bool {
    name.len() <= 60
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
