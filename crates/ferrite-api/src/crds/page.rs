//! `docs/api-versions.md`, made from the same tables as the definitions.

use std::fmt::Write;

use serde_json::Value;

use super::definitions::{self, Definition};
use super::{GenerateError, structural};

const HEAD: &str = "\
<!-- Generated from crates/ferrite-api by `cargo xtask gen`: change crds/page.rs and crds/former.rs instead. -->

# API versions

Ferrite serves every version of every kind that Flux has served since its first beta, and stores the one that Flux 2.9 stores.
Manifests of older guides apply as they stand; the API server answers with a warning that names the version to use.

There is no conversion webhook: the API server only rewrites `apiVersion`, and drops what the other version does not hold ([ADR 6](adr/0006-old-versions.md)).
So every version of a kind holds the same fields, those of its former versions included.
An object reads back as it was written, in whatever version it is read, and its status is the same in all of them.

## Kinds and versions

| Group | Kind | Stored | Served too |
|---|---|---|---|
";

const HONOURED: &str = "
## Fields of former versions that are honoured

Flux 2.9 refuses these; here they mean what they meant, whatever the version of the manifest.

| Kind | Field | What it does |
|---|---|---|
";

const IGNORED: &str = "
## Fields of former versions that are accepted and ignored

| Kind | Field | In | Why |
|---|---|---|---|
";

const LOOSER: &str = "
## What former versions do not ask for

A field that is required today, or has a pattern, a length or a rule, and had none in a former version, has none there still.

| Kind | Optional | Unchecked |
|---|---|---|
";

const TAIL: &str = "
Where such a field is missing, the object is still read:

- `GitRepository` without `spec.verify.secretRef`, and `ImageUpdateAutomation` without that of its signing key, name a Secret with an empty name.
- `HelmRelease` without `spec.chart.spec.sourceRef.kind` means a `HelmRepository`.
- A reference of an `Alert` or a `Receiver` without a `kind` means nothing.
- `ImageRepository` without `spec.image` or `spec.interval` has an empty image or an interval of zero.
- An artifact without a digest cannot be verified.

## What changed without a field changing

These follow Flux 2.9 in every version:

- `HelmRelease` keeps 5 records of a release when `spec.maxHistory` is empty; in v2beta1 it was 10.
- `Alert` and `Provider` have no status; in v1beta1 and v1beta2 they had one.
- `Receiver` looks at its Secret every 10 minutes when `spec.interval` is empty.
- `ImageRepository` passes over tags that end in `.sig` when `spec.exclusionList` is empty.
- `Kustomization` applies on the server side, which always validates; in v1beta1 `spec.validation` chose.
";

/// The text of `docs/api-versions.md`.
///
/// # Errors
///
/// As [`super::generate`].
pub fn versions_page() -> Result<String, GenerateError> {
    let definitions = definitions::all();
    let mut page = HEAD.to_owned();
    for definition in &definitions {
        let (group, kind, stored) = (definition.group(), definition.kind(), definition.stored());
        row(&mut page, &[group, kind, stored, &definition.former.versions.join(", ")]);
    }
    page.push_str(HONOURED);
    for definition in &definitions {
        for (path, description) in honoured(definition)? {
            row(&mut page, &[definition.kind(), &code(&path), &description]);
        }
    }
    page.push_str(IGNORED);
    for definition in &definitions {
        if definition.former.had_status {
            let versions = definition.former.versions.join(", ");
            row(&mut page, &[definition.kind(), "`status`", &versions, "The stored version has no status."]);
        }
        for field in definition.former.ignored {
            row(&mut page, &[definition.kind(), &code(field.path), &field.versions.join(", "), field.why]);
        }
    }
    page.push_str(LOOSER);
    for definition in &definitions {
        let former = definition.former;
        let list = |paths: &[&str]| paths.iter().map(|path| code(path)).collect::<Vec<_>>().join(", ");
        if !former.optional.is_empty() || !former.unchecked.is_empty() {
            row(&mut page, &[definition.kind(), &list(former.optional), &list(former.unchecked)]);
        }
    }
    page.push_str(TAIL);
    Ok(page)
}

fn row(page: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    // Writing to a String cannot fail.
    let _infallible = writeln!(page, "| {} |", cells.join(" | "));
}

fn code(path: &str) -> String {
    format!("`{}`", path.trim_start_matches('.'))
}

/// Fields whose description says that they are of former versions and that are not ignored, with the rest of it.
fn honoured(definition: &Definition) -> Result<Vec<(String, String)>, GenerateError> {
    let mut found = Vec::new();
    collect(&definition.schema()?, "", &mut found);
    found.retain(|(path, _)| !definition.former.ignored.iter().any(|field| field.path == path));
    Ok(found)
}

fn collect(schema: &Value, path: &str, found: &mut Vec<(String, String)>) {
    let description = schema["description"].as_str().unwrap_or_default();
    if let Some(rest) = description.strip_prefix(structural::FORMER_MARK) {
        found.push((path.to_owned(), format!("Of {rest}")));
        return;
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        collect(property, &format!("{path}.{name}"), found);
    }
    for (mark, child) in [("[]", schema.get("items")), ("{}", schema.get("additionalProperties"))] {
        if let Some(child) = child {
            collect(child, &format!("{path}{mark}"), found);
        }
    }
}
