//! The recursion: one kustomization after the other, depth first.

use std::sync::Arc;

use ferrite_yaml::{Dialect, Limits, Node};

use crate::accumulator::Accumulator;
use crate::config::Config;
use crate::crds;
use crate::decode::Text;
use crate::error::{Error, ErrorKind, Result};
use crate::generate::{Generated, generate};
use crate::helm;
use crate::kustomization::{self, COMPONENT, Kustomization};
use crate::loader::Root;
use crate::origin::{ConfiguredBy, Origin};
use crate::plugin;
use crate::remote::{RepoSpec, is_http};
use crate::resource::Resource;
use crate::steps;
use crate::stream;
use crate::transform::Step;
use crate::vars;

/// One kustomization file, read, and where it stands.
pub(crate) struct Target<'a> {
    pub(crate) root: Root<'a>,
    pub(crate) kust: Kustomization,
    /// The file's name in its directory.
    name: &'static str,
    /// The file, for messages.
    shown: String,
    /// Where this directory is, when origins are asked for.
    pub(crate) origin: Option<Origin>,
    /// The namespace charts are put in unless they say otherwise.
    helm_namespace: String,
    /// The file does not exist; it lists what a directory holds.
    generated: bool,
}

impl<'a> Target<'a> {
    pub(crate) fn load(root: Root<'a>) -> Result<Self> {
        let (name, shown) = root.kustomization_file()?;
        let (text, _) = root.load_text(name)?;
        let kust = kustomization::read(&text).map_err(|error| {
            Error::from_yaml(ErrorKind::Invalid, &shown, error).context("invalid Kustomization")
        })?;
        let target =
            Self { root, kust, name, shown, origin: None, helm_namespace: String::new(), generated: false };
        target.note_deprecated();
        Ok(target)
    }

    /// A target whose file was read, or made, elsewhere.
    pub(crate) fn prepared(root: Root<'a>, kust: Kustomization, name: &'static str, generated: bool) -> Self {
        let shown = root.dir.join(name).map_or_else(|_| name.to_owned(), |path| root.shown(&path));
        Self { root, kust, name, shown, origin: None, helm_namespace: String::new(), generated }
    }

    fn note_deprecated(&self) {
        let kust = &self.kust;
        let uses = [
            (!kust.common_labels.is_empty(), "commonLabels", "labels"),
            (!kust.image_tags.is_empty(), "imageTags", "images"),
            (!kust.patches_json6902.is_empty(), "patchesJson6902", "patches"),
            (!kust.patches_strategic_merge.is_empty(), "patchesStrategicMerge", "patches"),
            (!kust.vars.is_empty(), "vars", "replacements"),
        ];
        for (_, old, new) in uses.iter().filter(|(used, _, _)| *used) {
            self.root
                .session
                .warn(format!("{}: '{old}' is deprecated. Please use '{new}' instead.", self.shown));
        }
    }

    /// Sets the schema that this kustomization asks for, unless one is set.
    pub(crate) fn set_schema(&self) -> Result<()> {
        let (path, version) = (self.kust.openapi.get("path"), self.kust.openapi.get("version"));
        let fail = |error: Error| error.at(&self.shown, Default::default());
        match (path.filter(|path| !path.is_empty()), version) {
            (Some(_), Some(_)) => {
                Err(fail(Error::invalid("builtin version and custom schema provided, cannot use both")))
            }
            (Some(path), None) => {
                let (text, shown) = self.root.load_text(path).map_err(fail)?;
                let wrap = |error| Error::from_yaml(ErrorKind::Malformed, &shown, error);
                let node = ferrite_yaml::parse(&text, &Limits::default()).map_err(wrap)?;
                let swagger = node.map(|node| node.to_json(Dialect::Yaml11)).transpose().map_err(wrap)?;
                self.root.session.set_swagger(&swagger.unwrap_or_default());
                Ok(())
            }
            (None, Some(version)) if version == "v1.21.2" => {
                self.root.session.set_builtin();
                Ok(())
            }
            (None, Some(version)) if !version.is_empty() => Err(fail(Error::invalid(format!(
                "the specified OpenAPI version is not built in: {version}; use v1.21.2 or openapi.path"
            )))),
            (None, _) => Ok(()),
        }
    }

    /// Runs this kustomization on what was accumulated so far.
    pub(crate) fn accumulate(&self, into: &mut Accumulator) -> Result<()> {
        let kust = &self.kust;
        for entry in &kust.resources {
            self.resource(&entry.value, into).map_err(|error| self.resource_error(error, entry))?;
        }
        self.configure(into)?;
        self.generate(into)?;
        for entry in &kust.components {
            self.component(&entry.value, into)
                .map_err(|error| error.context(format!("accumulating components from '{}'", entry.value)))
                .map_err(|error| error.at(&self.shown, entry.at))?;
        }
        self.transform(into)?;
        self.validate(into)?;
        vars::declare(&mut into.vars, &kust.vars, &mut into.list, &self.root.types())
            .map_err(|error| error.at(&self.shown, Default::default()))
    }

