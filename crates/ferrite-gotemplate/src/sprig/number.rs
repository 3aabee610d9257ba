//! Arithmetic and sequences.

use super::{
    Answer, MAX_ITEMS,
    cast::{to_float, to_int},
    decimal::Decimal,
    int, panic_text, utf8,
};
use crate::{
    error::Error,
    fmt,
    func::{Functions, Ty},
    strconv,
    value::{Elem, List, Value},
};

pub(super) fn register(functions: &mut Functions) {
    functions.add(&[
        ("atoi", &[Ty::Str], None, |a| Ok(Value::Int(strconv::nearest_int(&utf8(a, 0))))),
        ("int", &[Ty::Any], None, |a| Ok(Value::Int(to_int(&a[0])))),
        ("int64", &[Ty::Any], None, |a| Ok(Value::Int64(to_int(&a[0])))),
        ("float64", &[Ty::Any], None, |a| Ok(Value::Float(to_float(&a[0])))),
        ("toDecimal", &[Ty::Any], None, |a| {
            Ok(Value::Int64(strconv::parse_int(&fmt::to_text(&a[0]), 8).unwrap_or(0)))
        }),
        ("add1", &[Ty::Any], None, |a| Ok(Value::Int64(to_int(&a[0]).wrapping_add(1)))),
        ("add", &[], Some(Ty::Any), |a| Ok(fold(a, 0, i64::wrapping_add))),
        ("mul", &[Ty::Any], Some(Ty::Any), |a| Ok(fold(a, 1, i64::wrapping_mul))),
        ("sub", &[Ty::Any, Ty::Any], None, |a| Ok(Value::Int64(to_int(&a[0]).wrapping_sub(to_int(&a[1]))))),
        ("div", &[Ty::Any, Ty::Any], None, |a| divided(a, i64::wrapping_div)),
        ("mod", &[Ty::Any, Ty::Any], None, |a| divided(a, i64::wrapping_rem)),
        ("max", &[Ty::Any], Some(Ty::Any), |a| Ok(extreme(a, i64::max))),
        ("biggest", &[Ty::Any], Some(Ty::Any), |a| Ok(extreme(a, i64::max))),
        ("min", &[Ty::Any], Some(Ty::Any), |a| Ok(extreme(a, i64::min))),
        ("maxf", &[Ty::Any], Some(Ty::Any), |a| Ok(extreme_float(a, f64::max))),
        ("minf", &[Ty::Any], Some(Ty::Any), |a| Ok(extreme_float(a, f64::min))),
        ("add1f", &[Ty::Any], None, |a| exact(&[a[0].clone(), Value::Int(1)], 0.0, |a, b| Ok(a.add(b)))),
        ("addf", &[], Some(Ty::Any), |a| exact(a, 0.0, |a, b| Ok(a.add(b)))),
        ("subf", &[Ty::Any], Some(Ty::Any), |a| exact(a, 0.0, |a, b| Ok(a.sub(b)))),
        ("mulf", &[Ty::Any], Some(Ty::Any), |a| exact(a, 1.0, |a, b| Ok(a.mul(b)))),
        ("divf", &[Ty::Any], Some(Ty::Any), |a| exact(a, 0.0, Decimal::div)),
        ("ceil", &[Ty::Any], None, |a| Ok(Value::Float(to_float(&a[0]).ceil()))),
        ("floor", &[Ty::Any], None, |a| Ok(Value::Float(to_float(&a[0]).floor()))),
        ("round", &[Ty::Any, Ty::Int], Some(Ty::Float), |a| Ok(round(a))),
        ("until", &[Ty::Int], None, |a| {
            let count = int(a, 0);
            sequence(0, count, if count < 0 { -1 } else { 1 }).map(numbers)
        }),
        ("untilStep", &[Ty::Int, Ty::Int, Ty::Int], None, |a| {
            sequence(int(a, 0), int(a, 1), int(a, 2)).map(numbers)
        }),
        ("seq", &[], Some(Ty::Int), seq),
    ]);
}

fn fold(args: &[Value], start: i64, step: fn(i64, i64) -> i64) -> Value {
    Value::Int64(args.iter().map(to_int).fold(start, step))
}

fn divided(args: &[Value], divide: fn(i64, i64) -> i64) -> Answer {
    match to_int(&args[1]) {
        0 => Err(panic_text("runtime error: integer divide by zero")),
        divisor => Ok(Value::Int64(divide(to_int(&args[0]), divisor))),
    }
}

fn extreme(args: &[Value], choose: fn(i64, i64) -> i64) -> Value {
    Value::Int64(args.iter().map(to_int).reduce(choose).unwrap_or(0))
}

fn extreme_float(args: &[Value], choose: fn(f64, f64) -> f64) -> Value {
    let both = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { choose(a, b) };
    Value::Float(args.iter().map(to_float).reduce(both).unwrap_or(0.0))
}

fn exact(args: &[Value], none: f64, step: impl Fn(&Decimal, &Decimal) -> Result<Decimal, Error>) -> Answer {
    let Some((first, others)) = args.split_first() else {
        return Ok(Value::Float(none));
    };
    let mut total = Decimal::new(to_float(first))?;
    for other in others {
        total = step(&total, &Decimal::new(to_float(other))?)?;
    }
    Ok(Value::Float(total.to_float()))
}

fn round(args: &[Value]) -> Value {
    let threshold = match args.get(2) {
        Some(Value::Float(f)) => *f,
        _ => 0.5,
    };
    let power = 10f64.powf(int(args, 1) as f64);
    let value = to_float(&args[0]) * power;
    let rounded = if value.fract() >= threshold { value.ceil() } else { value.floor() };
    Value::Float(rounded / power)
}

fn sequence(start: i64, stop: i64, step: i64) -> Result<Vec<i64>, Error> {
    if step == 0 || (stop < start) != (step < 0) {
        return Ok(Vec::new());
    }
    let count =
        (i128::from(stop) - i128::from(start)).unsigned_abs().div_ceil(u128::from(step.unsigned_abs()));
    if count > MAX_ITEMS as u128 {
        return Err(Error::limit(format!("a sequence would have more than {MAX_ITEMS} elements")));
    }
    let mut numbers = Vec::with_capacity(count as usize);
    let mut next = start;
    for _ in 0..count {
        numbers.push(next);
        next = next.wrapping_add(step);
    }
    Ok(numbers)
}

fn numbers(items: Vec<i64>) -> Value {
    Value::List(List::new(Elem::Int, items.into_iter().map(Value::Int).collect()))
}

fn seq(args: &[Value]) -> Answer {
    let numbers = match args.len() {
        1 => {
            let end = int(args, 0);
            let step = if end < 1 { -1 } else { 1 };
            sequence(1, end.wrapping_add(step), step)?
        }
        2 => {
            let (start, end) = (int(args, 0), int(args, 1));
            let step = if end < start { -1 } else { 1 };
            sequence(start, end.wrapping_add(step), step)?
        }
        3 => {
            let (start, step, end) = (int(args, 0), int(args, 1), int(args, 2));
            if end < start && step > 0 {
                return Ok("".into());
            }
            let past = if end < start { -1 } else { 1 };
            sequence(start, end.wrapping_add(past), step)?
        }
        _ => Vec::new(),
    };
    let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
    Ok(texts.join(" ").into())
}
