//! What a kustomization and those below it have gathered so far.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ferrite_yaml::Node;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::kustomization::Var;
use crate::resource::{Behavior, Resource};
use crate::vars;

/// The objects of one directory and what its transformers know.
pub(crate) struct Accumulator {
    pub(crate) list: Vec<Resource>,
    /// `None` until some kustomization said something.
    config: Option<Arc<Config>>,
    pub(crate) vars: Vec<Var>,
    /// Identities of `list`; `None` after they may have changed.
    ids: Option<HashSet<String>>,
    /// Who has, or had, a name; `None` after the names may have changed.
    names: Option<HashMap<String, Vec<usize>>>,
}

impl Accumulator {
    pub(crate) fn new() -> Self {
        Self { list: Vec::new(), config: None, vars: Vec::new(), ids: Some(HashSet::new()), names: None }
    }

    /// Adds objects whose identity must be new.
    pub(crate) fn append(&mut self, resources: Vec<Resource>) -> Result<()> {
        let key = |resource: &Resource| {
            let id = resource.id();
            format!("{}\0{}\0{}\0{}\0{}", id.name, id.namespace, id.kind, id.group, id.version)
        };
        let ids = self.ids.get_or_insert_with(|| self.list.iter().map(key).collect());
        for resource in resources {
            if !ids.insert(key(&resource)) {
                let error = Error::invalid(format!(
                    "may not add resource with an already registered id: {}",
                    resource.id()
                ));
                return Err(match &resource.source.file {
                    Some(file) => error.at(file, resource.place(resource.node.position)),
                    None => error,
                });
            }
            if let Some(names) = &mut self.names {
                note_names(names, self.list.len(), &resource);
            }
            self.list.push(resource);
        }
        Ok(())
    }

    /// Forgets what was derived from the objects, which are about to change.
    pub(crate) fn forget(&mut self) {
        self.ids = None;
        self.names = None;
    }

    /// The objects that have, or had, an identity; at most two of them.
    fn with_id(&mut self, id: &Id<'_>) -> (Option<usize>, Option<usize>) {
        let names = self.names.get_or_insert_with(|| {
            let mut names = HashMap::new();
            for (at, resource) in self.list.iter().enumerate() {
                note_names(&mut names, at, resource);
            }
            names
        });
        let named = names.get(id.name).map(Vec::as_slice).unwrap_or_default();
        let mut found = named
            .iter()
            .copied()
            .filter(|at| self.list.get(*at).is_some_and(|resource| resource.answers_to(id)));
        (found.next(), found.next())
    }

    /// What the transformers know.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.clone().unwrap_or_else(Config::builtin)
    }

    pub(crate) fn add_config(&mut self, config: Arc<Config>) -> Result<()> {
        match &mut self.config {
            Some(own) if Arc::ptr_eq(own, &config) => Ok(()),
            Some(own) => Arc::make_mut(own).merge(&config),
            None if Arc::ptr_eq(&config, &Config::builtin()) => {
                self.config = Some(config);
                Ok(())
            }
            // Merged also when there is nothing yet: a spec can make a more general one superfluous.
            None => {
                let mut own = Config::default();
                own.merge(&config)?;
                self.config = Some(Arc::new(own));
                Ok(())
            }
        }
    }

    pub(crate) fn merge(&mut self, other: Self) -> Result<()> {
        if self.list.is_empty() && self.ids.is_some() {
            self.list = other.list;
            self.forget();
            self.check_unique()?;
        } else {
            self.append(other.list)?;
        }
        if let Some(config) = other.config {
            self.add_config(config)?;
        }
        vars::absorb(&mut self.vars, other.vars)
    }

    pub(crate) fn check_unique(&mut self) -> Result<()> {
        let list = std::mem::take(&mut self.list);
        self.ids = Some(HashSet::with_capacity(list.len()));
        self.append(list)
    }

    /// Adds a generated object, or merges it into the one it is for.
    pub(crate) fn absorb(&mut self, mut made: Resource) -> Result<()> {
        let id = made.id();
        let (first, second) = self.with_id(&id);
        match (first, second, made.book.behavior) {
            (Some(_), Some(_), _) => {
                Err(Error::invalid(format!("found multiple objects that could accept merge of {id}")))
            }
            (Some(_), None, Behavior::Create) => {
                Err(Error::invalid(format!("id {id} exists; behavior must be merge or replace")))
            }
            (None, _, Behavior::Merge | Behavior::Replace) => {
                Err(Error::invalid(format!("id {id} does not exist; cannot merge or replace")))
            }
            (None, _, Behavior::Create) => self.append(vec![made]),
            (Some(at), None, behavior) => {
                let mut same_type = true;
                if let Some(old) = self.list.get_mut(at) {
                    inherit(&mut made, old, behavior == Behavior::Merge);
                    same_type = made.gvk == old.gvk;
                    *old = made;
                }
                // Names and history are those of the old one.
                if !same_type {
                    self.forget();
                }
                Ok(())
            }
        }
    }
}

fn note_names(names: &mut HashMap<String, Vec<usize>>, at: usize, resource: &Resource) {
    for id in resource.ids() {
        let found = names.entry(id.name.to_owned()).or_default();
        if found.last() != Some(&at) {
            found.push(at);
        }
    }
}

/// Gives a generated object what it keeps of the one it replaces.
fn inherit(made: &mut Resource, old: &Resource, merge: bool) {
    for field in ["labels", "annotations"] {
        let own: Vec<(String, String)> =
            made.pairs(field).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let olds: Vec<(String, String)> =
            old.pairs(field).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        if let Some(metadata) = made.node.get_mut("metadata") {
            metadata.remove(field);
        }
        for (key, value) in olds.into_iter().chain(own) {
            made.set_pair(field, &key, &value);
        }
    }
    made.set_metadata("name", old.name());
    made.set_namespace(old.namespace());
    let needs_hash = made.book.needs_hash && old.book.needs_hash;
    let origin = if merge { old.book.origin.clone() } else { made.book.origin.take() };
    made.book = old.book.clone();
    made.book.needs_hash = needs_hash;
    made.book.origin = origin;
    if !merge {
        return;
    }
    for field in ["data", "binaryData"] {
        let Some(olds) = old.node.get(field).and_then(Node::as_map) else { continue };
        let mut merged = Node::map();
        for (key, value) in &olds.entries {
            let text = value.text().filter(|_| !value.is_null());
            merged.set(&key.text, Node::string(text.unwrap_or_default()));
        }
        for (key, value) in
            made.node.get(field).and_then(Node::as_map).into_iter().flat_map(|m| m.entries.iter())
        {
            merged.set(&key.text, value.clone());
        }
        made.node.set(field, merged);
    }
}
