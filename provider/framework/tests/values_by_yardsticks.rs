//! Values, types and paths measured by what Terraform's own libraries make of them, case by case.
//! The tables in `yardsticks/` name each case, what the library says, and whether we agree; where
//! we don't, the reason stands in the row, and a row that no longer differs is an error too.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use serde_json::Value as Json;
use terraform_plugin::value::{Refinement, Refinements, Type, UnknownAttributes, Value};
use terraform_plugin::{Number, Path, Step};

/// One row: its columns, the verdict last.
type Row = Vec<&'static str>;

#[test]
fn values_are_written_and_read_as_terraforms_libraries_do() {
    check(include_str!("yardsticks/values.tsv"), 150, |row| {
        let [_, _, of, written, bytes, _] = row[..] else {
            panic!("six columns")
        };
        let (of, bytes) = (type_of(of), unhex(bytes));
        let mut refinements = Refinements::default();
        let json = serde_json::from_str(written).unwrap();
        let value = read(json, &of, Path::empty(), &mut refinements);
        let encodes = value.to_msgpack_refined(&of, &refinements) == Ok(bytes.clone());
        let decodes =
            Value::from_msgpack_refined(&bytes, &of) == Ok((value.clone(), refinements.clone()));
        let again = value.to_msgpack_refined(&of, &refinements).unwrap();
        let returns = Value::from_msgpack(&again, &of).as_ref() == Ok(&value);
        assert!(returns, "{row:?}: does not come back");
        match (encodes, decodes) {
            (true, true) => "pass",
            (true, false) => "encodes",
            (false, true) => "decodes",
            (false, false) => "neither",
        }
    });
}

#[test]
fn bytes_right_or_wrong_come_to_what_terraforms_libraries_make_of_them() {
    check(include_str!("yardsticks/malformed.tsv"), 100, |row| {
        let [_, _, of, input, outcome, _] = row[..] else {
            panic!("six columns")
        };
        let of = type_of(of);
        let ours = match Value::from_msgpack_refined(&unhex(input), &of) {
            Ok((value, refinements)) => hex(&value.to_msgpack_refined(&of, &refinements).unwrap()),
            Err(_) => "error".to_owned(),
        };
        agreement(&ours, outcome)
    });
}

#[test]
fn stored_values_are_read_as_terraforms_libraries_read_them() {
    check(include_str!("yardsticks/json.tsv"), 80, |row| {
        let [library, _, of, input, outcome, _] = row[..] else {
            panic!("six columns")
        };
        let of = type_of(of);
        let others = if library == "tftypes-ignore" {
            UnknownAttributes::Ignore
        } else {
            UnknownAttributes::Refuse
        };
        let ours = match Value::from_json(input.as_bytes(), &of, others) {
            Ok(value) => {
                let json = value.to_json(&of).unwrap();
                assert_eq!(Value::from_json(&json, &of, others).as_ref(), Ok(&value));
                hex(&value.to_msgpack(&of).unwrap())
            }
            Err(_) => "error".to_owned(),
        };
        agreement(&ours, outcome)
    });
}

#[test]
fn types_are_read_and_written_as_terraforms_libraries_do() {
    check(include_str!("yardsticks/types.tsv"), 25, |row| {
        let [_, _, input, outcome, _] = row[..] else {
            panic!("five columns")
        };
        match (Type::from_json_bytes(input.as_bytes()), outcome) {
            (Err(_), "error" | "panic") => "pass",
            (Ok(of), outcome) => {
                let theirs: Json = serde_json::from_str(outcome).unwrap();
                if of.to_json() == theirs {
                    "pass"
                } else {
                    "differs"
                }
            }
            (Err(_), _) => "differs",
        }
    });
}

#[test]
fn paths_are_compared_written_and_sent_as_terraforms_libraries_do() {
    check(include_str!("yardsticks/paths.tsv"), 50, |row| {
        let [_, _, left, right, compared, verdict] = row[..] else {
            panic!("six columns")
        };
        let path = path_of(left);
        let agrees = match compared {
            "equal" => path == path_of(right),
            "unequal" => path != path_of(right),
            "last" => path.steps().last() == path_of(right).steps().last(),
            "text" => path.to_string() == right,
            // The wire form is private: a diagnostic carries it, and the protocol's tests see it.
            "wire" => sendable(&path) == path_of(right),
            other => panic!("{other}"),
        };
        match (agrees, verdict.split(':').next().unwrap_or_default()) {
            (true, "ours") => "ours",
            (true, _) => "pass",
            (false, _) => "not ours",
        }
    });
}

