//! The msgpack codec, driven by type. Terraform sends and wants this form.
//!
//! Every length is checked against the bytes that are left before anything is allocated, and the
//! number and depth of values are bounded, so that no input takes more memory than its size
//! warrants. Refinements of unknown values are skipped: they only ever narrow what is unknown.

use std::collections::BTreeMap;
use std::str;

use super::{Budget, Number, Type, Value, ValueError};

const NIL: u8 = 0xc0;
const FALSE: u8 = 0xc2;
const TRUE: u8 = 0xc3;

/// An unknown value without refinements: extension type 0 with one byte.
const UNKNOWN: [u8; 3] = [0xd4, 0, 0];

pub(super) fn decode(bytes: &[u8], expected: &Type) -> Result<Value, ValueError> {
    let mut reader = Reader {
        bytes,
        budget: Budget::new(),
    };
    let value = reader.value(expected, 0)?;
    if reader.bytes.is_empty() {
        Ok(value)
    } else {
        Err(ValueError::new(format!(
            "{} bytes follow the value",
            reader.bytes.len()
        )))
    }
}

pub(super) fn encode(value: &Value, expected: &Type) -> Result<Vec<u8>, ValueError> {
    let mut out = Vec::with_capacity(256);
    write(&mut out, value, expected)?;
    Ok(out)
}

/// What the next token is, once its header is read.
enum Token<'a> {
    Nil,
    Unknown,
    Bool(bool),
    Number(Number),
    Text(&'a [u8]),
    Array(usize),
    Map(usize),
}

struct Reader<'a> {
    bytes: &'a [u8],
    budget: Budget,
}

