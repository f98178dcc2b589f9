//! Changes to a proof file: a letter, a number, an item, or a part of another honest proof.

use serde_json::{Value, json};

use super::super::script::Script;
use super::{Pointer, Step, follow};

/// Letters that digits, hex and names are made of.
const LETTERS: &[u8] = b"0123456789abcdef@#_gz";

/// Makes one change, if the script finds a place for it.
pub fn spoil(file: &mut Value, others: &[Value], script: &mut Script<'_>) {
    let mut places = Vec::new();
    collect(file, &mut Vec::new(), &mut places);
    let at = script.below(256) << 8 | script.below(256);
    let Some(pointer) = places.get(at % places.len()).cloned() else { return };
    if script.rarely(4) {
        // The same place of another honest proof: each part is genuine, the whole is not.
        let mut other = script.pick(others).cloned().unwrap_or_default();
        if let Some(value) = follow(file, &pointer)
            && let Some(other) = follow(&mut other, &pointer)
        {
            *value = other.take();
        }
    } else if let Some(value) = follow(file, &pointer) {
        change(value, script);
    }
}

fn change(value: &mut Value, script: &mut Script<'_>) {
    match value {
        Value::Null => *value = json!(script.below(2)),
        Value::Bool(it) => *it = !*it,
        Value::Number(it) => {
            let before = it.as_u64().unwrap_or_default();
            *value = match script.below(4) {
                0 => json!(before.wrapping_add(1)),
                1 => json!(before.wrapping_sub(1)),
                2 => json!(before ^ (1 << script.below(64))),
                _ => json!(script.number()),
            };
        }
        Value::String(it) => {
            let mut bytes = it.clone().into_bytes();
            let at = script.below(bytes.len().min(256));
            let letter = LETTERS[script.below(LETTERS.len())];
            match (script.below(4), bytes.get_mut(at)) {
                (0, _) => bytes.push(letter),
                (1, Some(_)) => bytes.truncate(at),
                (_, Some(byte)) => *byte = letter,
                (_, None) => {}
            }
            *it = String::from_utf8(bytes).unwrap_or_default();
        }
        Value::Array(items) => {
            let (at, other) = (script.below(items.len()), script.below(items.len()));
            match (script.below(4), items.is_empty()) {
                (_, true) => items.push(json!(0)),
                (0, _) => drop(items.remove(at)),
                (1, _) => items.insert(at, items[other].clone()),
                (2, _) => items.swap(at, other),
                (_, _) => items.clear(),
            }
        }
        Value::Object(fields) => {
            let names: Vec<_> = fields.keys().cloned().collect();
            if let Some(name) = script.pick(&names) {
                fields.remove(name);
            }
        }
    }
}

/// Every place of a file, outer ones first.
fn collect(value: &Value, at: &mut Pointer, places: &mut Vec<Pointer>) {
    places.push(at.clone());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push(Step::Item(index));
                collect(item, at, places);
                at.pop();
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                at.push(Step::Field(name.clone()));
                collect(field, at, places);
                at.pop();
            }
        }
        _ => {}
    }
}
