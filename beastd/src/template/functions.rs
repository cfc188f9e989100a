//! The functions that templates may call, and Jinja set up as in transformers. Knows no messages.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::error::Raised;
use super::{filters, meter, python};
use crate::tools::JsonStyle;

/// Most blanks that `indent` puts in front of a line.
const MAX_INDENT: usize = 64;

/// An environment like that of transformers' `apply_chat_template`, but without `strftime_now`.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_debug(false);
    environment.set_formatter(write);
    environment.set_unknown_method_callback(method);
    environment.add_function("raise_exception", |words: Value| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, python::text(&words)?).with_source(Raised))
    });
    environment.add_filter("tojson", tojson);
    environment.add_filter("from_json", from_json);
    environment.add_filter("string", |value: Value| python::text(&value));
    environment.add_filter("join", join);
    environment.add_filter("upper", |value: Value| python::text(&value).map(|text| text.to_uppercase()));
    environment.add_filter("lower", |value: Value| python::text(&value).map(|text| text.to_lowercase()));
    filters::add(&mut environment);
    // `debug` would print the whole state each time.
    environment.remove_global("debug");
    environment.add_filter("int", int);
    environment.add_filter("indent", indent);
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    // As in Python: strings and dictionaries have a length and items, and a boolean is a number.
    environment.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map)
            || (value.kind() == ValueKind::Iterable && value.len().is_some())
    });
    environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    environment.add_test("number", |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool));
    environment
}

fn write(out: &mut Output<'_>, _state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    let written = match value.as_str() {
        Some(text) => {
            meter::spend(text.len())?;
            out.write_str(text)
        }
        None => out.write_str(&python::text(value)?),
    };
    written.map_err(|error| Error::new(ErrorKind::WriteFailure, "the text").with_source(error))
}

/// `json.dumps` as in transformers: no HTML escaping, keys keep their order.
fn tojson(value: Value, positional: Rest<Value>, options: Kwargs) -> Result<String, Error> {
    // Positional arguments take these names, in this order.
    let named = ["ensure_ascii", "indent", "separators", "sort_keys"];
    let option = |n: usize| -> Result<Option<Value>, Error> {
        match positional.get(n) {
            Some(value) => Ok(Some(value.clone())),
            None => options.get::<Option<Value>>(named[n]),
        }
    };
    let indent = match option(1)?.filter(|value| !value.is_none()) {
        None => None,
        Some(value) if value.as_str().is_some() => value.as_str().map(str::to_owned),
        Some(value) => Some(" ".repeat(usize::try_from(value)?.min(MAX_INDENT))),
    };
    let separators = match option(2)?.filter(|value| !value.is_none()) {
        None => None,
        Some(value) => {
            let text = |n: usize| Ok::<_, Error>(value.get_item_by_index(n)?.as_str().unwrap_or_default().to_owned());
            Some((text(0)?, text(1)?))
        }
    };
    let is_true = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let style = JsonStyle { ensure_ascii: is_true(option(0)?), indent, separators };
    let mut json = python::json(&value)?;
    if is_true(option(3)?) {
        json.sort_all_objects();
    }
    Ok(style.write(&json))
}

/// A filter that DeepSeek's templates rely on although transformers has none.
fn from_json(text: &str) -> Result<Value, Error> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))?;
    Ok(Value::from_serialize(json))
}

