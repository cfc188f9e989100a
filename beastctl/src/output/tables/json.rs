//! Tables for programs: every sample, with names that are stable for scripts.

use serde_json::{Map, Value, json};

use super::{Detail, Group, Row, Table};

pub fn table_object(table: &Table) -> Value {
    let groups: Vec<Value> = table.groups.iter().map(group).collect();
    json!({
        "name": table.name,
        "title": table.title,
        "facts": details(&table.facts),
        "groups": groups,
        "notes": table.notes,
        "error": table.failure,
    })
}

fn group(group: &Group) -> Value {
    let rows: Vec<Value> = group.rows.iter().map(row).collect();
    json!({ "key": group.key, "title": group.title, "unit": group.unit, "rows": rows })
}

fn row(row: &Row) -> Value {
    let (min, max) = row.samples.spread().unzip();
    json!({
        "label": row.label,
        "median": row.samples.median(),
        "min": min,
        "max": max,
        "samples": row.samples.all(),
        "ratio": row.ratio,
        "details": details(&row.details),
        "is_chosen": row.is_marked,
        "error": row.failure,
        "absent": row.absence,
    })
}

fn details(details: &[Detail]) -> Value {
    Value::Object(details.iter().map(|detail| (detail.key.to_owned(), detail.value.clone())).collect::<Map<_, _>>())
}
