//! Carries what an author's code changed in a typed model back into the value it was read from.
//!
//! A model may hold less than the value: a bare element can't be unknown, a float has fewer
//! digits than a number. So only what differs between the model before and after is taken over,
//! and all else stays exactly what Terraform sent.

use std::collections::BTreeMap;

use crate::value::Value;

/// The original with the difference between `before` and `after` applied.
pub(crate) fn write_back(original: Value, before: Value, after: Value) -> Value {
    if before == after {
        return original;
    }
    match (original, before, after) {
        (Value::Object(original), Value::Object(before), Value::Object(after)) => {
            Value::Object(entries(original, before, after))
        }
        (Value::Map(original), Value::Map(before), Value::Map(after)) => {
            Value::Map(entries(original, before, after))
        }
        (Value::List(original), Value::List(before), Value::List(after))
            if original.len() == before.len() && before.len() == after.len() =>
        {
            let elements = original.into_iter().zip(before).zip(after);
            Value::List(
                elements
                    .map(|((original, before), after)| write_back(original, before, after))
                    .collect(),
            )
        }
        (_, _, after) => after,
    }
}

fn entries(
    mut original: BTreeMap<String, Value>,
    mut before: BTreeMap<String, Value>,
    after: BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    after
        .into_iter()
        .map(|(key, after)| {
            let value = match (original.remove(&key), before.remove(&key)) {
                (Some(original), Some(before)) => write_back(original, before, after),
                _ => after,
            };
            (key, value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_model_could_not_hold_stays() {
        let precise: Value = Value::Number(
            "0.12345678901234567890123"
                .parse()
                .unwrap_or_else(|_| 0_i64.into()),
        );
        let rounded = Value::Number(
            "0.12345678901234568"
                .parse()
                .unwrap_or_else(|_| 0_i64.into()),
        );
        let original = Value::object([("share", precise.clone()), ("name", "a".into())]);
        let before = Value::object([("share", rounded.clone()), ("name", "a".into())]);
        let after = Value::object([("share", rounded), ("name", "b".into())]);
        assert_eq!(
            write_back(original, before, after),
            Value::object([("share", precise), ("name", "b".into())])
        );
    }

    #[test]
    fn removed_and_added_elements_follow_the_model() {
        let map = |keys: &[&str]| {
            Value::Map(
                keys.iter()
                    .map(|key| ((*key).to_owned(), true.into()))
                    .collect(),
            )
        };
        assert_eq!(
            write_back(map(&["a", "b"]), map(&["a", "b"]), map(&["b", "c"])),
            map(&["b", "c"])
        );
    }
}
