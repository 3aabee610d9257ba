//! Field sets that were written under an older schema.

use super::element::Element;
use super::set::FieldSet;
use super::shape::{Form, child, free, shape, whole_list, whole_map};
use ferrite_schema::Type;

/// The set as it would have been written under `ty`: owners of parts of a list or mapping that is whole by now own all
/// of it. `None` when nothing changes.
pub(crate) fn reconcile(set: &FieldSet, ty: &Type) -> Option<FieldSet> {
    let mut walker = Walker { path: Vec::new(), whole: FieldSet::new() };
    walker.visit(ty, set, false);
    if walker.whole.is_empty() {
        return None;
    }
    let mut out = set.recursive_difference(&walker.whole);
    out.extend(walker.whole);
    Some(out)
}

struct Walker {
    path: Vec<Element>,
    whole: FieldSet,
}

impl Walker {
    /// `leaf`: the path is owned and nothing below it is.
    fn visit(&mut self, ty: &Type, set: &FieldSet, leaf: bool) {
        match shape(ty, None).form {
            Form::Scalar => {}
            Form::List if !leaf && whole_list(ty) => self.whole.insert(&self.path),
            Form::List => {
                for (element, member, below) in set.iter() {
                    self.descend(element, ty.item(), below, member);
                }
            }
            Form::Map if free(ty) && !whole_map(ty) => {}
            Form::Map if !leaf && whole_map(ty) => {
                if !set.is_empty() {
                    self.whole.insert(&self.path);
                }
            }
            Form::Map => {
                for (element, member, below) in set.iter() {
                    if let Element::Field(name) = element
                        && let Some(ty) = child(ty, name)
                    {
                        self.descend(element, ty, below, member);
                    }
                }
            }
        }
    }

    fn descend(&mut self, element: &Element, ty: &Type, below: &FieldSet, member: bool) {
        self.path.push(element.clone());
        self.visit(ty, below, member && below.is_empty());
        self.path.pop();
    }
}
