//! The rules for definitions themselves.

use serde_json::Value;

use crate::json::{is_empty, items, text};
use crate::kinds::names;
use crate::schema;
use crate::status::Cause;

fn problems(field: &str, value: &str, found: &[String], out: &mut Vec<Cause>) {
    out.extend(found.iter().map(|p| Cause::invalid(field, &value.into(), p)));
}

/// Checks a definition.
pub(crate) fn object(o: &Value, out: &mut Vec<Cause>) {
    let spec = &o["spec"];
    let (group, plural) = (text(spec, "group"), text(&spec["names"], "plural"));
    let name = text(&o["metadata"], "name");
    if name != format!("{plural}.{group}") {
        out.push(Cause::invalid("metadata.name", &name.into(), "must be spec.names.plural+\".\"+spec.group"));
    }
    if group.is_empty() {
        out.push(Cause::required("spec.group", ""));
    } else {
        problems("spec.group", group, &names::subdomain(group), out);
        if !group.contains('.') {
            out.push(Cause::invalid("spec.group", &group.into(), "should be a domain with at least one dot"));
        }
    }
    if !matches!(text(spec, "scope"), "Namespaced" | "Cluster") {
        out.push(Cause::unsupported("spec.scope", &spec["scope"], &["Cluster", "Namespaced"]));
    }
    check_names(&spec["names"], "spec.names", out);
    versions(o, out);
    conversion(&spec["conversion"], out);
    if spec["preserveUnknownFields"] == true {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        out.push(Cause::invalid("spec.preserveUnknownFields", &true.into(), why));
    }
    stored(o, out);
}

fn stored(o: &Value, out: &mut Vec<Cause>) {
    let declared: Vec<&str> = items(&o["spec"]["versions"]).iter().map(|v| text(v, "name")).collect();
    for (i, version) in items(&o["status"]["storedVersions"]).iter().enumerate() {
        let version = version.as_str().unwrap_or_default();
        if !declared.contains(&version) && !version.is_empty() {
            let why = format!(
                "missing from spec.versions; {version} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {version} and removes {version} from status.storedVersions"
            );
            out.push(Cause::invalid(format!("status.storedVersions[{i}]"), &version.into(), &why));
        }
    }
}

fn check_names(value: &Value, at: &str, out: &mut Vec<Cause>) {
    for key in ["plural", "singular", "kind", "listKind"] {
        let name = text(value, key);
        let field = format!("{at}.{key}");
        if name.is_empty() {
            out.push(Cause::required(field, ""));
            continue;
        }
        let lower = name.to_lowercase();
        let kind = matches!(key, "kind" | "listKind");
        let found = names::label_1035(if kind { &lower } else { name });
        out.extend(found.iter().map(|p| {
            let why = if kind {
                format!("may have mixed case, but should otherwise match: {p}")
            } else {
                p.clone()
            };
            Cause::invalid(&*field, &name.into(), &why)
        }));
    }
    for (list, label) in [("shortNames", "shortNames"), ("categories", "categories")] {
        for (i, name) in items(&value[list]).iter().enumerate() {
            let name = name.as_str().unwrap_or_default();
            problems(&format!("{at}.{label}[{i}]"), name, &names::label_1035(name), out);
        }
    }
    if text(value, "kind") == text(value, "listKind") && !text(value, "kind").is_empty() {
        out.push(Cause::invalid(
            format!("{at}.listKind"),
            &value["listKind"],
            "kind and listKind may not be the same",
        ));
    }
}

fn versions(o: &Value, out: &mut Vec<Cause>) {
    let spec = &o["spec"];
    let versions = items(&spec["versions"]);
    let mut seen = Vec::new();
    let schemas: Vec<&Value> = versions.iter().map(|v| &v["schema"]["openAPIV3Schema"]).collect();
    // Parts that all versions share are named as the oldest form of a definition named them.
    let shared = schemas.first().is_some_and(|first| schemas.iter().all(|s| s == first));
    let same = |key: &str| versions.iter().all(|v| v.get(key) == versions.first().and_then(|f| f.get(key)));
    for (i, version) in versions.iter().enumerate() {
        let at = format!("spec.versions[{i}]");
        let name = text(version, "name");
        if seen.contains(&name) {
            out.push(Cause::duplicate(format!("{at}.name"), &name.into()));
        }
        seen.push(name);
        problems(&format!("{at}.name"), name, &names::label_1035(name), out);
        let place =
            |key: &str, old: &str| if same(key) { format!("spec.{old}") } else { format!("{at}.{key}") };
        if i == 0 || !same("subresources") {
            subresources(&version["subresources"], &place("subresources", "subresources"), out);
        }
        if i == 0 || !same("additionalPrinterColumns") {
            columns(
                &version["additionalPrinterColumns"],
                &place("additionalPrinterColumns", "additionalPrinterColumns"),
                out,
            );
        }
        let schema = &version["schema"]["openAPIV3Schema"];
        if i == 0 || !same("selectableFields") {
            selectable(
                &version["selectableFields"],
                schema,
                &place("selectableFields", "selectableFields"),
                out,
            );
        }
        if !schema.is_object() {
            out.push(Cause::required(format!("{at}.schema.openAPIV3Schema"), "schemas are required"));
        } else if !shared || i == 0 {
            let at = if shared {
                "spec.validation.openAPIV3Schema".to_owned()
            } else {
                format!("{at}.schema.openAPIV3Schema")
            };
            schema::check(schema, &at, out);
        }
    }
    if versions.iter().filter(|v| v["storage"] == true).count() != 1 {
        out.push(Cause::invalid(
            "spec.versions",
            &spec["versions"],
            "must have exactly one version marked as storage version",
        ));
    }
}

