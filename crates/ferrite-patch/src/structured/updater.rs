//! Ownership across a write: what an apply removes, whom it fights, what others lose.

use super::compare::{Comparison, compare};
use super::conflict::{Conflict, Conflicts};
use super::element::same;
use super::extract::fields_of;
use super::managers::{Id, Managers, Operation, Owned};
use super::merge::merge;
use super::reconcile::reconcile;
use super::remove::remove;
use super::set::FieldSet;
use super::{Scope, Versions};
use ferrite_schema::Type;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// An object in one version.
#[derive(Clone)]
struct Typed<'a> {
    value: Cow<'a, Value>,
    ty: &'a Type,
    version: Cow<'a, str>,
}

impl Typed<'_> {
    fn fields(&self) -> FieldSet {
        fields_of(&self.value, self.ty).with_declared_parents(Some(self.ty))
    }

    fn without(&self, set: &FieldSet) -> Value {
        if set.is_empty() { self.value.as_ref().clone() } else { remove(self.ty, &self.value, set) }
    }
}

/// What every step of one write shares.
pub(crate) struct Updater<'a> {
    pub(crate) version: &'a str,
    pub(crate) ty: &'a Type,
    pub(crate) versions: Option<&'a dyn Versions>,
    pub(crate) scope: Scope<'a>,
}

impl<'a> Updater<'a> {
    fn typed<'v>(&self, value: &'v Value) -> Typed<'v>
    where
        'a: 'v,
    {
        Typed { value: Cow::Borrowed(value), ty: self.ty, version: Cow::Borrowed(self.version) }
    }

    /// The object in another version; `None` when there is no such version.
    fn convert<'v>(&self, object: &Typed<'v>, to: &str) -> Option<Typed<'v>>
    where
        'a: 'v,
    {
        if object.version == to {
            return Some(object.clone());
        }
        let ty = if to == self.version { self.ty } else { self.versions?.schema(to)? };
        let value = self.versions?.convert(&object.value, to)?;
        Some(Typed { value: Cow::Owned(value), ty, version: Cow::Owned(to.to_owned()) })
    }

    /// The object after `applied`, unless it is unchanged, and everybody's fields after it.
    pub(crate) fn apply(
        &self,
        live: &Value,
        applied: &Value,
        managers: &mut Managers,
        id: &Id,
        force: bool,
    ) -> Result<Option<Value>, Conflicts> {
        self.reconcile(live, managers);
        let merged = merge(self.ty, live, applied);
        let set = self.scope.filter(fields_of(applied, self.ty));
        let last = managers.fields.insert(id.clone(), Owned { set, version: self.version.to_owned() });
        let new = match last {
            Some(last) => self.prune(merged, &managers.fields, id, &last),
            None => merged,
        };
        self.take(live, &new, &mut managers.fields, Some(id), force)?;
        Ok(if same(live, &new) { None } else { Some(new) })
    }

    /// Takes the fields that differ from whoever owned them. Returns what the writer owns now.
    pub(crate) fn update(&self, live: &Value, new: &Value, managers: &mut Managers) -> FieldSet {
        self.reconcile(live, managers);
        match self.take(live, new, &mut managers.fields, None, true) {
            Ok(changes) => {
                let mut set = changes.modified;
                set.extend(changes.added);
                self.scope.filter(set)
            }
            Err(_) => FieldSet::new(),
        }
    }

    fn reconcile(&self, live: &Value, managers: &mut Managers) {
        let live = self.typed(live);
        managers.fields.retain(|_, owned| {
            let known = if owned.version == self.version {
                Some(self.ty)
            } else {
                self.convert(&live, &owned.version).map(|t| t.ty)
            };
            let Some(ty) = known else { return false };
            if let Some(set) = reconcile(&owned.set, ty) {
                owned.set = set;
            }
            true
        });
    }

    fn take(
        &self,
        old: &Value,
        new: &Value,
        managers: &mut BTreeMap<Id, Owned>,
        writer: Option<&Id>,
        force: bool,
    ) -> Result<Comparison, Conflicts> {
        let changes = self.scope.filter_comparison(compare(self.ty, old, new));
        let (old, new) = (self.typed(old), self.typed(new));
        let mut in_version: BTreeMap<String, Option<Comparison>> = BTreeMap::new();
        let mut conflicts = Vec::new();
        let mut changed: Vec<(Id, Option<FieldSet>)> = Vec::new();
        for (id, owned) in managers.iter().filter(|(id, _)| Some(*id) != writer) {
            let changes = if owned.version == self.version {
                Some(&changes)
            } else {
                let version = &owned.version;
                let compared = in_version.entry(version.clone()).or_insert_with(|| {
                    let (old, new) = (self.convert(&old, version)?, self.convert(&new, version)?);
                    Some(self.scope.filter_comparison(compare(old.ty, &old.value, &new.value)))
                });
                compared.as_ref()
            };
            let Some(changes) = changes else {
                changed.push((id.clone(), None));
                continue;
            };
            let mut lost = owned.set.intersection(&changes.modified);
            lost.extend(owned.set.intersection(&changes.added));
            if !force {
                let paths = lost.paths().into_iter();
                conflicts.extend(paths.map(|path| Conflict::new(id.clone(), path)));
            }
            if !lost.is_empty() || !changes.removed.is_empty() {
                changed.push((id.clone(), Some(owned.set.difference(&lost).difference(&changes.removed))));
            }
        }
        if !conflicts.is_empty() {
            return Err(Conflicts::new(conflicts));
        }
        for (id, set) in changed {
            match (set, managers.get_mut(&id)) {
                (Some(set), Some(owned)) => owned.set = set,
                _ => {
                    managers.remove(&id);
                }
            }
        }
        managers.retain(|_, owned| !owned.set.is_empty());
        Ok(changes)
    }

    /// Removes what `id` applied last time, not this time, and nobody else owns.
    fn prune(&self, merged: Value, managers: &BTreeMap<Id, Owned>, id: &Id, last: &Owned) -> Value {
        let kept = managers.get(id).filter(|now| now.version == last.version);
        if last.set.is_empty() || kept.is_some_and(|now| last.set.difference(&now.set).is_empty()) {
            return merged;
        }
        let pruned = self.pruned(&merged, managers, last);
        pruned.unwrap_or(merged)
    }

    fn pruned(&self, merged: &Value, managers: &BTreeMap<Id, Owned>, last: &Owned) -> Option<Value> {
        let merged = self.convert(&self.typed(merged), &last.version)?;
        let last_set = last.set.with_declared_parents(Some(merged.ty));
        let without = Typed { value: Cow::Owned(merged.without(&last_set)), ..merged.clone() };
        let owned_back = self.add_back_owned(&merged, without, managers);
        // What was never owned by the applier, such as defaults inside of an item, is not its to remove.
        let owned_back = self.convert(&owned_back, &last.version)?;
        let gone = merged.fields().difference(&owned_back.fields()).intersection(&last_set);
        let pruned = Typed { value: Cow::Owned(merged.without(&gone)), ..merged.clone() };
        self.convert(&pruned, self.version).map(|t| t.value.into_owned())
    }

    /// Adds back what others own, version by version, that of the last apply first.
    fn add_back_owned<'v>(
        &self,
        merged: &Typed<'v>,
        pruned: Typed<'v>,
        managers: &BTreeMap<Id, Owned>,
    ) -> Typed<'v>
    where
        'a: 'v,
    {
        let mut by_version: BTreeMap<(bool, &str), FieldSet> = BTreeMap::new();
        for owned in managers.values() {
            let key = (merged.version != owned.version.as_str(), owned.version.as_str());
            by_version.entry(key).or_default().extend(owned.set.clone());
        }
        let (mut merged, mut pruned) = (merged.clone(), pruned);
        for ((_, version), managed) in by_version {
            let (Some(m), Some(p)) = (self.convert(&merged, version), self.convert(&pruned, version)) else {
                continue;
            };
            let mut kept = p.fields();
            kept.extend(managed.with_declared_parents(Some(m.ty)));
            let value = Cow::Owned(m.without(&m.fields().difference(&kept)));
            pruned = Typed { value, ..m.clone() };
            merged = m;
        }
        pruned
    }
}

