//! Tables: what `kubectl get` shows.

mod builtin;
mod path;

use serde_json::{Map, Value, json};

use crate::json::text;
use crate::resources::Resource;

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    name: String,
    kind: String,
    format: String,
    description: String,
    priority: i64,
    /// Where a custom resource's cell comes from.
    path: Option<path::Path>,
}

/// The columns of a resource.
pub(crate) type Columns = Vec<Column>;

impl Column {
    fn new(name: &str, kind: &str, format: &str, priority: i64) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            format: format.to_owned(),
            description: String::new(),
            priority,
            path: None,
        }
    }
}

/// The columns of a resource: those of its definition, or those that the real server has for the kind.
pub(crate) fn columns_of(resource: &Resource) -> Columns {
    let Some(custom) = &resource.custom else { return builtin::columns(resource) };
    let mut columns = vec![Column::new("Name", "string", "name", 0)];
    for column in &custom.columns {
        columns.push(Column {
            name: text(column, "name").to_owned(),
            kind: text(column, "type").to_owned(),
            format: text(column, "format").to_owned(),
            description: text(column, "description").to_owned(),
            priority: column["priority"].as_i64().unwrap_or_default(),
            path: path::Path::parse(text(column, "jsonPath")),
        });
    }
    if custom.columns.is_empty() {
        columns.push(Column::new("Age", "date", "", 0));
    }
    columns
}

fn definitions(columns: &Columns) -> Value {
    columns
        .iter()
        .map(|c| json!({"name": c.name, "type": c.kind, "format": c.format, "description": c.description, "priority": c.priority}))
        .collect()
}

/// A `Table` of objects; `include` says what of each object goes with its row.
pub(crate) fn table(
    resource: &Resource,
    version: &str,
    items: &[Value],
    include: &str,
    metadata: &Value,
    with_columns: bool,
) -> Value {
    let columns = resource.columns();
    let rows: Vec<Value> = items
        .iter()
        .map(|item| {
            let cells: Vec<Value> = match &resource.custom {
                Some(_) => custom_cells(columns, item),
                None => builtin::cells(resource, item),
            };
            let mut row = Map::new();
            row.insert("cells".into(), cells.into());
            if let Some(conditions) = builtin::conditions(resource, item) {
                row.insert("conditions".into(), conditions);
            }
            match include {
                "None" => {
                    row.insert("object".into(), Value::Null);
                }
                "Object" => {
                    row.insert("object".into(), item.clone());
                }
                _ => {
                    row.insert("object".into(), crate::handlers::read::partial(version, item.clone()));
                }
            }
            Value::Object(row)
        })
        .collect();
    let definitions = if with_columns { definitions(columns) } else { Value::Null };
    json!({"kind": "Table", "apiVersion": version, "metadata": metadata, "columnDefinitions": definitions, "rows": rows})
}

fn custom_cells(columns: &Columns, item: &Value) -> Vec<Value> {
    let cell = |(i, column): (usize, &Column)| match &column.path {
        None if i == 0 => item["metadata"]["name"].clone(),
        None => age(&item["metadata"]["creationTimestamp"]).into(),
        Some(path) => custom_cell(column, path.read(item)),
    };
    columns.iter().enumerate().map(cell).collect()
}

fn custom_cell(column: &Column, found: Option<&Value>) -> Value {
    let Some(value) = found.filter(|v| !v.is_null()) else {
        return Value::Null;
    };
    match column.kind.as_str() {
        "integer" => value.as_i64().map_or(Value::Null, Into::into),
        "number" => value.as_f64().map_or(Value::Null, Into::into),
        "boolean" => value.as_bool().map_or(Value::Null, Into::into),
        "date" => age(value).into(),
        _ => match value {
            Value::String(text) => text.as_str().into(),
            other => other.to_string().into(),
        },
    }
}

/// How long ago a time is, as `kubectl` writes it; `<unknown>` without one.
pub(crate) fn age(time: &Value) -> String {
    let Some(then) = time.as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok()) else {
        return "<unknown>".to_owned();
    };
    duration(crate::clock::now().as_second() - then.as_second())
}

/// Seconds as Kubernetes' `HumanDuration`.
pub(crate) fn duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let s = seconds.max(0);
    let two =
        |a: i64, x: &str, b: i64, y: &str| if b == 0 { format!("{a}{x}") } else { format!("{a}{x}{b}{y}") };
    match s {
        _ if s < 2 * MINUTE => format!("{s}s"),
        _ if s < 10 * MINUTE => two(s / MINUTE, "m", s % MINUTE, "s"),
        _ if s < 3 * HOUR => format!("{}m", s / MINUTE),
        _ if s < 8 * HOUR => two(s / HOUR, "h", s % HOUR / MINUTE, "m"),
        _ if s < 2 * DAY => format!("{}h", s / HOUR),
        _ if s < 8 * DAY => two(s / DAY, "d", s % DAY / HOUR, "h"),
        _ if s < 2 * YEAR => format!("{}d", s / DAY),
        _ if s < 8 * YEAR => two(s / YEAR, "y", s % YEAR / DAY, "d"),
        _ => format!("{}y", s / YEAR),
    }
}