/// Unlike minijinja's, it keeps a trailing newline.
fn indent(
    text: Value,
    width: Option<Value>,
    first: Option<bool>,
    blank: Option<bool>,
    options: Kwargs,
) -> Result<String, Error> {
    let width = width.map_or_else(|| options.get::<Option<Value>>("width"), |width| Ok(Some(width)))?;
    let flag =
        |given: Option<bool>, name| given.map_or_else(|| options.get::<Option<bool>>(name), |flag| Ok(Some(flag)));
    let (first, blank) = (flag(first, "first")?.unwrap_or(false), flag(blank, "blank")?.unwrap_or(false));
    let unit = match width {
        None => " ".repeat(4),
        Some(width) => match width.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(usize::try_from(width)?.min(MAX_INDENT)),
        },
    };
    let text = python::text(&text)?;
    meter::make(text.len() + unit.len() * text.split('\n').count())?;
    let lines = text.split('\n').enumerate().map(|(n, line)| {
        let is_indented = if n == 0 { first } else { blank || !line.is_empty() };
        if is_indented { format!("{unit}{line}") } else { line.to_owned() }
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// As in Jinja, anything that is not a number becomes the default instead of an error.
fn int(value: &Value, otherwise: Option<Value>) -> Value {
    let parsed = match value.as_str() {
        Some(text) => {
            let text = text.trim();
            text.parse::<i64>().ok().or_else(|| text.parse::<f64>().ok().map(|float| float as i64))
        }
        None if value.kind() == ValueKind::Bool => Some(i64::from(value.is_true())),
        None => value.as_i64().or_else(|| f64::try_from(value.clone()).ok().map(|float| float as i64)),
    };
    parsed.map(Value::from).or(otherwise).unwrap_or_else(|| Value::from(0))
}

/// In Jinja, an undefined value has length 0; in minijinja it has none.
fn length(value: Value) -> Result<usize, Error> {
    if value.is_undefined() {
        return Ok(0);
    }
    value.len().or_else(|| Some(value.try_iter().ok()?.count())).filter(|_| !value.is_none()).ok_or_else(|| {
        Error::new(ErrorKind::InvalidOperation, format!("a value of type {} has no length", value.kind()))
    })
}

fn join(value: Value, separator: Option<String>, options: Kwargs) -> Result<String, Error> {
    let attribute: Option<String> = options.get("attribute")?;
    let mut out = String::new();
    for (n, item) in value.try_iter()?.enumerate() {
        if let (Some(separator), true) = (&separator, n > 0) {
            out += separator;
        }
        let item = match &attribute {
            Some(name) => item.get_attr(name)?,
            None => item,
        };
        out += &python::text(&item)?;
        meter::fits(out.len())?;
    }
    Ok(out)
}

/// Python methods that the compatibility package lacks.
fn method(state: &State<'_, '_>, value: &Value, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    filters::check_method(value, name, arguments)?;
    match (value.as_str(), name, arguments.first().and_then(Value::as_str)) {
        // The compatibility package loops forever on an empty pattern.
        (Some(text), "count", Some("")) => Ok((text.chars().count() + 1).into()),
        (Some(text), "removeprefix", Some(prefix)) => Ok(text.strip_prefix(prefix).unwrap_or(text).into()),
        (Some(text), "removesuffix", Some(suffix)) => Ok(text.strip_suffix(suffix).unwrap_or(text).into()),
        (Some(text), "partition", Some(at)) => Ok(match text.split_once(at) {
            Some((before, after)) => [before, at, after].map(Value::from).into_iter().collect(),
            None => [text, "", ""].map(Value::from).into_iter().collect(),
        }),
        (Some(text), "rpartition", Some(at)) => Ok(match text.rsplit_once(at) {
            Some((before, after)) => [before, at, after].map(Value::from).into_iter().collect(),
            None => ["", "", text].map(Value::from).into_iter().collect(),
        }),
        (Some(text), "rsplit", Some(at)) if !at.is_empty() => {
            let n = arguments.get(1).and_then(Value::as_i64).and_then(|n| usize::try_from(n).ok());
            let mut parts: Vec<&str> = match n {
                Some(n) => text.rsplitn(n + 1, at).collect(),
                None => text.rsplit(at).collect(),
            };
            parts.reverse();
            Ok(parts.into_iter().map(Value::from).collect())
        }
        // minijinja's lists are immutable; transformers' sandbox forbids these methods as well.
        (None, "append" | "extend" | "insert", _) => {
            Err(Error::new(ErrorKind::UnknownMethod, format!("a list has no method {name}")))
        }
        _ => unknown_method_callback(state, value, name, arguments),
    }
}
