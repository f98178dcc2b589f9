//! The state's bytes are those that the book and the second implementation have
//! (tests/vectors/state.json).

use parity_scale_codec::Encode;
use tonle_model::hex;

use crate::state::entries::EMPTY_ROW;
use crate::state::key::Key;
use crate::state::tree;
use crate::state::value::Value;

#[test]
fn keys_values_and_leaves_are_the_published_ones() {
    let file = include_str!("../../../../tests/vectors/state.json");
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    let bytes = |entry: &serde_json::Value, field: &str| {
        hex::decode(entry[field].as_str().expect(field)).expect("hex")
    };
    let entries = file["entries"].as_array().unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for entry in entries {
        let (key, value) = (bytes(entry, "key"), bytes(entry, "value"));
        let parsed = Key::from_bytes(&key).expect("a key");
        assert_eq!(parsed.to_bytes(), key);
        assert_eq!(
            Value::decode(&parsed, &value).expect("a value").to_bytes(),
            value,
            "{parsed:?}"
        );
        let row = (key.clone(), value, bytes(entry, "next")).encode();
        assert_eq!(tree::leaf(&row).as_ref(), bytes(entry, "leaf"));
        kinds.insert(key[0]);
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), (1..=17).collect::<Vec<_>>(), "every kind");
    assert_eq!(tree::leaf(EMPTY_ROW).as_ref(), bytes(&file["removed"], "leaf"));
}