/// Asks for the verdict on every row, and compares it with the one that stands there.
fn check(table: &'static str, rows_min: usize, verdict: impl Fn(&Row) -> &'static str) {
    let rows: Vec<Row> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect();
    assert!(rows.len() >= rows_min, "{} rows", rows.len());
    let said = |row: &Row| row.last().and_then(|said| said.split(':').next());
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let found = verdict(row);
            (said(row) != Some(found)).then(|| format!("{found}, not as in {row:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn agreement(ours: &str, theirs: &str) -> &'static str {
    if ours == theirs { "pass" } else { "differs" }
}

fn type_of(json: &str) -> Type {
    Type::from_json_bytes(json.as_bytes()).unwrap()
}

fn number_of(json: &Json) -> Number {
    json.to_string().parse().unwrap()
}

/// A value as a table writes it: JSON by type, and unknown values among it.
fn read(json: Json, of: &Type, at: Path, refinements: &mut Refinements) -> Value {
    if let Some(known) = json.get("?") {
        refinements.insert(at, refinement(known, of));
        return Value::Unknown;
    }
    match (of, json) {
        (_, Json::Null) => Value::Null,
        (Type::Dynamic, Json::Object(mut pair)) => {
            let of = Type::from_json(&pair["type"]).unwrap();
            let value = pair.remove("value").unwrap();
            let value = read(value, &of, at, refinements);
            Value::Dynamic(of, Box::new(value))
        }
        (Type::Number, number) => Value::Number(number_of(&number)),
        (Type::Bool, Json::Bool(value)) => Value::Bool(value),
        (Type::String, Json::String(text)) => Value::String(text),
        (Type::Tuple(of), Json::Array(elements)) => {
            let elements = elements.into_iter().zip(of).enumerate();
            let element = |(index, (json, of)): (usize, (Json, &Type))| {
                read(json, of, at.clone().index(index), refinements)
            };
            Value::Tuple(elements.map(element).collect())
        }
        (Type::Set(of), Json::Array(elements)) => {
            let element = |json| read(json, of, at.clone().set_element(), refinements);
            Value::set(elements.into_iter().map(element))
        }
        (Type::List(of), Json::Array(elements)) => {
            let element = |(index, json)| read(json, of, at.clone().index(index), refinements);
            Value::List(elements.into_iter().enumerate().map(element).collect())
        }
        (Type::Map(of), Json::Object(elements)) => {
            let element = |(key, json): (String, Json)| {
                let value = read(json, of, at.clone().key(&key), refinements);
                (key, value)
            };
            Value::Map(elements.into_iter().map(element).collect())
        }
        (Type::Object(of, _), Json::Object(mut attributes)) => {
            let attribute = |(name, of): (&String, &Type)| {
                let json = attributes.remove(name).unwrap();
                let value = read(json, of, at.clone().attribute(name), refinements);
                (name.clone(), value)
            };
            Value::Object(of.iter().map(attribute).collect())
        }
        (of, json) => panic!("{json} is no {of}"),
    }
}

fn refinement(known: &Json, of: &Type) -> Refinement {
    let mut refinement = Refinement::default();
    if known["not_null"] == Json::Bool(true) {
        refinement = Refinement::not_null();
    }
    if let Some(prefix) = known["prefix"].as_str() {
        refinement = refinement.starting_with_exactly(prefix);
    }
    if let Some([number, inclusive]) = known["min"].as_array().map(Vec::as_slice) {
        let number = number_of(number);
        refinement = if inclusive == true {
            refinement.at_least(number)
        } else {
            refinement.above(number)
        };
    }
    if let Some([number, inclusive]) = known["max"].as_array().map(Vec::as_slice) {
        let number = number_of(number);
        refinement = if inclusive == true {
            refinement.at_most(number)
        } else {
            refinement.below(number)
        };
    }
    if let Some(length) = known["length_min"].as_u64() {
        refinement = refinement.with_at_least(length);
    }
    if let Some(length) = known["length_max"].as_u64() {
        refinement = refinement.with_at_most(length);
    }
    assert!(of != &Type::Dynamic || refinement.is_empty());
    refinement
}

fn path_of(steps: &str) -> Path {
    steps.split_whitespace().fold(Path::empty(), |path, step| {
        match step.split_once(':').unwrap() {
            ("a", name) => path.attribute(name),
            ("k", key) => path.key(key),
            ("i", index) => path.index(index.parse().unwrap()),
            ("v", _) => path.set_element(),
            (other, _) => panic!("no step {other}"),
        }
    })
}

/// The part of a path that goes over the wire.
fn sendable(path: &Path) -> Path {
    let named = |step: &&Step| *step != &Step::SetElement;
    path.steps()
        .iter()
        .take_while(named)
        .cloned()
        .fold(Path::empty(), Path::step)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap())
        .collect()
}
