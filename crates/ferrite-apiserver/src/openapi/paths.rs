//! The operations of resources.

use serde_json::{Map, Value, json};

use super::schemas::{Dialect, Schemas};
use super::tag;
use crate::resources::{Resource, Sub};

/// The paths of these resources with their operations; the schemas they speak of are asked for on the way.
pub(super) fn of(resources: &[&Resource], schemas: &mut Schemas) -> Map<String, Value> {
    let mut out = Map::new();
    for resource in resources {
        let mut writer = Writer { resource, schemas };
        for (path, item) in writer.paths() {
            out.insert(path, item);
        }
    }
    out.sort_keys();
    out
}

struct Writer<'a, 's> {
    resource: &'a Resource,
    schemas: &'s mut Schemas,
}

/// What an operation does, as `x-kubernetes-action` names it, with its method and the verb of its id.
const COLLECTION: [(&str, &str, &str); 3] =
    [("get", "list", "list"), ("post", "create", "post"), ("delete", "deletecollection", "deletecollection")];
const OBJECT: [(&str, &str, &str, &str); 4] = [
    ("get", "get", "get", "read"),
    ("put", "update", "put", "replace"),
    ("patch", "patch", "patch", "patch"),
    ("delete", "delete", "delete", "delete"),
];

/// The query parameters of an action, with their types.
fn parameters_of(action: &str) -> &'static [(&'static str, &'static str)] {
    match action {
        "get" => &[],
        "list" => &[
            ("continue", "string"),
            ("fieldSelector", "string"),
            ("labelSelector", "string"),
            ("limit", "integer"),
            ("resourceVersion", "string"),
            ("resourceVersionMatch", "string"),
            ("sendInitialEvents", "boolean"),
            ("timeoutSeconds", "integer"),
            ("watch", "boolean"),
        ],
        "patch" => &[
            ("dryRun", "string"),
            ("fieldManager", "string"),
            ("fieldValidation", "string"),
            ("force", "boolean"),
        ],
        "post" | "put" => &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")],
        _ => &[
            ("dryRun", "string"),
            ("gracePeriodSeconds", "integer"),
            ("orphanDependents", "boolean"),
            ("propagationPolicy", "string"),
        ],
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

impl Writer<'_, '_> {
    fn paths(&mut self) -> Vec<(String, Value)> {
        let r = self.resource;
        let root = if r.group.is_empty() {
            format!("/api/{}", r.version)
        } else {
            format!("/apis/{}/{}", r.group, r.version)
        };
        let scope = if r.namespaced { format!("{root}/namespaces/{{namespace}}") } else { root.clone() };
        let all = format!("{scope}/{}", r.plural);
        let one = format!("{all}/{{name}}");
        let mut out = Vec::new();
        let mut collection = Map::new();
        for (method, verb, action) in COLLECTION.into_iter().filter(|(_, verb, _)| r.allows(verb)) {
            let operation = self.operation(method, action, verb, "", None);
            collection.insert(method.to_owned(), operation);
        }
        out.push((all, self.item(collection, false)));
        if r.namespaced && r.allows("list") {
            let operation = self.operation("get", "list", "list", "ForAllNamespaces", None);
            let item = json!({"get": operation});
            out.push((format!("{root}/{}", r.plural), item));
        }
        let mut object = Map::new();
        for (method, _, action, verb) in OBJECT.into_iter().filter(|(_, verb, ..)| r.allows(verb)) {
            let operation = self.operation(method, action, verb, "", None);
            object.insert(method.to_owned(), operation);
        }
        out.push((one.clone(), self.item(object, true)));
        for sub in &r.subs {
            let mut object = Map::new();
            for (method, _, action, verb) in
                OBJECT.into_iter().filter(|(_, v, ..)| sub.verbs.iter().any(|s| s == v))
            {
                let operation = self.operation(method, action, verb, &capital(&sub.name), Some(sub));
                object.insert(method.to_owned(), operation);
            }
            out.push((format!("{one}/{}", sub.name), self.item(object, true)));
        }
        out.retain(|(_, item)| item.as_object().is_some_and(|i| i.keys().any(|k| k != "parameters")));
        out
    }

    /// Operations with the parameters of their path.
    fn item(&self, mut operations: Map<String, Value>, named: bool) -> Value {
        let mut parameters = Vec::new();
        if named {
            parameters.push(self.parameter("name", "path", "string"));
        }
        if self.resource.namespaced {
            parameters.push(self.parameter("namespace", "path", "string"));
        }
        parameters.push(self.parameter("pretty", "query", "string"));
        operations.insert("parameters".to_owned(), parameters.into());
        Value::Object(operations)
    }

    fn parameter(&self, name: &str, place: &str, ty: &str) -> Value {
        let mut out = json!({"name": name, "in": place});
        match self.schemas.dialect() {
            Dialect::V2 => {
                out["type"] = ty.into();
                out["uniqueItems"] = true.into();
            }
            Dialect::V3 => out["schema"] = json!({"type": ty, "uniqueItems": true}),
        }
        if place == "path" {
            out["required"] = true.into();
        }
        out
    }

    fn operation(
        &mut self,
        method: &str,
        action: &str,
        verb: &str,
        suffix: &str,
        sub: Option<&Sub>,
    ) -> Value {
        let r = self.resource;
        let kind = &r.kind;
        let everywhere = suffix == "ForAllNamespaces";
        let short = r.group.split('.').next().filter(|g| !g.is_empty()).unwrap_or("core");
        let scope = if r.namespaced && !everywhere { "Namespaced" } else { "" };
        let (verb, infix) = if verb == "deletecollection" { ("delete", "Collection") } else { (verb, "") };
        let id = format!("{verb}{}{}{infix}{scope}{kind}{suffix}", capital(short), capital(&r.version));
        let mut parameters: Vec<Value> =
            parameters_of(action).iter().map(|(n, t)| self.parameter(n, "query", t)).collect();
        let (mut group, mut version, mut of_kind) = (&r.group, &r.version, kind);
        let object = match sub {
            Some(sub) => {
                if let Some((g, v)) = &sub.of {
                    (group, version) = (g, v);
                }
                of_kind = &sub.kind;
                self.schemas.sub(r, sub)
            }
            None => self.schemas.kind(r, kind),
        };
        let mut out = json!({
            "operationId": id,
            "tags": [tag(r)],
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": of_kind},
        });
        let answer = match action {
            "list" => self.schemas.kind(r, &r.list_kind),
            "delete" | "deletecollection" => self.schemas.meta("Status"),
            _ => object.clone(),
        };
        let sent = match action {
            "post" | "put" => Some(object),
            "patch" => Some(self.schemas.meta("Patch")),
            "delete" | "deletecollection" => Some(self.schemas.meta("DeleteOptions")),
            _ => None,
        };
        self.bodies(&mut out, &mut parameters, method, sent, &answer);
        out["parameters"] = parameters.into();
        out
    }

    fn bodies(
        &self,
        out: &mut Value,
        parameters: &mut Vec<Value>,
        method: &str,
        sent: Option<Value>,
        answer: &Value,
    ) {
        let types: Vec<&str> = match method {
            "patch" if self.resource.custom.is_some() => {
                vec![
                    "application/json-patch+json",
                    "application/merge-patch+json",
                    "application/apply-patch+yaml",
                ]
            }
            "patch" => vec![
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/strategic-merge-patch+json",
                "application/apply-patch+yaml",
            ],
            _ => vec!["*/*"],
        };
        match self.schemas.dialect() {
            Dialect::V2 => {
                out["consumes"] = json!(types);
                out["produces"] = json!(["application/json", "application/yaml"]);
                out["schemes"] = json!(["https"]);
                out["responses"] = json!({"200": {"description": "OK", "schema": answer}});
                if let Some(sent) = sent {
                    parameters.push(
                        json!({"name": "body", "in": "body", "required": method != "delete", "schema": sent}),
                    );
                }
            }
            Dialect::V3 => {
                let content =
                    json!({"application/json": {"schema": answer}, "application/yaml": {"schema": answer}});
                out["responses"] = json!({"200": {"description": "OK", "content": content}});
                if let Some(sent) = sent {
                    let content: Map<String, Value> =
                        types.iter().map(|t| ((*t).to_owned(), json!({"schema": sent}))).collect();
                    out["requestBody"] = json!({"content": content, "required": method != "delete"});
                }
            }
        }
    }
}
