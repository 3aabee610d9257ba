//! Names, tags and digests of container images.

use ferrite_yaml::{Data, Error as Fault, Node, Tag};
use regex::Regex;

use super::{each, require_scalar};
use crate::error::{Error, Result};
use crate::fieldspec::{Create, FieldSpec};
use crate::kustomization::Image;
use crate::resource::{Resource, set_text};

/// Changes the images that match `image.name`, a regular expression.
pub(crate) fn set(list: &mut [Resource], image: &Image, specs: &[FieldSpec]) -> Result<()> {
    let pattern = format!("^{}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$", image.name);
    let pattern = crate::selector::regex(&pattern)
        .map_err(|error| Error::invalid(format!("images: the name `{}`: {error}", image.name)))?;
    each(list, |resource| {
        if resource.gvk.kind == "CustomResourceDefinition" {
            return Ok(());
        }
        in_containers(&mut resource.node, &pattern, image)?;
        for spec in specs.iter().filter(|spec| spec.selects(&resource.gvk)) {
            spec.visit(&mut resource.node, Create::Nothing, &mut |node| update(node, &pattern, image))?;
        }
        Ok(())
    })
}

/// The `image` of every element of every `containers` and `initContainers` list, wherever it is.
fn in_containers(node: &mut Node, pattern: &Regex, image: &Image) -> Result<(), Fault> {
    match &mut node.data {
        Data::Scalar(_) => Ok(()),
        Data::Seq(items) => items.iter_mut().try_for_each(|item| in_containers(item, pattern, image)),
        Data::Map(map) => {
            for (key, value) in &mut map.entries {
                in_containers(value, pattern, image)?;
                if !matches!(key.text.as_str(), "containers" | "initContainers") {
                    continue;
                }
                for item in value.items_mut().into_iter().flatten() {
                    if item.is_null() {
                        continue;
                    }
                    if item.as_map().is_none() {
                        let message = format!("expected a container as mapping, found {}", item.kind_name());
                        return Err(Fault::new(item.position, message));
                    }
                    if let Some(found) = item.get_mut("image") {
                        update(found, pattern, image)?;
                    }
                }
            }
            Ok(())
        }
    }
}

fn update(node: &mut Node, pattern: &Regex, image: &Image) -> Result<(), Fault> {
    require_scalar(node)?;
    if node.is_null() {
        return Ok(());
    }
    let value = node.text().unwrap_or_default();
    if pattern.is_match(value) {
        let text = changed(value, image);
        set_text(node, &text, Tag::None);
    }
    Ok(())
}

/// `name`, `:tag`, `@digest`, without the separators.
fn parts(value: &str) -> (&str, &str, &str) {
    let from = value.find('/').filter(|at| *at > 0).unwrap_or(0);
    let (host, rest) = value.split_at(from);
    let digest_at = rest.find('@');
    let (before, digest) = digest_at.map_or((rest, ""), |at| {
        let (before, digest) = rest.split_at(at);
        (before, digest.strip_prefix('@').unwrap_or(digest))
    });
    let (name, tag) = before.split_once(':').unwrap_or((before, ""));
    let name = value.get(..host.len() + name.len()).unwrap_or(value);
    (name, tag, digest)
}

fn changed(value: &str, image: &Image) -> String {
    let (name, tag, digest) = parts(value);
    let name = if image.new_name.is_empty() { name } else { &image.new_name };
    let suffixed;
    let (tag, digest) = match (image.new_tag.as_str(), image.digest.as_str()) {
        ("", "") if image.tag_suffix.is_empty() => (tag, digest),
        ("", "") => {
            suffixed = format!("{tag}{}", image.tag_suffix);
            (suffixed.as_str(), "")
        }
        ("", digest) => ("", digest),
        (tag, digest) => (tag, digest),
    };
    let mut out = name.to_owned();
    if !tag.is_empty() {
        out.push(':');
        out.push_str(tag);
    }
    if !digest.is_empty() {
        out.push('@');
        out.push_str(digest);
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::kustomization::Image;

    #[track_caller]
    fn check(value: &str, [name, tag, digest, suffix]: [&str; 4], expect: &str) {
        let image = Image {
            new_name: name.into(),
            new_tag: tag.into(),
            digest: digest.into(),
            tag_suffix: suffix.into(),
            ..Image::default()
        };
        assert_eq!(super::changed(value, &image), expect);
    }

    #[test]
    fn changes() {
        check("nginx:1.7.9", ["", "2", "", ""], "nginx:2");
        check("localhost:5000/nginx:1", ["x", "", "", ""], "x:1");
        check("localhost:5000/nginx", ["", "2", "", ""], "localhost:5000/nginx:2");
        check("nginx:1@sha256:a", ["", "2", "", ""], "nginx:2");
        check("nginx:1", ["", "", "sha256:b", ""], "nginx@sha256:b");
        check("nginx:1", ["", "2", "sha256:b", ""], "nginx:2@sha256:b");
        check("nginx:1@sha256:a", ["", "", "", "-x"], "nginx:1-x");
    }
}
