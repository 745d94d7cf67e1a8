//! Splits msgpack into tokens. Every length is checked against the bytes that are left before
//! anyone believes it, and nothing is ever allocated here.

use std::str;

use crate::value::{Number, ValueError};

pub(super) const NIL: u8 = 0xc0;
pub(super) const FALSE: u8 = 0xc2;
pub(super) const TRUE: u8 = 0xc3;

/// What comes next, once its header is read.
#[derive(Debug)]
pub(super) enum Token<'a> {
    Nil,
    Bool(bool),
    Number(Number),
    Text(&'a [u8]),
    /// This many values follow.
    Array(usize),
    /// This many keys follow, each with a value.
    Map(usize),
    /// A type code, and bytes that only it explains.
    Extension(u8, &'a [u8]),
}

/// The bytes that are left.
#[derive(Debug)]
pub(super) struct Tokens<'a>(&'a [u8]);

impl<'a> Tokens<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes_left(&self) -> usize {
        self.0.len()
    }

    pub(super) fn next(&mut self) -> Result<Token<'a>, ValueError> {
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
            0xd4..=0xd8 => self.extension_of(1 << (header - 0xd4))?,
            0xdc => self.collection(2, Token::Array)?,
            0xdd => self.collection(4, Token::Array)?,
            0xde => self.collection(2, Token::Map)?,
            0xdf => self.collection(4, Token::Map)?,
            0xe0..=0xff => Token::Number(i8::from_be_bytes([header]).into()),
            0xc1 => return Err(ValueError::new("0xc1 begins no value")),
        })
    }

    /// Passes over one whole value, however deep it is.
    pub(super) fn skip(&mut self) -> Result<(), ValueError> {
        let mut values_left = 1_usize;
        while values_left > 0 {
            let inside = match self.next()? {
                Token::Array(count) => count,
                Token::Map(count) => count.saturating_mul(2),
                Token::Nil
                | Token::Bool(_)
                | Token::Number(_)
                | Token::Text(_)
                | Token::Extension(..) => 0,
            };
            values_left = (values_left - 1).saturating_add(inside);
        }
        Ok(())
    }

    fn text(&mut self, width: usize) -> Result<Token<'a>, ValueError> {
        let length = self.length(width)?;
        Ok(Token::Text(self.take(length)?))
    }

    fn extension(&mut self, width: usize) -> Result<Token<'a>, ValueError> {
        let length = self.length(width)?;
        self.extension_of(length)
    }

    fn extension_of(&mut self, length: usize) -> Result<Token<'a>, ValueError> {
        let code = u8::from_be_bytes(self.fixed()?);
        Ok(Token::Extension(code, self.take(length)?))
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
        if count > self.0.len() {
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
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(taken)
    }
}

impl Token<'_> {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Token::Nil => "null",
            Token::Bool(_) => "a bool",
            Token::Number(_) => "a number",
            Token::Text(_) => "a string",
            Token::Array(_) => "an array",
            Token::Map(_) => "a map",
            Token::Extension(..) => "an unknown value",
        }
    }
}

pub(super) fn utf8(text: &[u8]) -> Result<&str, ValueError> {
    str::from_utf8(text).map_err(|_| ValueError::new("text is not UTF-8"))
}

fn cut_short() -> ValueError {
    ValueError::new("the bytes are cut short")
}

fn float(value: f64) -> Result<Token<'static>, ValueError> {
    Number::from_f64_exact(value)
        .map(Token::Number)
        .map_err(|error| ValueError::new(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_value_is_passed_over_whatever_is_in_it() {
        let mut tokens = Tokens::new(&[0x82, 0x01, 0x92, 0xa1, b'a', 0xc0, 0x02, 0xd4, 0, 0, 0x07]);
        tokens.skip().unwrap();
        assert_eq!(tokens.bytes_left(), 1);
        let deep = vec![0x91; 100_000];
        assert!(Tokens::new(&deep).skip().is_err());
    }
}
