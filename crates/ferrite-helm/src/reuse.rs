//! Values of the release before: `helm upgrade --reuse-values`.

use serde_json::{Map, Value};

use crate::{
    chart::Chart, dependencies::Prepared, error::Error, go_yaml, metadata::Metadata, release::Release, values,
};

/// What an upgrade that keeps the former values is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Reused {
    /// The new values over the former ones: the user's values of the new revision.
    pub config: Map<String, Value>,
    /// What the former revision's values came to, which take the place of the new chart's defaults.
    pub defaults: Map<String, Value>,
}

/// Puts new values over those of a stored release. Nulls of the new ones delete.
///
/// # Errors
///
/// [`Error::Values`] when the stored values do not fit their chart.
pub fn reuse_values(old: &Release, new: &Map<String, Value>) -> Result<Reused, Error> {
    let map = |value: Option<&Value>| {
        let mut value = value.cloned().unwrap_or_default();
        go_yaml::floats(&mut value);
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    };
    let chart = Chart {
        metadata: Metadata { name: "chart".to_owned(), ..Metadata::default() },
        values: Some(map(old.chart.get("values"))),
        ..Chart::default()
    };
    let former = map(Some(&Value::Object(old.config.clone())));
    let given = values::to_map(&former);
    let all = values::coalesce(&Prepared::process(&chart, &given)?, &given)?;
    let merged = values::to_map(new);
    values::tables(&merged, &values::to_map(&former), false);
    let back = |map| match values::from_template(&ferrite_gotemplate::Value::Map(map)) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    Ok(Reused { config: back(merged), defaults: back(all) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn former_values_are_kept_and_become_defaults() {
        let old = Release::from_json(json!({
            "name": "web", "info": {}, "chart": {"values": {"a": 1, "b": {"x": 1, "y": 2}, "c": true}},
            "config": {"b": {"y": 3}, "d": "old"},
        }))
        .unwrap();
        let new = json!({"b": {"x": 9.0}, "d": null});
        let reused = reuse_values(&old, new.as_object().unwrap()).unwrap();
        assert_eq!(Value::Object(reused.config), json!({"b": {"x": 9.0, "y": 3.0}}));
        let defaults = json!({"a": 1.0, "b": {"x": 1.0, "y": 3.0}, "c": true, "d": "old"});
        assert_eq!(Value::Object(reused.defaults), defaults);
    }
}
