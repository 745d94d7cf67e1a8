//! Reads msgpack by type. The number and depth of values are bounded, so that no input takes more
//! memory than its size warrants.

use std::collections::BTreeMap;

use super::refinement;
use super::token::{Token, Tokens, utf8};
use crate::path::{Path, Step};
use crate::value::{Budget, Number, Refinement, Refinements, Type, Value, ValueError};

pub(in crate::value) fn decode(
    bytes: &[u8],
    expected: &Type,
) -> Result<(Value, Refinements), ValueError> {
    let mut reader = Reader {
        tokens: Tokens::new(bytes),
        budget: Budget::new(),
        refined: Vec::new(),
    };
    let value = reader.value(expected, 0)?;
    let bytes_left = reader.tokens.bytes_left();
    if bytes_left > 0 {
        return Err(ValueError::new(format!(
            "{bytes_left} bytes follow the value"
        )));
    }
    let mut refinements = Refinements::default();
    for (steps, refinement) in reader.refined {
        let path = steps.into_iter().rev().fold(Path::empty(), Path::step);
        refinements.insert(path, refinement);
    }
    Ok((value, refinements))
}

/// The number in a token, in whichever of its forms.
pub(super) fn number(token: Token<'_>) -> Option<Number> {
    match token {
        Token::Number(number) => Some(number),
        Token::Text(text) => utf8(text).ok()?.parse().ok(),
        Token::Nil | Token::Bool(_) | Token::Array(_) | Token::Map(_) | Token::Extension(..) => {
            None
        }
    }
}

struct Reader<'a> {
    tokens: Tokens<'a>,
    budget: Budget,
    /// What is known of unknown values so far. The steps to each are added on the way out, the
    /// innermost first, so that they cost nothing where nothing is refined.
    refined: Vec<(Vec<Step>, Refinement)>,
}

impl<'a> Reader<'a> {
    fn value(&mut self, expected: &Type, depth: usize) -> Result<Value, ValueError> {
        self.budget.spend(depth)?;
        let token = self.tokens.next()?;
        match (expected, token) {
            (_, Token::Nil) => Ok(Value::Null),
            (_, Token::Extension(code, body)) => self.unknown(code, body, expected),
            (Type::Dynamic, Token::Array(2)) => self.dynamic(depth),
            (Type::Bool, Token::Bool(value)) => Ok(Value::Bool(value)),
            (Type::Number, token @ (Token::Number(_) | Token::Text(_))) => number(token)
                .map(Value::Number)
                .ok_or_else(|| ValueError::new("not a finite decimal number")),
            (Type::String, Token::Text(text)) => Ok(Value::String(utf8(text)?.to_owned())),
            (Type::List(of), Token::Array(count)) => Ok(Value::List(self.array(of, count, depth)?)),
            (Type::Set(of), Token::Array(count)) => {
                let refined_before = self.refined.len();
                let elements = self.array(of, count, depth)?;
                self.refined.truncate(refined_before);
                Ok(Value::set(elements))
            }
            (Type::Tuple(of), Token::Array(count)) => self.tuple(of, count, depth),
            (Type::Map(of), Token::Map(count)) => self.map(of, count, depth),
            (Type::Object(of, optional), Token::Map(count)) => {
                let missing = |name: &String| optional.contains(name);
                self.object(of, missing, count, depth)
            }
            (_, found) => Err(ValueError::mismatch(expected, found.kind())),
        }
    }

    fn unknown(&mut self, code: u8, body: &[u8], of: &Type) -> Result<Value, ValueError> {
        match refinement::decode(code, body, of)? {
            refinement::Read::Null => Ok(Value::Null),
            refinement::Read::Unknown(refinement) => {
                if !refinement.is_empty() {
                    self.refined.push((Vec::new(), refinement));
                }
                Ok(Value::Unknown)
            }
        }
    }

    fn dynamic(&mut self, depth: usize) -> Result<Value, ValueError> {
        let Token::Text(bytes) = self.tokens.next()? else {
            return Err(ValueError::new("a dynamic value begins with its type"));
        };
        let of =
            Type::from_json_bytes(bytes).map_err(|error| ValueError::new(error.to_string()))?;
        let value = self.value(&of, depth + 1)?;
        Ok(value.of_any_type(of))
    }

    /// A value one step further in.
    fn inner(
        &mut self,
        of: &Type,
        depth: usize,
        step: impl Fn() -> Step,
    ) -> Result<Value, ValueError> {
        let refined_before = self.refined.len();
        let value = self.value(of, depth + 1)?;
        for (steps, _) in self.refined.iter_mut().skip(refined_before) {
            steps.push(step());
        }
        Ok(value)
    }

    fn element(&mut self, of: &Type, index: usize, depth: usize) -> Result<Value, ValueError> {
        let step = || Step::Index(i64::try_from(index).unwrap_or(i64::MAX));
        self.inner(of, depth, step)
            .map_err(|error| error.inside(index))
    }

    fn array(&mut self, of: &Type, count: usize, depth: usize) -> Result<Vec<Value>, ValueError> {
        let mut elements = Vec::with_capacity(count.min(1024));
        for index in 0..count {
            elements.push(self.element(of, index, depth)?);
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
            elements.push(self.element(of, index, depth)?);
        }
        Ok(Value::Tuple(elements))
    }

    fn map(&mut self, of: &Type, count: usize, depth: usize) -> Result<Value, ValueError> {
        let mut elements = BTreeMap::new();
        for _ in 0..count {
            let key = self.key()?;
            let value = self
                .inner(of, depth, || Step::Key(key.to_owned()))
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
                .inner(of, depth, || Step::Attribute(name.to_owned()))
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
        match self.tokens.next()? {
            Token::Text(text) => utf8(text),
            found => Err(ValueError::new(format!(
                "expected a key, found {}",
                found.kind()
            ))),
        }
    }
}
