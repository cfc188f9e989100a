//! Budget of a template: bytes and time in total, and a size per value. Jinja counts its own steps; this limits what
//! a single step can produce. Knows no messages.

use std::cell::Cell;
use std::time::{Duration, Instant};

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

/// A template can nest lists in a loop, and any code that walks them recurses.
const MAX_DEPTH: usize = 200;
/// No conversation that fits a context takes this long, even on a busy machine.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Bytes that any template may produce.
const MIN_TOTAL: usize = 64 << 20;
/// Further bytes per byte of input.
const TOTAL_OF_BYTE: usize = 256;
/// Hard limit on the total.
const MAX_TOTAL: usize = 1 << 30;
/// Bytes charged per value in a list.
const VALUE: usize = 24;

thread_local! {
    /// Budget of the template that this thread renders. Kept outside the template's variables, which the template
    /// could change.
    static METER: Cell<Meter> = const { Cell::new(Meter { room: usize::MAX, n_left: usize::MAX, until: None }) };
}

#[derive(Clone, Copy)]
struct Meter {
    room: usize,
    n_left: usize,
    until: Option<Instant>,
}

/// Starts counting on this thread: a value may have `room` bytes, and the total depends on the `n_bytes` of input.
pub(super) fn start(room: usize, n_bytes: usize) {
    let total = MIN_TOTAL.saturating_add(TOTAL_OF_BYTE.saturating_mul(n_bytes)).min(MAX_TOTAL);
    METER.set(Meter { room, n_left: total, until: Some(Instant::now() + MAX_TIME) });
}

/// Spends this many bytes.
///
/// # Errors
/// When bytes or time are used up.
pub(super) fn spend(n_bytes: usize) -> Result<(), Error> {
    let mut meter = METER.get();
    let Some(n_left) = meter.n_left.checked_sub(n_bytes) else { return Err(too_long()) };
    if meter.until.is_some_and(|until| Instant::now() > until) {
        return Err(ErrorKind::OutOfFuel.into());
    }
    meter.n_left = n_left;
    METER.set(meter);
    Ok(())
}

/// Spends the bytes of a string or list about to be created.
///
/// # Errors
/// When bytes or time are used up, or the value would be too large.
pub(super) fn make(n_bytes: usize) -> Result<(), Error> {
    fits(n_bytes)?;
    spend(n_bytes)
}

/// Checks that a growing string may have this many bytes.
///
/// # Errors
/// When it would be too large.
pub(super) fn fits(n_bytes: usize) -> Result<(), Error> {
    if n_bytes > METER.get().room { Err(too_long()) } else { Ok(()) }
}

/// Spends the bytes of a list of `n` values about to be created.
///
/// # Errors
/// As [`make`].
pub(super) fn make_list(n: usize) -> Result<(), Error> {
    spend(n.saturating_mul(VALUE))
}

pub(super) fn too_long() -> Error {
    Error::new(ErrorKind::WriteFailure, "a text is too long")
}

pub(super) fn too_deep() -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("a value is nested more than {MAX_DEPTH} deep"))
}

/// Checks the recursion depth while walking values.
///
/// # Errors
/// When it is too deep.
pub(super) fn check(depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH { Err(too_deep()) } else { Ok(()) }
}

/// Approximate size of a value as text; shared parts count each time they occur.
///
/// # Errors
/// When it is too large or nested too deep.
pub(super) fn weigh(value: &Value) -> Result<usize, Error> {
    let room = METER.get().room;
    let mut n_left = room;
    weigh_within(value, &mut n_left, 0)?;
    // Checks the time as well.
    spend(0)?;
    Ok(room - n_left)
}

fn weigh_within(value: &Value, n_left: &mut usize, depth: usize) -> Result<(), Error> {
    check(depth)?;
    let n = 1 + value.as_str().map_or(0, str::len);
    *n_left = n_left.checked_sub(n).ok_or_else(too_long)?;
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter()?.try_for_each(|item| weigh_within(&item, n_left, depth + 1))
        }
        ValueKind::Map => value.try_iter()?.try_for_each(|key| {
            weigh_within(&key, n_left, depth + 1)?;
            weigh_within(&value.get_item(&key)?, n_left, depth + 1)
        }),
        _ => Ok(()),
    }
}