impl<'a> Reader<'a> {
    fn value(&mut self, expected: &Type, depth: usize) -> Result<Value, ValueError> {
        self.budget.spend(depth)?;
        let token = self.token()?;
        match (expected, token) {
            (_, Token::Nil) => Ok(Value::Null),
            (_, Token::Unknown) => Ok(Value::Unknown),
            (Type::Dynamic, Token::Array(2)) => self.dynamic(depth),
            (Type::Bool, Token::Bool(value)) => Ok(Value::Bool(value)),
            (Type::Number, Token::Number(value)) => Ok(Value::Number(value)),
            (Type::Number, Token::Text(text)) => str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse().ok())
                .map(Value::Number)
                .ok_or_else(|| ValueError::new("not a finite decimal number")),
            (Type::String, Token::Text(text)) => Ok(Value::String(utf8(text)?.to_owned())),
            (Type::List(of), Token::Array(count)) => Ok(Value::List(self.array(of, count, depth)?)),
            (Type::Set(of), Token::Array(count)) => Ok(Value::set(self.array(of, count, depth)?)),
            (Type::Tuple(of), Token::Array(count)) => self.tuple(of, count, depth),
            (Type::Map(of), Token::Map(count)) => self.map(of, count, depth),
            (Type::Object(of, optional), Token::Map(count)) => {
                let missing = |name: &String| optional.contains(name);
                self.object(of, missing, count, depth)
            }
            (_, found) => Err(ValueError::mismatch(expected, found.kind())),
        }
    }

    fn dynamic(&mut self, depth: usize) -> Result<Value, ValueError> {
        let Token::Text(bytes) = self.token()? else {
            return Err(ValueError::new("a dynamic value begins with its type"));
        };
        let of =
            Type::from_json_bytes(bytes).map_err(|error| ValueError::new(error.to_string()))?;
        let value = self.value(&of, depth + 1)?;
        Ok(Value::Dynamic(of, Box::new(value)))
    }

    fn array(&mut self, of: &Type, count: usize, depth: usize) -> Result<Vec<Value>, ValueError> {
        let mut elements = Vec::with_capacity(count.min(1024));
        for index in 0..count {
            elements.push(
                self.value(of, depth + 1)
                    .map_err(|error| error.inside(index))?,
            );
        }
        Ok(elements)
    }

    fn tuple(&mut self, of: &[Type], count: usize, depth: usize) -> Result<Value, ValueError> {
        if of.len() != count {
            let message = format!("expected a tuple of {}, found {count} elements", of.len());
            return Err(ValueError::new(message));
        }
        let mut elements = Vec::with_capacity(count.min(1024));
        for (index, of) in of.iter().enumerate() {
            elements.push(
                self.value(of, depth + 1)
                    .map_err(|error| error.inside(index))?,
            );
        }
        Ok(Value::Tuple(elements))
    }

    fn map(&mut self, of: &Type, count: usize, depth: usize) -> Result<Value, ValueError> {
        let mut elements = BTreeMap::new();
        for _ in 0..count {
            let key = self.key()?;
            let value = self
                .value(of, depth + 1)
                .map_err(|error| error.inside(key))?;
            if elements.insert(key.to_owned(), value).is_some() {
                return Err(ValueError::new("a key comes twice").inside(key));
            }
        }
        Ok(Value::Map(elements))
    }

    fn object(
        &mut self,
        of: &BTreeMap<String, Type>,
        may_miss: impl Fn(&String) -> bool,
        count: usize,
        depth: usize,
    ) -> Result<Value, ValueError> {
        let mut attributes = BTreeMap::new();
        for _ in 0..count {
            let name = self.key()?;
            let of = of
                .get(name)
                .ok_or_else(|| ValueError::new("the schema has no such attribute").inside(name))?;
            let value = self
                .value(of, depth + 1)
                .map_err(|error| error.inside(name))?;
            if attributes.insert(name.to_owned(), value).is_some() {
                return Err(ValueError::new("an attribute comes twice").inside(name));
            }
        }
        for name in of.keys() {
            if !attributes.contains_key(name) {
                if !may_miss(name) {
                    return Err(ValueError::new("the attribute is missing").inside(name));
                }
                attributes.insert(name.clone(), Value::Null);
            }
        }
        Ok(Value::Object(attributes))
    }

    fn key(&mut self) -> Result<&'a str, ValueError> {
        match self.token()? {
            Token::Text(text) => utf8(text),
            found => Err(ValueError::new(format!(
                "expected a key, found {}",
                found.kind()
            ))),
        }
    }

    fn token(&mut self) -> Result<Token<'a>, ValueError> {
        let header = self.take(1)?.first().copied().unwrap_or_default();
        Ok(match header {
            0x00..=0x7f => Token::Number(header.into()),
            0x80..=0x8f => self.counted(usize::from(header & 0x0f), Token::Map)?,
            0x90..=0x9f => self.counted(usize::from(header & 0x0f), Token::Array)?,
            0xa0..=0xbf => Token::Text(self.take(usize::from(header & 0x1f))?),
            NIL => Token::Nil,
            FALSE => Token::Bool(false),
            TRUE => Token::Bool(true),
            0xc4 | 0xd9 => self.text(1)?,
            0xc5 | 0xda => self.text(2)?,
            0xc6 | 0xdb => self.text(4)?,
            0xc7 => self.extension(1)?,
            0xc8 => self.extension(2)?,
            0xc9 => self.extension(4)?,
            0xca => float(f64::from(f32::from_be_bytes(self.fixed()?)))?,
            0xcb => float(f64::from_be_bytes(self.fixed()?))?,
            0xcc => Token::Number(u8::from_be_bytes(self.fixed()?).into()),
            0xcd => Token::Number(u16::from_be_bytes(self.fixed()?).into()),
            0xce => Token::Number(u32::from_be_bytes(self.fixed()?).into()),
            0xcf => Token::Number(u64::from_be_bytes(self.fixed()?).into()),
            0xd0 => Token::Number(i8::from_be_bytes(self.fixed()?).into()),
            0xd1 => Token::Number(i16::from_be_bytes(self.fixed()?).into()),
            0xd2 => Token::Number(i32::from_be_bytes(self.fixed()?).into()),
            0xd3 => Token::Number(i64::from_be_bytes(self.fixed()?).into()),
            0xd4..=0xd8 => {
                self.take(1 + (1 << (header - 0xd4)))?;
                Token::Unknown
            }
            0xdc => self.collection(2, Token::Array)?,
            0xdd => self.collection(4, Token::Array)?,
            0xde => self.collection(2, Token::Map)?,
            0xdf => self.collection(4, Token::Map)?,
            0xe0..=0xff => Token::Number(i8::from_be_bytes([header]).into()),
            0xc1 => return Err(ValueError::new("0xc1 begins no value")),
        })
    }

    fn text(&mut self, width: usize) -> Result<Token<'a>, ValueError> {
        let length = self.length(width)?;
        Ok(Token::Text(self.take(length)?))
    }

    fn extension(&mut self, width: usize) -> Result<Token<'a>, ValueError> {
        let length = self.length(width)?;
        self.take(length.saturating_add(1))?;
        Ok(Token::Unknown)
    }

    fn collection(
        &mut self,
        width: usize,
        token: fn(usize) -> Token<'a>,
    ) -> Result<Token<'a>, ValueError> {
        let count = self.length(width)?;
        self.counted(count, token)
    }

    /// Every element takes a byte at least, so that a larger count is a lie.
    fn counted(
        &self,
        count: usize,
        token: fn(usize) -> Token<'a>,
    ) -> Result<Token<'a>, ValueError> {
        if count > self.bytes.len() {
            Err(cut_short())
        } else {
            Ok(token(count))
        }
    }

    fn length(&mut self, width: usize) -> Result<usize, ValueError> {
        let bytes = self.take(width)?;
        Ok(bytes
            .iter()
            .fold(0, |length, byte| (length << 8) | usize::from(*byte)))
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        self.take(N)?.try_into().map_err(|_| cut_short())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ValueError> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or_else(cut_short)?;
        self.bytes = rest;
        Ok(taken)
    }
}