    fn resource_error(&self, error: Error, entry: &Text) -> Error {
        if self.generated && error.kind() == ErrorKind::Malformed {
            return error.context(format!("failed to decode Kubernetes YAML from {}", entry.value));
        }
        error.context(format!("accumulating resources from '{}'", entry.value)).at(&self.shown, entry.at)
    }

    /// An entry of `resources`: a file if it can be read as one, else a directory.
    fn resource(&self, entry: &str, into: &mut Accumulator) -> Result<()> {
        let file_error = match self.resource_file(entry) {
            Ok(list) => return into.append(list),
            Err(error) if error.kind() == ErrorKind::Directory => None,
            Err(error) => Some(error),
        };
        if is_http(entry)
            && RepoSpec::parse(entry).is_none()
            && let Some(error) = file_error
        {
            return Err(error);
        }
        match (self.root.enter(entry), file_error) {
            (Ok(root), _) => {
                let child = self.child(root, entry, false)?;
                let mut inner = Accumulator::new();
                child.accumulate(&mut inner)?;
                into.merge(inner)
            }
            (Err(error), None) => Err(error),
            (Err(_), Some(file_error)) if file_error.kind() == ErrorKind::Malformed => Err(file_error),
            (Err(error), Some(file_error)) => Err(if matches!(file_error.kind(), ErrorKind::Forbidden) {
                file_error
            } else {
                error.context(format!("accumulation err='{file_error}'"))
            }),
        }
    }

    fn resource_file(&self, entry: &str) -> Result<Vec<Resource>> {
        let file = self.root.load(entry)?;
        let mut list = stream::objects(&file.bytes, Some(&file.shown), &self.root.types())?;
        self.root.session.note_types(&list);
        if let Some(origin) = &self.origin {
            let origin = origin.append(entry);
            for resource in &mut list {
                resource.book.origin = Some(origin.clone());
            }
        }
        Ok(list)
    }

    fn component(&self, entry: &str, into: &mut Accumulator) -> Result<()> {
        let root = self.root.enter(entry)?;
        self.child(root, entry, true)?.accumulate(into)?;
        into.check_unique().map_err(|error| error.context(format!("recursed merging from path '{entry}'")))
    }

    fn child(&self, root: Root<'a>, entry: &str, component: bool) -> Result<Self> {
        let mut child = Self::load(root)?;
        child.set_schema()?;
        let is_component = child.kust.kind == COMPONENT;
        if component && !is_component {
            return Err(Error::invalid(format!(
                "expected kind 'Component' for path '{entry}' but got '{}'",
                child.kust.kind
            )));
        }
        if !component && is_component {
            return Err(Error::invalid(format!("expected kind != 'Component' for path '{entry}'")));
        }
        child.origin =
            self.origin.as_ref().map(|origin| match (RepoSpec::parse(entry), child.root.repository()) {
                (Some(spec), Some(_)) => Origin {
                    path: spec.path.clone(),
                    repo: spec.clone.clone(),
                    reference: spec.reference,
                    ..Origin::default()
                },
                _ => origin.append(entry),
            });
        child.helm_namespace = if self.kust.namespace.is_empty() {
            self.helm_namespace.clone()
        } else {
            self.kust.namespace.clone()
        };
        Ok(child)
    }

    /// `configurations` and `crds`.
    fn configure(&self, into: &mut Accumulator) -> Result<()> {
        let mut own = Config::builtin();
        let mut declared = Config::default();
        for entry in &self.kust.configurations {
            let fail = |error: Error| error.at(&self.shown, entry.at).context("configurations");
            let (text, shown) = self.root.load_text(&entry.value).map_err(fail)?;
            let config = Config::read(&text)
                .map_err(|error| fail(Error::from_yaml(ErrorKind::Malformed, &shown, error)))?;
            declared.merge(&config).map_err(fail)?;
        }
        if !self.kust.configurations.is_empty() {
            let fail = |error: Error| error.at(&self.shown, Default::default()).context("configurations");
            Arc::make_mut(&mut own).merge(&declared).map_err(fail)?;
        }
        into.add_config(own)?;
        for entry in &self.kust.crds {
            let fail = |error: Error| error.at(&self.shown, entry.at).context("crds");
            let (text, shown) = self.root.load_text(&entry.value).map_err(fail)?;
            let config = crds::read(&text, &shown).map_err(fail)?;
            into.add_config(Arc::new(config)).map_err(fail)?;
        }
        Ok(())
    }

