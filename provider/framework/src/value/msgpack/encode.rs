//! Writes msgpack by type, byte for byte as Terraform's own library does.

use super::refinement;
use super::token::{FALSE, NIL, TRUE};
use crate::path::{Path, Step};
use crate::value::{Number, Refinements, Type, Value, ValueError};

/// An unknown value without refinements: extension type 0 with one byte.
const UNKNOWN: [u8; 3] = [0xd4, 0, 0];

pub(in crate::value) fn encode(
    value: &Value,
    expected: &Type,
    refinements: &Refinements,
) -> Result<Vec<u8>, ValueError> {
    let mut writer = Writer {
        out: Vec::with_capacity(256),
        refinements,
        path: Path::empty(),
    };
    writer.value(value, expected)?;
    Ok(writer.out)
}

struct Writer<'a> {
    out: Vec<u8>,
    refinements: &'a Refinements,
    /// Where the value is that is being written. Only kept up where there are refinements.
    path: Path,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, expected: &Type) -> Result<(), ValueError> {
        match (value, expected) {
            (Value::Null, _) => self.out.push(NIL),
            (Value::Unknown, of) => match self.refinements.get(&self.path) {
                // Nothing can be known of a value whose type is open.
                Some(refinement) if of != &Type::Dynamic => {
                    refinement::encode(&mut self.out, refinement, of)?;
                }
                Some(_) | None => self.out.extend(UNKNOWN),
            },
            (Value::Dynamic(Type::Dynamic, value), Type::Dynamic) => self.value(value, expected)?,
            (Value::Dynamic(of, value), Type::Dynamic) => {
                self.out.push(0x92);
                write_type(&mut self.out, of)?;
                self.value(value, of)?;
            }
            (Value::Bool(value), Type::Bool) => write_bool(&mut self.out, *value)?,
            (Value::Number(number), Type::Number) => write_number(&mut self.out, number)?,
            (Value::String(text), Type::String) => write_text(&mut self.out, text)?,
            (Value::List(elements), Type::List(of)) => {
                write_array(&mut self.out, elements.len())?;
                for (index, element) in elements.iter().enumerate() {
                    self.inner(element, of, || step(index))
                        .map_err(|error| error.inside(index))?;
                }
            }
            (Value::Set(elements), Type::Set(of)) => {
                write_array(&mut self.out, elements.len())?;
                for (index, element) in elements.iter().enumerate() {
                    self.inner(element, of, || Step::SetElement)
                        .map_err(|error| error.inside(index))?;
                }
            }
            (Value::Tuple(elements), Type::Tuple(of)) if elements.len() == of.len() => {
                write_array(&mut self.out, elements.len())?;
                for (index, (element, of)) in elements.iter().zip(of).enumerate() {
                    self.inner(element, of, || step(index))
                        .map_err(|error| error.inside(index))?;
                }
            }
            (Value::Map(elements), Type::Map(of)) => {
                write_map(&mut self.out, elements.len())?;
                for (key, element) in elements {
                    write_text(&mut self.out, key)?;
                    self.inner(element, of, || Step::Key(key.clone()))
                        .map_err(|error| error.inside(key))?;
                }
            }
            (Value::Object(attributes), Type::Object(of, _)) => {
                if let Some(name) = attributes.keys().find(|name| !of.contains_key(*name)) {
                    return Err(ValueError::new("the schema has no such attribute").inside(name));
                }
                write_map(&mut self.out, of.len())?;
                for (name, of) in of {
                    write_text(&mut self.out, name)?;
                    let attribute = attributes.get(name).unwrap_or(&Value::Null);
                    self.inner(attribute, of, || Step::Attribute(name.clone()))
                        .map_err(|error| error.inside(name))?;
                }
            }
            (found, expected) => return Err(ValueError::mismatch(expected, found.kind())),
        }
        Ok(())
    }

    /// Writes a value one step further in.
    fn inner(
        &mut self,
        value: &Value,
        of: &Type,
        step: impl FnOnce() -> Step,
    ) -> Result<(), ValueError> {
        if self.refinements.is_empty() {
            return self.value(value, of);
        }
        self.path.push(step());
        let written = self.value(value, of);
        self.path.pop();
        written
    }
}

pub(super) fn write_bool(out: &mut Vec<u8>, value: bool) -> Result<(), ValueError> {
    out.push(if value { TRUE } else { FALSE });
    Ok(())
}

