//! Compares one of our structures with the C structure that it mirrors. Knows no files. Used by `build.rs` and a test.

/// A field's name and its type in Rust.
type Field = (String, String);

/// # Errors
/// A description of the difference.
pub fn compare(header: &str, c_name: &str, source: &str, rust_name: &str) -> Result<(), String> {
    let theirs = c_fields(header, c_name)?;
    let ours = rust_fields(source, rust_name)?;
    if ours == theirs {
        return Ok(());
    }
    let list =
        |fields: &[Field]| fields.iter().map(|(name, kind)| format!("{name}: {kind}")).collect::<Vec<_>>().join(", ");
    Err(format!("struct {c_name} is {{ {} }}, and {rust_name} is {{ {} }}", list(&theirs), list(&ours)))
}

/// The fields of a structure in C, as Rust writes them.
fn c_fields(header: &str, name: &str) -> Result<Vec<Field>, String> {
    let body = body(header, &format!("struct {name} {{"))?;
    let mut fields = Vec::new();
    for declaration in body.split(';').map(str::trim).filter(|declaration| !declaration.is_empty()) {
        let mut declarators = declaration.split(',').map(str::trim);
        let first = declarators.next().unwrap_or_default();
        let name_at = first.rfind(|c: char| !is_word(c)).map_or(0, |at| at + 1);
        let (kind, first) = first.split_at(name_at);
        let kind = rust_type(kind.trim())?;
        for name in std::iter::once(first).chain(declarators) {
            if name.is_empty() || !name.chars().all(is_word) {
                return Err(format!("the header has a field that this does not understand: {declaration}"));
            }
            fields.push((name.to_owned(), kind.to_owned()));
        }
    }
    Ok(fields)
}

/// All pointers have the same type here, since they are only passed on.
fn rust_type(kind: &str) -> Result<&'static str, String> {
    match kind {
        "int" => Ok("i32"),
        "size_t" => Ok("usize"),
        "bool" => Ok("bool"),
        kind if kind.ends_with('*') => Ok("*mut c_void"),
        kind => Err(format!("the header has a field of the type `{kind}`, which this does not know")),
    }
}

/// The fields of a structure in Rust.
fn rust_fields(source: &str, name: &str) -> Result<Vec<Field>, String> {
    let body = body(source, &format!("struct {name} {{"))?;
    let fields = body.split(',').map(str::trim).filter(|field| !field.is_empty());
    let field = |field: &str| {
        let (name, kind) = field.trim_start_matches("pub ").split_once(": ")?;
        Some((name.to_owned(), kind.to_owned()))
    };
    fields.map(|text| field(text).ok_or_else(|| format!("`{text}` is not a field"))).collect()
}

/// The text between braces, without comments.
fn body(text: &str, begin: &str) -> Result<String, String> {
    let (_, rest) = text.split_once(begin).ok_or_else(|| format!("`{begin}` is not there"))?;
    let (body, _) = rest.split_once('}').ok_or_else(|| format!("`{begin}` does not end"))?;
    let code = |line: &str| line.split("//").next().unwrap_or_default().trim().to_owned();
    Ok(body.lines().map(code).collect::<Vec<_>>().join(" "))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