    fn builtin_origin(&self, kind: &str) -> Option<Origin> {
        let by =
            ConfiguredBy { api_version: "builtin".to_owned(), kind: kind.to_owned(), ..Default::default() };
        self.origin.as_ref().map(|origin| origin.configured(self.name, by))
    }

    fn generate(&self, into: &mut Accumulator) -> Result<()> {
        let kust = &self.kust;
        let types = self.root.types();
        let lists = [
            (&kust.config_map_generator, Generated::ConfigMap, "ConfigMapGenerator"),
            (&kust.secret_generator, Generated::Secret, "SecretGenerator"),
        ];
        for (list, kind, name) in lists {
            for args in list {
                let fail = |error: Error| error.at(&self.shown, args.at);
                let mut made = generate(kind, args, kust.generator_options.as_ref(), &self.root, &types)
                    .map_err(fail)?;
                made.book.origin = self.builtin_origin(name);
                into.absorb(made).map_err(fail)?;
            }
        }
        for chart in &kust.helm_charts {
            let namespace = if kust.namespace.is_empty() { &self.helm_namespace } else { &kust.namespace };
            let list = helm::inflate(chart, kust.helm_globals.as_ref(), namespace, &self.root)
                .map_err(|error| error.at(&self.shown, chart.at))?;
            for mut made in list {
                made.book.origin = self.builtin_origin("HelmChartInflationGenerator");
                into.absorb(made)?;
            }
        }
        for config in self.plugins(&kust.generators)? {
            for mut made in plugin::run_generator(&config, &self.root)? {
                made.book.origin = plugin::origin(&config);
                into.absorb(made)?;
            }
        }
        Ok(())
    }

    /// The configurations of an entry list: inline objects first, then files and directories.
    fn plugins(&self, entries: &[Text]) -> Result<Vec<Resource>> {
        let mut found = Accumulator::new();
        let mut paths = Vec::new();
        for entry in entries {
            match stream::objects(entry.value.as_bytes(), Some(&self.shown), &self.root.types()) {
                Ok(mut list) if !list.is_empty() => {
                    if let Some(origin) = &self.origin {
                        let origin = origin.append(self.name);
                        for resource in &mut list {
                            resource.book.origin = Some(origin.clone());
                        }
                    }
                    found.append(list)?;
                }
                _ => paths.push(entry),
            }
        }
        for entry in paths {
            self.resource(&entry.value, &mut found).map_err(|error| error.at(&self.shown, entry.at))?;
        }
        Ok(found.list)
    }

    fn transform(&self, into: &mut Accumulator) -> Result<()> {
        let types = self.root.types();
        let config = into.config();
        let builtin = steps::builtin(&self.kust, &config, &self.root, &self.shown)?;
        let mut all: Vec<Step> = Vec::new();
        for (transformer, kind) in builtin {
            all.push(Step { transformer, origin: self.builtin_origin(kind) });
        }
        for config in self.plugins(&self.kust.transformers)? {
            all.extend(plugin::transformers(&config, &self.root)?);
        }
        if all.is_empty() {
            return Ok(());
        }
        into.forget();
        if all.iter().any(|step| step.transformer.merges()) {
            self.root.session.note_merge();
        }
        for step in &all {
            step.run(&mut into.list, &types).map_err(|error| error.at(&self.shown, Default::default()))?;
        }
        Ok(())
    }

    fn validate(&self, into: &mut Accumulator) -> Result<()> {
        let types = self.root.types();
        for config in self.plugins(&self.kust.validators)? {
            for step in plugin::transformers(&config, &self.root)? {
                let before = into.list.clone();
                step.run(&mut into.list, &types)?;
                let same = before.len() == into.list.len()
                    && before.iter().zip(&into.list).all(|(old, new)| {
                        old.book.previous == new.book.previous && same_but_label(&old.node, &new.node)
                    });
                if !same {
                    return Err(Error::invalid("validator shouldn't modify the resource map"));
                }
            }
        }
        Ok(())
    }
}

/// True when nothing but the label `validated-by` was added.
fn same_but_label(old: &Node, new: &Node) -> bool {
    let value = |node: &Node| {
        let mut node = node.clone();
        if let Some(metadata) = node.get_mut("metadata") {
            if let Some(labels) = metadata.get_mut("labels") {
                labels.remove("validated-by");
            }
            let empty = metadata.get("labels").is_some_and(crate::transform::is_nothing);
            if empty {
                metadata.remove("labels");
            }
        }
        node.to_json(Dialect::Yaml12).ok()
    };
    value(old) == value(new)
}