/// Checks a value before it is bound: not too large, not too deep, and not lazy, because a lazy value is computed
/// again at each use.
///
/// # Errors
/// See [`weigh`].
pub(super) fn bounded(value: Value) -> Result<Value, Error> {
    if value.as_str().is_none() && !is_container(&value) {
        return Ok(value);
    }
    weigh(&value)?;
    match value.kind() {
        ValueKind::Iterable => list(&value),
        _ => Ok(value),
    }
}

/// The items of any iterable value.
///
/// # Errors
/// When there are too many.
pub(super) fn list(value: &Value) -> Result<Value, Error> {
    let mut items = Vec::new();
    for item in value.try_iter()? {
        make_list(1)?;
        items.push(item);
    }
    Ok(items.into())
}

/// Checks a value for a namespace: it must not contain a namespace, since that could be the same one, and walking the
/// value would never end.
///
/// # Errors
/// See [`weigh`]; also when it contains a namespace.
pub(super) fn settled(value: Value) -> Result<Value, Error> {
    let value = bounded(value)?;
    Ok(settle(&value)?.unwrap_or(value))
}

/// The replacement for this value, if it needs one.
fn settle(value: &Value) -> Result<Option<Value>, Error> {
    let refused = |what| Err(Error::new(ErrorKind::InvalidOperation, format!("a namespace cannot hold {what}")));
    match value.as_object().map(|object| object.type_name()) {
        Some(name) if name.ends_with("::Namespace") => return refused("another"),
        Some(name) if name.ends_with("::Loop") => return refused("a loop"),
        _ => {}
    }
    if !is_container(value) {
        return Ok(None);
    }
    // A lazy iterable is replaced: a namespace would resolve its items only when they are used.
    let mut is_changed = value.kind() == ValueKind::Iterable;
    let mut keep = |item: Value| -> Result<Value, Error> {
        let settled = settle(&item)?;
        is_changed |= settled.is_some();
        Ok(settled.unwrap_or(item))
    };
    let items = value.try_iter()?;
    let new: Value = match value.kind() {
        ValueKind::Map => {
            let entry = |key: Value| Ok((key.clone(), keep(value.get_item(&key)?)?));
            items.map(entry).collect::<Result<Vec<_>, Error>>()?.into_iter().collect()
        }
        _ => items.map(keep).collect::<Result<Vec<_>, Error>>()?.into(),
    };
    Ok(is_changed.then_some(new))
}

fn is_container(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map)
}

/// `a * b`, within limits.
///
/// # Errors
/// When it exceeds them, or the operands are neither two numbers nor a number and a sequence.
pub(super) fn times(a: &Value, b: &Value) -> Result<Value, Error> {
    let wrong = || Error::new(ErrorKind::InvalidOperation, format!("cannot multiply a {} by a {}", a.kind(), b.kind()));
    let is_repeated = |value: &Value| value.as_str().is_some() || is_container(value);
    let (what, n) = match (is_repeated(a), is_repeated(b)) {
        (false, false) => return product(a, b).ok_or_else(wrong),
        (true, false) => (a, b),
        (false, true) => (b, a),
        (true, true) => return Err(wrong()),
    };
    // In Python, a negative count yields an empty sequence.
    let n = n.as_i64().ok_or_else(wrong).map(|n| usize::try_from(n).unwrap_or(0))?;
    make(weigh(what)?.saturating_mul(n))?;
    match (what.as_str(), what.kind()) {
        (Some(text), _) => Ok(text.repeat(n).into()),
        (_, ValueKind::Map) => Err(wrong()),
        _ => {
            let items: Vec<Value> = what.try_iter()?.collect();
            make_list(items.len().saturating_mul(n))?;
            let len = items.len() * n;
            Ok(items.into_iter().cycle().take(len).collect())
        }
    }
}

fn product(a: &Value, b: &Value) -> Option<Value> {
    let whole = |value: &Value| i128::try_from(value.clone()).ok().filter(|_| value.kind() != ValueKind::Undefined);
    let is_float = |value: &Value| value.kind() == ValueKind::Number && !value.is_integer();
    if is_float(a) || is_float(b) {
        return Some((f64::try_from(a.clone()).ok()? * f64::try_from(b.clone()).ok()?).into());
    }
    let n = whole(a)?.checked_mul(whole(b)?)?;
    Some(i64::try_from(n).map_or_else(|_| n.into(), Value::from))
}
