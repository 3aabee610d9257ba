//! Types and kinds.

use super::text;
use crate::{
    func::{Functions, Ty},
    value::Value,
};

pub(super) fn register(functions: &mut Functions) {
    functions.add(&[
        ("typeOf", &[Ty::Any], None, |a| Ok(a[0].type_name().into())),
        ("typeIs", &[Ty::Str, Ty::Any], None, |a| Ok((text(a, 0) == a[1].type_name().as_bytes()).into())),
        ("typeIsLike", &[Ty::Str, Ty::Any], None, |a| {
            let (wanted, name) = (text(a, 0), a[1].type_name());
            Ok((wanted == name.as_bytes() || [b"*", wanted].concat() == name.as_bytes()).into())
        }),
        ("kindOf", &[Ty::Any], None, |a| Ok(a[0].kind().name().into())),
        ("kindIs", &[Ty::Str, Ty::Any], None, |a| Ok((text(a, 0) == a[1].kind().name().as_bytes()).into())),
        ("deepEqual", &[Ty::Any, Ty::Any], None, |a| Ok(Value::Bool(a[0].deep_equal(&a[1])))),
    ]);
}
