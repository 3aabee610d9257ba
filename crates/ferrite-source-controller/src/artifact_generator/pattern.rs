//! Finds directories by a pattern with named parts, and fills them into the artifacts.

use std::collections::{BTreeMap, BTreeSet};

use ferrite_api::source::OutputArtifact;
use ferrite_tree::MemoryTree;
use regex::Regex;

use super::validate::is_object_name;

/// Artifacts that one generator may make.
const OUTPUTS_LIMIT: usize = 1000;

/// An artifact to make, with the named parts it was found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) artifact: OutputArtifact,
    /// Labels of the ExternalArtifact.
    pub(super) labels: BTreeMap<String, String>,
}

/// Every artifact for every directory of `tree` that `pattern` matches as a whole.
pub(super) fn expand(
    pattern: &str,
    tree: &MemoryTree,
    artifacts: &[OutputArtifact],
) -> Result<Vec<Output>, String> {
    let (regex, names) = compile(pattern)?;
    let mut outputs: BTreeMap<String, Output> = BTreeMap::new();
    for directory in directories(tree) {
        let Some(found) = regex.captures(&directory) else { continue };
        let raw: BTreeMap<&str, &str> = names
            .iter()
            .enumerate()
            .filter_map(|(at, name)| Some((name.as_str(), found.get(at + 1)?.as_str())))
            .collect();
        let lower: BTreeMap<&str, String> =
            raw.iter().map(|(name, text)| (*name, text.to_lowercase())).collect();
        if let Some((name, text)) = lower.iter().find(|(_, text)| !is_label_value(text)) {
            return Err(format!(
                "'{text}', found for '{name}' in '{directory}', cannot be the value of a label"
            ));
        }
        let labels: BTreeMap<String, String> =
            lower.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
        for artifact in artifacts {
            let output = render(artifact, &raw, &lower);
            let name = output.name.clone();
            if !is_object_name(&name) {
                return Err(format!(
                    "'{name}', made for the directory '{directory}', cannot be the name of an object"
                ));
            }
            if outputs.insert(name.clone(), Output { artifact: output, labels: labels.clone() }).is_some() {
                return Err(format!(
                    "the name '{name}' is made twice, the second time for the directory '{directory}'"
                ));
            }
            if outputs.len() > OUTPUTS_LIMIT {
                return Err(format!("there would be more than {OUTPUTS_LIMIT} artifacts"));
            }
        }
    }
    Ok(outputs.into_values().collect())
}

/// The names of the parts in a pattern are what stands between braces.
fn compile(pattern: &str) -> Result<(Regex, Vec<String>), String> {
    let (mut regex, mut names) = ("^".to_owned(), Vec::new());
    let mut rest = pattern.trim_matches('/');
    while let Some((literal, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("a '{' is never closed")?;
        let mut letters = name.chars();
        let first = letters.next().is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '_');
        if !first || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            return Err(format!("'{{{name}}}' is no name: expected letters, digits and underscores"));
        }
        if names.iter().any(|have| have == name) {
            return Err(format!("'{{{name}}}' is there twice"));
        }
        names.push(name.to_owned());
        regex.push_str(&regex::escape(literal));
        regex.push_str("([^/]+)");
        rest = after;
    }
    regex.push_str(&regex::escape(rest));
    regex.push('$');
    let compiled = Regex::new(&regex).map_err(|error| error.to_string())?;
    Ok((compiled, names))
}

/// All directories but the root.
fn directories(tree: &MemoryTree) -> BTreeSet<String> {
    let above = |path: &str| -> Vec<String> {
        path.match_indices('/').filter_map(|(at, _)| path.get(..at)).map(str::to_owned).collect()
    };
    tree.files().flat_map(|(path, ..)| above(path)).collect()
}

fn render(
    artifact: &OutputArtifact,
    raw: &BTreeMap<&str, &str>,
    lower: &BTreeMap<&str, String>,
) -> OutputArtifact {
    let fill = |text: &str| {
        raw.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    };
    let mut rendered = artifact.clone();
    rendered.name = lower
        .iter()
        .fold(artifact.name.clone(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value));
    for operation in &mut rendered.copy {
        operation.from = fill(&operation.from);
        operation.to = fill(&operation.to);
    }
    rendered
}

fn is_label_value(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    text.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && text.bytes().all(inside)
}

#[cfg(test)]
mod tests {
    use ferrite_api::source::CopyOperation;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, expect: Result<&[&str], &str>) {
        let mut builder = MemoryTree::builder();
        for path in ["apps/Web/prod/a", "apps/web2/dev/a", "apps/x", "infra/net/a", "apps/bad name/prod/a"] {
            if !path.contains(' ') || pattern.contains("{any}") {
                builder.insert(path, b"", false).unwrap();
            }
        }
        let copy = CopyOperation {
            from: format!("@src/{pattern}/**"),
            to: "@artifact/".to_owned(),
            ..Default::default()
        };
        let artifact = OutputArtifact { name: name.to_owned(), copy: vec![copy], ..Default::default() };
        let outputs = expand(pattern, &builder.build(), &[artifact]);
        let shown = outputs.map(|all| {
            all.into_iter()
                .map(|output| {
                    format!("{} {} {:?}", output.artifact.name, output.artifact.copy[0].from, output.labels)
                })
                .collect::<Vec<_>>()
        });
        let expect = expect.map(|lines| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        assert_eq!(shown, expect.map_err(str::to_owned));
    }

    #[test]
    fn every_directory_that_matches_makes_its_artifacts() {
        check(
            "apps/{app}/{env}",
            "{app}-{env}",
            Ok(&[
                r#"web-prod @src/apps/Web/prod/** {"app": "web", "env": "prod"}"#,
                r#"web2-dev @src/apps/web2/dev/** {"app": "web2", "env": "dev"}"#,
            ]),
        );
        check("nothing/{x}", "{x}", Ok(&[]));
        check("infra/{x}", "all", Ok(&[r#"all @src/infra/net/** {"x": "net"}"#]));
    }

    #[test]
    fn what_cannot_be_is_said() {
        check(
            "{top}",
            "same",
            Err("the name 'same' is made twice, the second time for the directory 'infra'"),
        );
        check("apps/{1x}", "a", Err("'{1x}' is no name: expected letters, digits and underscores"));
        check("{x}/{x}", "a", Err("'{x}' is there twice"));
        check("apps/{x", "a", Err("a '{' is never closed"));
        check(
            "infra/{x}",
            "{x}_",
            Err("'net_', made for the directory 'infra/net', cannot be the name of an object"),
        );
        check(
            "apps/{any}",
            "a",
            Err("'bad name', found for 'any' in 'apps/bad name', cannot be the value of a label"),
        );
    }
}
