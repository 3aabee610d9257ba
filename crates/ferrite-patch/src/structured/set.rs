//! Sets of fields: who owns what is a set of paths, kept as a tree.

use super::element::Element;
use ferrite_schema::Type;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

/// A set of paths.
///
/// A path may be in the set without its parent and without its children.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    nodes: BTreeMap<Element, Node>,
}

/// What the set holds at one element; never neither member nor parent of members.
#[derive(Clone, Default, PartialEq, Eq)]
struct Node {
    member: bool,
    below: FieldSet,
}

impl fmt::Debug for FieldSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.paths().iter().map(|p| text(p))).finish()
    }
}

/// `.spec.ports[port=80]`
#[must_use]
pub fn text(path: &[Element]) -> String {
    path.iter().map(ToString::to_string).collect()
}

impl FieldSet {
    /// The set of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The set of these paths of plain field names.
    #[must_use]
    pub fn of_names(paths: &[&[&str]]) -> Self {
        let mut set = Self::new();
        for path in paths {
            let path: Vec<_> = path.iter().map(|n| Element::field(n)).collect();
            set.insert(&path);
        }
        set
    }

    /// Whether the set has no path.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many paths the set has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.values().map(|n| usize::from(n.member) + n.below.len()).sum()
    }

    /// Adds a path, not its parents. The empty path, the whole object, is never owned.
    pub fn insert(&mut self, path: &[Element]) {
        let Some((last, parents)) = path.split_last() else { return };
        let mut set = self;
        for element in parents {
            set = &mut set.nodes.entry(element.clone()).or_default().below;
        }
        set.nodes.entry(last.clone()).or_default().member = true;
    }

    /// Puts `below` under `element`, which is itself a member or not.
    pub(crate) fn put(&mut self, element: Element, member: bool, below: Self) {
        if !member && below.is_empty() {
            return;
        }
        match self.nodes.entry(element) {
            Entry::Vacant(slot) => {
                slot.insert(Node { member, below });
            }
            Entry::Occupied(slot) => {
                let node = slot.into_mut();
                node.member |= member;
                node.below.extend(below);
            }
        }
    }

    /// Whether exactly this path is in the set.
    #[must_use]
    pub fn contains(&self, path: &[Element]) -> bool {
        let Some((last, parents)) = path.split_last() else { return false };
        let mut set = self;
        for element in parents {
            match set.nodes.get(element) {
                Some(node) => set = &node.below,
                None => return false,
            }
        }
        set.has(last)
    }

    /// Whether this one element is a member.
    pub(crate) fn has(&self, element: &Element) -> bool {
        self.nodes.get(element).is_some_and(|n| n.member)
    }

    /// What the set holds below `element`, if anything.
    #[must_use]
    pub fn below(&self, element: &Element) -> Option<&Self> {
        self.nodes.get(element).map(|n| &n.below).filter(|b| !b.is_empty())
    }

    /// The first elements, in order, with what is at and below each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Element, bool, &Self)> {
        self.nodes.iter().map(|(e, n)| (e, n.member, &n.below))
    }

    /// Every path: those of one level before those of deeper ones, as conflicts are listed.
    #[must_use]
    pub fn paths(&self) -> Vec<Vec<Element>> {
        let mut all = Vec::new();
        self.collect(&mut Vec::new(), &mut all);
        all
    }

    fn collect(&self, prefix: &mut Vec<Element>, all: &mut Vec<Vec<Element>>) {
        for (element, _) in self.nodes.iter().filter(|(_, n)| n.member) {
            let mut path = prefix.clone();
            path.push(element.clone());
            all.push(path);
        }
        for (element, node) in self.nodes.iter().filter(|(_, n)| !n.below.is_empty()) {
            prefix.push(element.clone());
            node.below.collect(prefix, all);
            prefix.pop();
        }
    }

    /// Adds every path of `other`.
    pub fn extend(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        for (element, node) in other.nodes {
            self.put(element, node.member, node.below);
        }
    }

    /// The paths that are in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.extend(other.clone());
        out
    }

    /// The paths that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (small, large) =
            if self.nodes.len() <= other.nodes.len() { (self, other) } else { (other, self) };
        let mut out = Self::new();
        for (element, node) in &small.nodes {
            if let Some(theirs) = large.nodes.get(element) {
                out.put(
                    element.clone(),
                    node.member && theirs.member,
                    node.below.intersection(&theirs.below),
                );
            }
        }
        out
    }

    /// The paths of this set that are not in `other`; children of `other`'s paths stay.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.subtract(other, false)
    }

    /// The paths of this set that neither are in `other` nor have a parent there.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        self.subtract(other, true)
    }

    fn subtract(&self, other: &Self, recursive: bool) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        let mut out = Self::new();
        for (element, node) in &self.nodes {
            match other.nodes.get(element) {
                None => {
                    out.nodes.insert(element.clone(), node.clone());
                }
                Some(theirs) if theirs.member && recursive => {}
                Some(theirs) => {
                    out.put(
                        element.clone(),
                        node.member && !theirs.member,
                        node.below.subtract(&theirs.below, recursive),
                    );
                }
            }
        }
        out
    }

    /// The set with only these top-level fields and what is below them.
    #[must_use]
    pub fn only(&self, names: &[&str]) -> Self {
        let kept = |e: &Element| matches!(e, Element::Field(n) if names.contains(&&**n));
        let nodes = self.nodes.iter().filter(|(e, _)| kept(e)).map(|(e, n)| (e.clone(), n.clone()));
        Self { nodes: nodes.collect() }
    }

    /// The set with, besides, every declared field that has something below it in the set.
    ///
    /// Free keys of a mapping and items of a list are values of their own; declared fields exist only through what
    /// they hold, so their removal follows from the removal of that.
    pub(crate) fn with_declared_parents(&self, ty: Option<&Type>) -> Self {
        let mut out = Self::new();
        for (element, node) in &self.nodes {
            let (declared, child) = match element {
                Element::Field(name) => {
                    (ty.is_some_and(|t| t.declares(name)), ty.and_then(|t| super::shape::child(t, name)))
                }
                Element::Key(_) => (false, ty.map(Type::item)),
                Element::Value(_) | Element::Index(_) => (false, None),
            };
            let member = node.member || declared && !node.below.is_empty();
            out.put(element.clone(), member, node.below.with_declared_parents(child));
        }
        out
    }
}