impl Managers {
    /// Takes away what nobody owns: identity and bookkeeping in metadata. A manager without anything else goes.
    pub(crate) fn strip(set: &FieldSet) -> FieldSet {
        set.difference(&FieldSet::of_names(&[
            &["apiVersion"],
            &["kind"],
            &["metadata"],
            &["metadata", "name"],
            &["metadata", "namespace"],
            &["metadata", "creationTimestamp"],
            &["metadata", "selfLink"],
            &["metadata", "uid"],
            &["metadata", "clusterName"],
            &["metadata", "generation"],
            &["metadata", "managedFields"],
            &["metadata", "resourceVersion"],
        ]))
    }

    pub(crate) fn strip_manager(&mut self, id: &Id) {
        if let Some(owned) = self.fields.get_mut(id) {
            owned.set = Self::strip(&owned.set);
            if owned.set.is_empty() {
                self.fields.remove(id);
            }
        }
    }

    /// Whether anybody is known to own anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// A write by update: the manager's entry grows by what changed.
    pub(crate) fn record(&mut self, id: Id, set: &FieldSet, version: &str, now: &str) {
        debug_assert!(id.operation == Operation::Update, "appliers replace their set");
        let set = Self::strip(set);
        if !set.is_empty() {
            self.add(id, set, version, now);
        }
        self.cap();
    }
}
