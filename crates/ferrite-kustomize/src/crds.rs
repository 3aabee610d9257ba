//! `crds`: OpenAPI definitions whose extensions say which fields are names, labels or references.

use ferrite_yaml::{Dialect, Limits};
use serde_json::{Map, Value};

use crate::config::{Config, NameReference};
use crate::error::{Error, ErrorKind, Result};
use crate::fieldspec::FieldSpec;

/// References between definitions are followed this far.
const DEPTH: usize = 32;

/// The field specs that the definitions in `text` declare.
pub(crate) fn read(text: &str, file: &str) -> Result<Config> {
    let fail = |error| Error::from_yaml(ErrorKind::Malformed, file, error);
    let Some(node) = ferrite_yaml::parse(text, &Limits::default()).map_err(fail)? else {
        return Ok(Config::default());
    };
    let Value::Object(definitions) = node.to_json(Dialect::Yaml11).map_err(fail)? else {
        return Err(
            Error::malformed("expected a mapping from type names to definitions").at(file, node.position)
        );
    };
    let mut config = Config::default();
    for (name, definition) in &definitions {
        let Some(properties) = properties(definition) else { continue };
        if ["apiVersion", "kind", "metadata"].iter().any(|field| !properties.contains_key(*field)) {
            continue;
        }
        let kind = name.rsplit('.').next().unwrap_or(name);
        let mut path = Vec::new();
        collect(&mut config, kind, &definitions, properties, &mut path)?;
    }
    Ok(config)
}

fn properties(definition: &Value) -> Option<&Map<String, Value>> {
    let object = definition.as_object()?;
    let schema = object.iter().find(|(key, _)| key.eq_ignore_ascii_case("schema"))?.1;
    schema.get("properties")?.as_object()
}

fn collect(
    config: &mut Config,
    kind: &str,
    definitions: &Map<String, Value>,
    properties: &Map<String, Value>,
    path: &mut Vec<String>,
) -> Result<()> {
    if path.len() > DEPTH || config.name_reference.len() > 10_000 {
        return Err(Error::invalid(format!("the definitions of {kind} refer to each other too deeply")));
    }
    for (name, property) in properties {
        path.push(name.replace('/', "\\/"));
        let extension = |key: &str| property.get(key).and_then(Value::as_str);
        let here = FieldSpec::new("", "", kind, &path.join("/"), false);
        if extension("x-kubernetes-annotation").is_some() {
            config.common_annotations.push(here.clone());
        }
        if extension("x-kubernetes-label-selector").is_some() {
            config.common_labels.push(here.clone());
        }
        if extension("x-kubernetes-identity").is_some() {
            config.name_prefix.push(here);
        }
        if let (Some(version), Some(target)) =
            (extension("x-kubernetes-object-ref-api-version"), extension("x-kubernetes-object-ref-kind"))
        {
            let key = extension("x-kubernetes-object-ref-name-key").unwrap_or("name");
            let field = format!("{}/{key}", path.join("/"));
            config.merge(&Config {
                name_reference: vec![NameReference {
                    group: String::new(),
                    version: version.to_owned(),
                    kind: target.to_owned(),
                    referrers: vec![FieldSpec::new("", "", kind, &field, false)],
                }],
                ..Config::default()
            })?;
        }
        let referred = property.get("$ref").and_then(Value::as_str).and_then(|name| definitions.get(name));
        if let Some(inner) = referred.and_then(self::properties) {
            collect(config, kind, definitions, inner, path)?;
        }
        path.pop();
    }
    Ok(())
}
