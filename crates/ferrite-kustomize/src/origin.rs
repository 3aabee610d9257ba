//! The `buildMetadata` annotations: where an object came from and what changed it.

use ferrite_yaml::Node;

pub(crate) const ORIGIN: &str = "config.kubernetes.io/origin";
pub(crate) const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";

/// A file, or a generator or transformer and the file that configures it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Origin {
    pub(crate) path: String,
    pub(crate) repo: String,
    pub(crate) reference: String,
    pub(crate) configured_in: String,
    pub(crate) configured_by: Option<ConfiguredBy>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ConfiguredBy {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
}

impl Origin {
    /// This place with `relative` appended to its path.
    pub(crate) fn append(&self, relative: &str) -> Self {
        Self { path: clean_join(&self.path, relative), ..self.clone() }
    }

    /// The origin of what is configured in file `name` of this directory.
    pub(crate) fn configured(&self, file: &str, by: ConfiguredBy) -> Self {
        Self {
            path: String::new(),
            repo: self.repo.clone(),
            reference: self.reference.clone(),
            configured_in: clean_join(&self.path, file),
            configured_by: Some(by),
        }
    }

    fn node(&self) -> Node {
        let mut node = Node::map();
        let mut field = |name: &str, text: &str| {
            if !text.is_empty() {
                node.set(name, Node::string(text));
            }
        };
        field("path", &self.path);
        field("repo", &self.repo);
        field("ref", &self.reference);
        field("configuredIn", &self.configured_in);
        if let Some(by) = &self.configured_by {
            let mut inner = Node::map();
            let mut field = |name: &str, text: &str| {
                if !text.is_empty() {
                    inner.set(name, Node::string(text));
                }
            };
            field("apiVersion", &by.api_version);
            field("kind", &by.kind);
            field("name", &by.name);
            field("namespace", &by.namespace);
            node.set("configuredBy", inner);
        }
        node
    }

    /// The annotation's text.
    pub(crate) fn text(&self) -> String {
        ferrite_yaml::write_styled(&self.node())
    }
}

pub(crate) fn transformations_text(transformations: &[Origin]) -> String {
    ferrite_yaml::write_styled(&Node::seq(transformations.iter().map(Origin::node).collect()))
}

/// Joins and cleans paths by their text, keeping leading `..`.
pub(crate) fn clean_join(base: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(relative.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}