fn selectable(value: &Value, schema: &Value, at: &str, out: &mut Vec<Cause>) {
    for (i, field) in items(value).iter().enumerate() {
        let path = text(field, "jsonPath");
        let field = format!("{at}[{i}].jsonPath");
        if path.is_empty() {
            out.push(Cause::required(field, ""));
            continue;
        }
        let known = ferrite_schema::field_at(schema, path).filter(|_| !path.starts_with(".metadata"));
        match known {
            None => out.push(Cause::invalid(
                field,
                &path.into(),
                "is an invalid path: does not refer to a valid field",
            )),
            Some(found) if !matches!(text(found, "type"), "string" | "integer" | "boolean") => {
                out.push(Cause::invalid(
                    field,
                    &path.into(),
                    "must point to a field of type string, boolean or integer",
                ));
            }
            Some(_) => {}
        }
    }
}

fn subresources(value: &Value, at: &str, out: &mut Vec<Cause>) {
    let scale = &value["scale"];
    if !scale.is_object() {
        return;
    }
    for (key, prefix) in [("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")] {
        let path = text(scale, key);
        let field = format!("{at}.scale.{key}");
        if path.is_empty() {
            out.push(Cause::required(field, ""));
        } else if !path.starts_with('.') {
            out.push(Cause::invalid(field, &path.into(), "must be a simple json path starting with ."));
        } else if !path.starts_with(&format!("{prefix}.")) {
            out.push(Cause::invalid(field, &path.into(), &format!("should be a json path under {prefix}")));
        }
    }
    let path = text(scale, "labelSelectorPath");
    if !path.is_empty() && !path.starts_with(".spec.") && !path.starts_with(".status.") {
        out.push(Cause::invalid(
            format!("{at}.scale.labelSelectorPath"),
            &path.into(),
            "should be a json path under either .spec or .status",
        ));
    }
}

fn columns(value: &Value, at: &str, out: &mut Vec<Cause>) {
    for (i, column) in items(value).iter().enumerate() {
        let at = format!("{at}[{i}]");
        if text(column, "name").is_empty() {
            out.push(Cause::required(format!("{at}.name"), ""));
        }
        match text(column, "type") {
            "" => out.push(Cause::required(
                format!("{at}.type"),
                "must be one of boolean,date,integer,number,string",
            )),
            "integer" | "number" | "string" | "boolean" | "date" => {}
            _ => out.push(Cause::invalid(
                format!("{at}.type"),
                &column["type"],
                "must be one of boolean,date,integer,number,string",
            )),
        }
        match text(column, "format") {
            "" | "int32" | "int64" | "float" | "double" | "byte" | "date" | "date-time" | "password" => {}
            _ => out.push(Cause::invalid(
                format!("{at}.format"),
                &column["format"],
                "must be one of byte,date,date-time,double,float,int32,int64,password",
            )),
        }
        let path = text(column, "jsonPath");
        if path.is_empty() {
            out.push(Cause::required(format!("{at}.JSONPath"), ""));
        } else if !path.starts_with('.') {
            out.push(Cause::invalid(
                format!("{at}.JSONPath"),
                &path.into(),
                "must be a simple json path starting with .",
            ));
        }
    }
}

fn conversion(value: &Value, out: &mut Vec<Cause>) {
    let webhook = &value["webhook"];
    match text(value, "strategy") {
        "None" => {
            let why = "should not be set when strategy is not set to Webhook";
            if webhook["clientConfig"].is_object() {
                out.push(Cause::forbidden("spec.conversion.webhookClientConfig", why));
            }
            if !is_empty(&webhook["conversionReviewVersions"]) {
                out.push(Cause::forbidden("spec.conversion.conversionReviewVersions", why));
            }
        }
        "Webhook" => {
            if !webhook["clientConfig"].is_object() {
                out.push(Cause::required(
                    "spec.conversion.webhookClientConfig",
                    "required when strategy is set to Webhook",
                ));
            }
            let versions = &webhook["conversionReviewVersions"];
            if is_empty(versions) {
                out.push(Cause::required("spec.conversion.conversionReviewVersions", ""));
            } else if !items(versions).iter().any(|v| v == "v1" || v == "v1beta1") {
                let why = "must include at least one of v1, v1beta1";
                out.push(Cause::invalid("spec.conversion.conversionReviewVersions", versions, why));
            }
        }
        other => {
            out.push(Cause::unsupported("spec.conversion.strategy", &other.into(), &["None", "Webhook"]))
        }
    }
}

/// The rules that compare a definition with what it was.
pub(crate) fn update(live: &Value, o: &Value, out: &mut Vec<Cause>) {
    let established = super::is_true(live, "Established");
    let immutable = |field: &str, old: &Value, new: &Value, out: &mut Vec<Cause>| {
        if old != new {
            out.push(Cause::invalid(field, new, "field is immutable"));
        }
    };
    immutable("spec.group", &live["spec"]["group"], &o["spec"]["group"], out);
    immutable("spec.names.plural", &live["spec"]["names"]["plural"], &o["spec"]["names"]["plural"], out);
    if established {
        immutable("spec.scope", &live["spec"]["scope"], &o["spec"]["scope"], out);
        immutable("spec.names.kind", &live["spec"]["names"]["kind"], &o["spec"]["names"]["kind"], out);
    }
    // The name follows from group and plural: those say it better.
    if live["spec"]["group"] != o["spec"]["group"]
        || live["spec"]["names"]["plural"] != o["spec"]["names"]["plural"]
    {
        out.retain(|c| c.field != "metadata.name");
    }
}
