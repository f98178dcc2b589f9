//! Instructions in words, for whoever signs or approves them.
//!
//! Every field is said, by its JSON name, so that nothing new goes unseen; only an empty memo is left
//! out, and what proves a recall or a new validator's key, which says nothing but what the other fields do. A text that could be taken for more than one value stands in quotes.

use serde_json::Value;
use tonle_model::instruction::Instruction;
use tonle_model::transaction::Step;

use crate::output::table;

/// One instruction: its name, then its fields.
pub fn instruction(instruction: &Instruction) -> String {
    // An instruction always has a JSON form: one name, and its fields.
    let json = serde_json::to_value(instruction).unwrap_or_default();
    match json.as_object().and_then(|object| object.iter().next()) {
        Some((name, Value::Object(fields))) => {
            let says_nothing = |(field, value): &(&String, &Value)| {
                (*field == "memo" && *value == "")
                    || (name == "recall" && *field == "proof")
                    || (name == "register_validator" && *field == "joining")
            };
            let said = fields.iter().filter(|field| !says_nothing(field));
            let said = said.map(|(field, value)| format!("{field} {}", self::value(value)));
            format!("{name} {}", said.collect::<Vec<_>>().join(", "))
        }
        _ => json.to_string(),
    }
}

fn value(value: &Value) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@#.:-".contains(c);
    match value {
        Value::Null => "none".into(),
        Value::String(text) if !text.is_empty() && text.chars().all(is_plain) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(self::value).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| format!("{name} {}", self::value(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Steps of a transaction in a table.
pub fn steps(steps: &[Step]) -> String {
    let row = |(number, step): (usize, &Step)| {
        [number.to_string(), step.authority.to_string(), instruction(&step.instruction)]
    };
    table([">STEP", "AS", "WHAT"], steps.iter().enumerate().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(json: &str) -> String {
        instruction(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn every_field_is_said() {
        let text = said(
            r#"{"transfer": {"asset": "khr#nbc", "to": "dara@wing", "amount": "200",
                "memo": "lunch, amount 2", "invoice": {"id": "17", "expires_ms": 9}}}"#,
        );
        for part in [
            "transfer ",
            "asset khr#nbc",
            "to dara@wing",
            "amount 200",
            "memo \"lunch, amount 2\"",
            "id 17",
            "expires_ms 9",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let text = said(
            r#"{"set_metadata": {"account": "sok@aclb", "key": "kyc", "value": "done",
                "expected": ""}}"#,
        );
        assert!(text.contains("expected \"\""), "that nothing stands there is a condition");
        let text = said(r#"{"set_parameter": {"utc_offset_min": 420}}"#);
        assert_eq!(text, "set_parameter utc_offset_min 420");
        let text = said(r#"{"register_role": {"id": "teller", "permissions": ["mint:khr#nbc"]}}"#);
        assert!(text.contains("permissions [mint:khr#nbc]"), "{text}");
    }
}
