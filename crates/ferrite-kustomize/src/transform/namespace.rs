//! Moving everything into one namespace.

use std::collections::HashSet;

use ferrite_yaml::{Error as Fault, Node, Tag};

use super::require_scalar;
use crate::error::{Error, Result};
use crate::fieldspec::{Create, FieldSpec};
use crate::resource::{Resource, child_map, set_text, string_node};
use crate::schema::Types;

/// Which subjects of role bindings move too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Subjects {
    #[default]
    NamedDefault,
    ServiceAccounts,
    Nobody,
}

#[derive(Debug)]
pub(crate) struct NamespaceStep {
    pub(crate) namespace: String,
    pub(crate) specs: Vec<FieldSpec>,
    pub(crate) unset_only: bool,
    pub(crate) subjects: Subjects,
}

impl NamespaceStep {
    pub(crate) fn run(&self, list: &mut [Resource], types: &Types) -> Result<()> {
        if self.namespace.is_empty() {
            return Ok(());
        }
        for resource in list.iter_mut().filter(|resource| !resource.book.helm) {
            resource.store_id();
            self.one(resource).map_err(|error| resource.error(error))?;
            resource.refresh(types);
        }
        let mut seen = HashSet::with_capacity(list.len());
        for resource in list.iter() {
            if !seen.insert(resource.id()) {
                return Err(Error::invalid(format!(
                    "namespace transformation produces ID conflict: two objects become {}",
                    resource.id()
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn one(&self, resource: &mut Resource) -> Result<(), Fault> {
        if !resource.cluster
            && let Some(metadata) = child_map(&mut resource.node, "metadata")
        {
            match metadata.get_mut("namespace") {
                Some(old) => self.set(old)?,
                None => metadata.set("namespace", string_node(&self.namespace)),
            }
        }
        let binding = matches!(resource.gvk.kind.as_str(), "RoleBinding" | "ClusterRoleBinding");
        if binding {
            self.subjects(&mut resource.node)?;
        }
        let is_v1 = resource.gvk.group.is_empty() && resource.gvk.version == "v1";
        for spec in &self.specs {
            let skipped = spec.path == "metadata/namespace"
                || spec.path == "metadata/name" && !is_v1
                || binding
                    && spec.path == "subjects/namespace"
                    && matches!(spec.kind.as_str(), "RoleBinding" | "ClusterRoleBinding");
            if !skipped && spec.selects(&resource.gvk) {
                spec.visit(&mut resource.node, Create::Scalar(Tag::Str), &mut |node| self.set(node))
                    .map_err(|error| {
                        let hint = "namespace field specs must target scalar nodes";
                        Fault::new(error.position, format!("{hint}: {}", error.message))
                    })?;
            }
        }
        Ok(())
    }

    fn set(&self, node: &mut Node) -> Result<(), Fault> {
        require_scalar(node)?;
        let is_set = !node.is_null() && node.text() != Some("");
        if !(self.unset_only && is_set) {
            set_text(node, &self.namespace, Tag::Str);
        }
        Ok(())
    }

    fn subjects(&self, node: &mut Node) -> Result<(), Fault> {
        let Some(subjects) = node.get_mut("subjects").filter(|subjects| !subjects.is_null()) else {
            return Ok(());
        };
        let (field, value) = match self.subjects {
            Subjects::Nobody => return Ok(()),
            Subjects::NamedDefault => ("name", "default"),
            Subjects::ServiceAccounts => ("kind", "ServiceAccount"),
        };
        let position = subjects.position;
        let Some(items) = subjects.items_mut() else {
            return Err(Fault::new(
                position,
                "setting namespace on (cluster)role binding subjects: expected a list",
            ));
        };
        for subject in items {
            if subject.get(field).and_then(Node::text) != Some(value) {
                continue;
            }
            match subject.get_mut("namespace") {
                Some(old) => self.set(old)?,
                None => subject.set("namespace", string_node(&self.namespace)),
            }
        }
        Ok(())
    }
}
