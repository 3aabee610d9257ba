//! `ValueAddTransformer`: a value put into fields, or into one part of a path in them.

use ferrite_yaml::{Error as Fault, Node, Tag};

use crate::error::Result;
use crate::resource::{Resource, set_text};
use crate::schema::Types;
use crate::selector::Selector;
use crate::transform::namespace::{NamespaceStep, Subjects};

#[derive(Debug)]
pub(crate) struct ValueAdd {
    pub(crate) value: String,
    pub(crate) targets: Vec<Target>,
}

#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) selector: Option<Selector>,
    pub(crate) path: Vec<String>,
    /// Which part of the field's slash path the value becomes, from 1; 0 replaces all of it.
    pub(crate) position: usize,
}

impl ValueAdd {
    pub(crate) fn run(&self, list: &mut [Resource], types: &Types) -> Result<()> {
        for target in &self.targets {
            if target.path.iter().map(String::as_str).eq(["metadata", "namespace"]) {
                self.namespace(list, target, types)?;
                continue;
            }
            for resource in list.iter_mut().filter(|resource| target.selects(resource)) {
                self.add(&mut resource.node, target).map_err(|error| resource.error(error))?;
            }
        }
        Ok(())
    }

    /// Follows the path through mappings only, making what is missing.
    fn add(&self, node: &mut Node, target: &Target) -> Result<(), Fault> {
        if target.path.len() > 256 {
            return Err(Fault::new(node.position, "fieldPath has more than 256 parts"));
        }
        let mut place = node;
        for (at, name) in target.path.iter().enumerate() {
            let last = at + 1 == target.path.len();
            if place.as_map().is_none() {
                let message = format!("wrong node kind: expected MappingNode but got {}", place.kind_name());
                return Err(Fault::new(place.position, message));
            }
            if place.get(name).is_none() {
                place.set(name, if last { Node::plain("") } else { Node::map() });
            }
            match place.get_mut(name) {
                Some(next) => place = next,
                None => return Ok(()),
            }
        }
        self.set(place, target)
    }

    fn namespace(&self, list: &mut [Resource], target: &Target, types: &Types) -> Result<()> {
        let step = NamespaceStep {
            namespace: self.value.clone(),
            specs: Vec::new(),
            unset_only: false,
            subjects: Subjects::NamedDefault,
        };
        for resource in list.iter_mut().filter(|resource| target.selects(resource)) {
            step.one(resource).map_err(|error| resource.error(error))?;
            resource.refresh(types);
        }
        Ok(())
    }

    fn set(&self, node: &mut Node, target: &Target) -> Result<(), Fault> {
        super::require_scalar(node)?;
        let text = match target.position.checked_sub(1) {
            None => self.value.clone(),
            Some(at) => placed(node.text().unwrap_or_default(), &self.value, at),
        };
        set_text(node, &text, Tag::None);
        Ok(())
    }
}

impl Target {
    fn selects(&self, resource: &Resource) -> bool {
        self.selector.as_ref().is_none_or(|selector| selector.selects(resource))
    }
}

/// `path` with `value` as its part number `at`; the leading slash stays.
fn placed(path: &str, value: &str, at: usize) -> String {
    let (slash, rest) = path.strip_prefix('/').map_or(("", path), |rest| ("/", rest));
    let mut parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    parts.insert(at.min(parts.len()), value);
    format!("{slash}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn parts_of_paths() {
        for (path, at, expect) in [
            ("", 3, "PEACH"),
            ("/", 0, "/PEACH"),
            ("pie", 0, "PEACH/pie"),
            ("/raw", 1, "/raw/PEACH"),
            ("/a/nice/warm/pie", 3, "/a/nice/warm/PEACH/pie"),
        ] {
            assert_eq!(super::placed(path, "PEACH", at), expect);
        }
    }
}