/// Writes a number in the shortest form that keeps it: an integer, a float, or its digits.
pub(super) fn write_number(out: &mut Vec<u8>, number: &Number) -> Result<(), ValueError> {
    match number.to_i128() {
        Some(integer) => match i64::try_from(integer) {
            Ok(integer) => write_integer(out, integer),
            Err(_) => write_text(out, &number.to_string())?,
        },
        None => match number.to_exact_f64().filter(|_| !number.is_integer()) {
            Some(float) => {
                out.push(0xcb);
                out.extend(float.to_be_bytes());
            }
            None => write_text(out, &number.to_string())?,
        },
    }
    Ok(())
}

pub(super) fn write_text(out: &mut Vec<u8>, text: &str) -> Result<(), ValueError> {
    write_count(
        out,
        text.len(),
        [Some(0xa0), Some(0xd9), Some(0xda), Some(0xdb)],
    )?;
    out.extend(text.as_bytes());
    Ok(())
}

pub(super) fn write_collection(
    out: &mut Vec<u8>,
    count: usize,
    small: u8,
    large: u8,
) -> Result<(), ValueError> {
    match (
        u8::try_from(count),
        u16::try_from(count),
        u32::try_from(count),
    ) {
        (Ok(count), _, _) if count < 16 => out.push(small | count),
        (_, Ok(count), _) => {
            out.push(large);
            out.extend(count.to_be_bytes());
        }
        (_, _, Ok(count)) => {
            out.push(large + 1);
            out.extend(count.to_be_bytes());
        }
        (_, _, Err(_)) => return Err(ValueError::new("too many elements")),
    }
    Ok(())
}

/// Writes a length under the smallest of four headers: inline, one, two and four bytes.
pub(super) fn write_count(
    out: &mut Vec<u8>,
    length: usize,
    headers: [Option<u8>; 4],
) -> Result<(), ValueError> {
    let [inline, one, two, four] = headers;
    match (
        u8::try_from(length),
        u16::try_from(length),
        u32::try_from(length),
    ) {
        (Ok(length), _, _) if length < 32 && inline.is_some() => {
            out.push(inline.unwrap_or_default() | length);
        }
        (Ok(length), _, _) => out.extend([one.unwrap_or_default(), length]),
        (_, Ok(length), _) => {
            out.push(two.unwrap_or_default());
            out.extend(length.to_be_bytes());
        }
        (_, _, Ok(length)) => {
            out.push(four.unwrap_or_default());
            out.extend(length.to_be_bytes());
        }
        (_, _, Err(_)) => return Err(ValueError::new("too long")),
    }
    Ok(())
}

fn write_type(out: &mut Vec<u8>, of: &Type) -> Result<(), ValueError> {
    let json = of.to_json_bytes();
    write_count(out, json.len(), [None, Some(0xc4), Some(0xc5), Some(0xc6)])?;
    out.extend(json);
    Ok(())
}

fn write_array(out: &mut Vec<u8>, count: usize) -> Result<(), ValueError> {
    write_collection(out, count, 0x90, 0xdc)
}

fn write_map(out: &mut Vec<u8>, count: usize) -> Result<(), ValueError> {
    write_collection(out, count, 0x80, 0xde)
}

fn write_integer(out: &mut Vec<u8>, integer: i64) {
    let [.., one] = integer.to_be_bytes();
    let [.., two_first, two_second] = integer.to_be_bytes();
    let [_, _, _, _, four @ ..] = integer.to_be_bytes();
    match integer {
        -32..=0x7f => out.push(one),
        0x80..=0xff => out.extend([0xcc, one]),
        0x100..=0xffff => out.extend([0xcd, two_first, two_second]),
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend(four);
        }
        0x1_0000_0000.. => {
            out.push(0xcf);
            out.extend(integer.to_be_bytes());
        }
        -0x80..=-33 => out.extend([0xd0, one]),
        -0x8000..=-0x81 => out.extend([0xd1, two_first, two_second]),
        -0x8000_0000..=-0x8001 => {
            out.push(0xd2);
            out.extend(four);
        }
        ..=-0x8000_0001 => {
            out.push(0xd3);
            out.extend(integer.to_be_bytes());
        }
    }
}

fn step(index: usize) -> Step {
    Step::Index(i64::try_from(index).unwrap_or(i64::MAX))
}