impl Token<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Token::Nil => "null",
            Token::Unknown => "an unknown value",
            Token::Bool(_) => "a bool",
            Token::Number(_) => "a number",
            Token::Text(_) => "a string",
            Token::Array(_) => "an array",
            Token::Map(_) => "a map",
        }
    }
}

fn cut_short() -> ValueError {
    ValueError::new("the bytes are cut short")
}

fn utf8(text: &[u8]) -> Result<&str, ValueError> {
    str::from_utf8(text).map_err(|_| ValueError::new("text is not UTF-8"))
}

fn float(value: f64) -> Result<Token<'static>, ValueError> {
    Number::from_f64_exact(value)
        .map(Token::Number)
        .map_err(|error| ValueError::new(error.to_string()))
}

fn write(out: &mut Vec<u8>, value: &Value, expected: &Type) -> Result<(), ValueError> {
    match (value, expected) {
        (Value::Null, _) => out.push(NIL),
        (Value::Unknown, _) => out.extend(UNKNOWN),
        (Value::Dynamic(of, value), Type::Dynamic) => {
            out.push(0x92);
            let of_json = of.to_json_bytes();
            write_header(
                out,
                of_json.len(),
                [None, Some(0xc4), Some(0xc5), Some(0xc6)],
            )?;
            out.extend(of_json);
            write(out, value, of)?;
        }
        (Value::Bool(value), Type::Bool) => out.push(if *value { TRUE } else { FALSE }),
        (Value::Number(number), Type::Number) => write_number(out, number)?,
        (Value::String(text), Type::String) => write_text(out, text)?,
        (Value::List(elements), Type::List(of)) | (Value::Set(elements), Type::Set(of)) => {
            write_array(out, elements.len())?;
            for (index, element) in elements.iter().enumerate() {
                write(out, element, of).map_err(|error| error.inside(index))?;
            }
        }
        (Value::Tuple(elements), Type::Tuple(of)) if elements.len() == of.len() => {
            write_array(out, elements.len())?;
            for (index, (element, of)) in elements.iter().zip(of).enumerate() {
                write(out, element, of).map_err(|error| error.inside(index))?;
            }
        }
        (Value::Map(elements), Type::Map(of)) => {
            write_map(out, elements.len())?;
            for (key, element) in elements {
                write_text(out, key)?;
                write(out, element, of).map_err(|error| error.inside(key))?;
            }
        }
        (Value::Object(attributes), Type::Object(of, _)) => {
            if let Some(name) = attributes.keys().find(|name| !of.contains_key(*name)) {
                return Err(ValueError::new("the schema has no such attribute").inside(name));
            }
            write_map(out, of.len())?;
            for (name, of) in of {
                write_text(out, name)?;
                let attribute = attributes.get(name).unwrap_or(&Value::Null);
                write(out, attribute, of).map_err(|error| error.inside(name))?;
            }
        }
        (found, expected) => return Err(ValueError::mismatch(expected, found.kind())),
    }
    Ok(())
}

