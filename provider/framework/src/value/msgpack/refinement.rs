//! Refinements of an unknown value as msgpack has them: an extension of type 12 around a map from
//! small integers to what they promise. Any other extension is an unknown value and no more.

use super::decode::number;
use super::encode::{write_bool, write_collection, write_count, write_number, write_text};
use super::token::{Token, Tokens, utf8};
use crate::value::refinement::{Bound, Refinement, settled};
use crate::value::{Type, ValueError};

/// The extension type of an unknown value with refinements.
const CODE: u8 = 12;

/// Go refuses more, because nobody has that much to promise.
const BODY_BYTES_MAX: usize = 1024;

/// The longest prefix that is sent, so that the rest has room beside it.
const PREFIX_BYTES_MAX: usize = 256;

const NULLNESS: i128 = 1;
const STRING_PREFIX: i128 = 2;
const NUMBER_MIN: i128 = 3;
const NUMBER_MAX: i128 = 4;
const LENGTH_MIN: i128 = 5;
const LENGTH_MAX: i128 = 6;

/// What an extension says.
pub(super) enum Read {
    /// A value that is known to be null is known.
    Null,
    /// A value that is unknown, and what is known of it all the same.
    Unknown(Refinement),
}

pub(super) fn decode(code: u8, body: &[u8], of: &Type) -> Result<Read, ValueError> {
    // One byte or none is how a plain unknown value is written, whatever the code.
    if code != CODE || body.len() <= 1 {
        return Ok(Read::Unknown(Refinement::default()));
    }
    if body.len() > BODY_BYTES_MAX {
        return Err(malformed("more than a kilobyte"));
    }
    let mut tokens = Tokens::new(body);
    let Token::Map(count) = tokens.next()? else {
        return Err(malformed("no map"));
    };
    // Nothing can be known of a value whose type is open.
    if of == &Type::Dynamic {
        return Ok(Read::Unknown(Refinement::default()));
    }
    let mut read = Refinement::default();
    let mut is_null = false;
    for _ in 0..count {
        match integer(&mut tokens)? {
            NULLNESS => {
                is_null = boolean(&mut tokens)?;
                read.not_null = !is_null;
            }
            STRING_PREFIX => read.prefix = Some(text(&mut tokens)?),
            NUMBER_MIN => read.min = Some(bound(&mut tokens)?),
            NUMBER_MAX => read.max = Some(bound(&mut tokens)?),
            LENGTH_MIN => read.length_min = Some(length(&mut tokens)?),
            LENGTH_MAX => read.length_max = Some(length(&mut tokens)?),
            // What a later Terraform knows narrows the value further, and may be left out.
            _ => tokens.skip()?,
        }
    }
    read.check(of)
        .map_err(|error| malformed(&error.to_string()))?;
    Ok(if is_null {
        Read::Null
    } else {
        Read::Unknown(read)
    })
}

pub(super) fn encode(
    out: &mut Vec<u8>,
    refinement: &Refinement,
    of: &Type,
) -> Result<(), ValueError> {
    refinement
        .check(of)
        .map_err(|error| malformed(&error.to_string()))?;
    let mut count = 0;
    let mut entries = Vec::new();
    let mut entry = |key: i128, write: &dyn Fn(&mut Vec<u8>) -> Result<(), ValueError>| {
        count += 1;
        entries.extend(u8::try_from(key));
        write(&mut entries)
    };
    if refinement.not_null {
        entry(NULLNESS, &|out| write_bool(out, false))?;
    }
    if let Some(prefix) = &refinement.prefix {
        let prefix = if prefix.len() > PREFIX_BYTES_MAX {
            settled(&prefix[..prefix.floor_char_boundary(PREFIX_BYTES_MAX - 1)])
        } else {
            prefix
        };
        entry(STRING_PREFIX, &|out| write_text(out, prefix))?;
    }
    for (key, bound) in [(NUMBER_MIN, &refinement.min), (NUMBER_MAX, &refinement.max)] {
        if let Some(bound) = bound {
            entry(key, &|out| {
                write_collection(out, 2, 0x90, 0xdc)?;
                write_number(out, &bound.number)?;
                write_bool(out, bound.inclusive)
            })?;
        }
    }
    for (key, length) in [
        (LENGTH_MIN, refinement.length_min),
        (LENGTH_MAX, refinement.length_max),
    ] {
        if let Some(length) = length {
            entry(key, &|out| write_number(out, &length.into()))?;
        }
    }
    let mut body = Vec::new();
    write_collection(&mut body, count, 0x80, 0xde)?;
    body.extend(entries);
    if body.len() > BODY_BYTES_MAX {
        return Err(malformed("more than a kilobyte"));
    }
    match body.len() {
        1 | 2 | 4 | 8 | 16 => {
            let width = u8::try_from(body.len().ilog2()).unwrap_or_default();
            out.push(0xd4 + width);
        }
        length => write_count(out, length, [None, Some(0xc7), Some(0xc8), Some(0xc9)])?,
    }
    out.push(CODE);
    out.extend(body);
    Ok(())
}

fn integer(tokens: &mut Tokens<'_>) -> Result<i128, ValueError> {
    match tokens.next()? {
        Token::Number(number) => number.to_i128(),
        Token::Nil
        | Token::Bool(_)
        | Token::Text(_)
        | Token::Array(_)
        | Token::Map(_)
        | Token::Extension(..) => None,
    }
    .ok_or_else(|| malformed("no integer where one is needed"))
}

fn length(tokens: &mut Tokens<'_>) -> Result<u64, ValueError> {
    u64::try_from(integer(tokens)?).map_err(|_| malformed("a length below zero"))
}

fn boolean(tokens: &mut Tokens<'_>) -> Result<bool, ValueError> {
    match tokens.next()? {
        Token::Bool(value) => Ok(value),
        found => Err(malformed(&format!("{} for a bool", found.kind()))),
    }
}

fn text(tokens: &mut Tokens<'_>) -> Result<String, ValueError> {
    match tokens.next()? {
        Token::Text(text) => Ok(utf8(text)?.to_owned()),
        found => Err(malformed(&format!("{} for a string", found.kind()))),
    }
}

fn bound(tokens: &mut Tokens<'_>) -> Result<Bound, ValueError> {
    let Token::Array(2) = tokens.next()? else {
        return Err(malformed("a bound is a number and a bool"));
    };
    let number = number(tokens.next()?).ok_or_else(|| malformed("a bound is no number"))?;
    let inclusive = boolean(tokens)?;
    Ok(Bound { number, inclusive })
}

fn malformed(what: &str) -> ValueError {
    ValueError::new(format!(
        "the refinement of an unknown value is wrong: {what}"
    ))
}
