//! Jinja filters and methods whose output can exceed their input, with bounds; and the filters that `source` inserts
//! into a template. Knows no messages.

use std::sync::Arc;

use minijinja::filters as jinja;
use minijinja::value::{Rest, StringInput};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::{meter, python};

/// Most digits of a width or precision in a format string.
const MAX_DIGITS: usize = 3;

/// Adds all filters and functions.
pub(super) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("_bounded", meter::bounded);
    environment.add_filter("_settled", meter::settled);
    environment.add_filter("_times", |a: Value, b: Value| meter::times(&a, &b));
    // Evaluates to an empty string.
    environment.add_function("_spend", |n_bytes: usize, values: Rest<Value>| -> Result<&str, Error> {
        meter::spend(n_bytes)?;
        values.iter().try_for_each(|value| meter::bounded(value.clone()).map(drop))?;
        Ok("")
    });
    environment.add_filter("replace", replace);
    environment.add_filter("list", |value: Value| if value.is_undefined() { Ok(empty()) } else { meter::list(&value) });
    environment.add_filter("split", |value: Value, separator: Option<Arc<str>>, n: Option<i64>| {
        check_split(&python::text(&value)?, separator.as_deref())?;
        jinja::split(&value, separator, n)
    });
    environment.add_filter("lines", |value: Value| {
        check_split(&python::text(&value)?, Some("\n"))?;
        jinja::lines(&value)
    });
    environment.add_filter("batch", |state: &State<'_, '_>, value: Value, n: usize, filler: Option<Value>| {
        meter::make_list(n)?;
        jinja::batch(state, meter::list(&value)?, n, filler)
    });
    environment.add_filter("slice", |state: &State<'_, '_>, value: Value, n: usize, filler: Option<Value>| {
        meter::make_list(n)?;
        jinja::slice(state, meter::list(&value)?, n, filler)
    });
    environment.add_filter("format", |state: &State<'_, '_>, text: Value, arguments: Rest<Value>| {
        check_format(text.as_str().unwrap_or_default(), '%', &arguments)?;
        jinja::format(state, &text, arguments)
    });
    environment.add_filter("pprint", |value: Value| {
        // `indent` adds to every line.
        meter::make(16 * meter::weigh(&value)?)?;
        Ok::<_, Error>(jinja::pprint(&value))
    });
}

fn empty() -> Value {
    Value::from(Vec::<Value>::new())
}

fn replace(
    state: &State<'_, '_>,
    value: StringInput<'_>,
    from: StringInput<'_>,
    to: StringInput<'_>,
) -> Result<Value, Error> {
    check_replace(value.as_str(), from.as_str(), to.as_str())?;
    jinja::replace(state, value, from, to)
}

fn check_replace(text: &str, from: &str, to: &str) -> Result<(), Error> {
    meter::make(text.len().saturating_add(text.matches(from).count().saturating_mul(to.len())))
}

fn check_split(text: &str, separator: Option<&str>) -> Result<(), Error> {
    let n_parts = match separator {
        Some(separator) => text.matches(separator).count(),
        None => text.matches(char::is_whitespace).count(),
    };
    meter::make(text.len())?;
    meter::make_list(n_parts + 1)
}

/// Bounds a format string: a width adds that many blanks, and an argument may be used any number of times.
fn check_format(format: &str, sign: char, arguments: &[Value]) -> Result<(), Error> {
    let is_wide = format.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > MAX_DIGITS);
    // A width of `*` comes from the arguments.
    if is_wide || (sign == '%' && format.contains('*')) {
        return Err(Error::new(ErrorKind::InvalidOperation, "a width or precision of a format is too large"));
    }
    let mut n_bytes = 0_usize;
    for argument in arguments {
        n_bytes = n_bytes.saturating_add(meter::weigh(argument)?);
    }
    let n_fields = format.matches(sign).count();
    meter::make(format.len().saturating_add(n_fields.saturating_mul(n_bytes.saturating_add(1000))))
}

/// Checks that the result of a string or list method is within bounds.
///
/// # Errors
/// When it is not.
pub(super) fn check_method(value: &Value, name: &str, arguments: &[Value]) -> Result<(), Error> {
    let Some(text) = value.as_str() else { return Ok(()) };
    let argument = |n: usize| arguments.get(n).and_then(Value::as_str).unwrap_or_default();
    match name {
        "replace" => check_replace(text, argument(0), argument(1)),
        "format" => check_format(text, '{', arguments),
        "join" => {
            let Some(items) = arguments.first() else { return Ok(()) };
            let n_items = items.try_iter().map_or(0, Iterator::count);
            meter::make(meter::weigh(items)?.saturating_add(n_items.saturating_mul(text.len())))
        }
        "split" | "rsplit" => check_split(text, arguments.first().and_then(Value::as_str)),
        "splitlines" => check_split(text, Some("\n")),
        _ => meter::spend(text.len()),
    }
}