fn write_number(out: &mut Vec<u8>, number: &Number) -> Result<(), ValueError> {
    let Some(integer) = number.to_i128() else {
        return write_text(out, &number.to_string());
    };
    if let Ok(small) = u8::try_from(integer)
        && small < 0x80
    {
        out.push(small);
    } else if let Ok(integer) = i64::try_from(integer) {
        out.push(0xd3);
        out.extend(integer.to_be_bytes());
    } else if let Ok(integer) = u64::try_from(integer) {
        out.push(0xcf);
        out.extend(integer.to_be_bytes());
    } else {
        write_text(out, &number.to_string())?;
    }
    Ok(())
}

fn write_text(out: &mut Vec<u8>, text: &str) -> Result<(), ValueError> {
    write_header(
        out,
        text.len(),
        [Some(0xa0), Some(0xd9), Some(0xda), Some(0xdb)],
    )?;
    out.extend(text.as_bytes());
    Ok(())
}

fn write_array(out: &mut Vec<u8>, count: usize) -> Result<(), ValueError> {
    write_collection(out, count, 0x90, 0xdc)
}

fn write_map(out: &mut Vec<u8>, count: usize) -> Result<(), ValueError> {
    write_collection(out, count, 0x80, 0xde)
}

fn write_collection(
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
fn write_header(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_extension_is_unknown_whatever_its_refinements() {
        for bytes in [
            &[0xd4, 0, 0][..],
            &[0xc7, 3, 12, 0x81, 1, 0xc2][..],
            &[0xd8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
        ] {
            assert_eq!(decode(bytes, &Type::String), Ok(Value::Unknown));
        }
    }

    #[test]
    fn numbers_arrive_in_every_form() {
        let cases: [(&[u8], &str); 6] = [
            (&[0x07], "7"),
            (&[0xff], "-1"),
            (
                &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                "18446744073709551615",
            ),
            (&[0xcb, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0], "0.5"),
            (&[0xa3, b'0', b'.', b'1'], "0.1"),
            (b"\xb69007199254740993.00001", "9007199254740993.00001"),
        ];
        for (bytes, text) in cases {
            let value = decode(bytes, &Type::Number).unwrap();
            assert_eq!(value, Value::Number(text.parse().unwrap()));
        }
    }

    #[test]
    fn counts_that_lie_are_refused_before_anything_is_allocated() {
        let of = Type::list(Type::String);
        assert!(decode(&[0xdd, 0xff, 0xff, 0xff, 0xff], &of).is_err());
        assert!(decode(&[0xdb, 0xff, 0xff, 0xff, 0xff], &Type::String).is_err());
    }

    #[test]
    fn nesting_is_bounded() {
        let mut bytes = Vec::new();
        for _ in 0..1000 {
            bytes.extend([0x92, 0xc4, 9]);
            bytes.extend(br#""dynamic""#);
        }
        bytes.push(NIL);
        let error = decode(&bytes, &Type::Dynamic).unwrap_err();
        assert!(error.to_string().contains("deeper"), "{error}");
    }

    #[test]
    fn an_error_names_the_place() {
        let of = Type::object([("a", Type::list(Type::Bool))]);
        let error = decode(&[0x81, 0xa1, b'a', 0x92, 0xc2, 0x01], &of).unwrap_err();
        assert_eq!(error.to_string(), "expected bool, found a number at a.1");
    }
}
