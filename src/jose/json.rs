//! JSON, whole or not at all. `serde_json` reads it; what it leaves to its caller is done here: no object has a member
//! twice, however the two are spelled, and depth and number of values are bounded. Of two members with one name readers
//! take the first or the last, and so would two of them read two tokens (RFC 8725 2.7).

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Objects and lists within each other, at most.
pub const DEEPEST: usize = 8;
/// Values in one text, at most.
pub const MOST: usize = 1024;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number, as near as this comes to it.
    Number(f64),
    /// Text, its escapes undone.
    Text(String),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name.
    Object(Object),
}

/// Members of an object.
pub type Object = BTreeMap<String, Value>;

/// Reads an object with nothing behind it.
///
/// # Errors
/// A clause for the operator.
pub fn object(octets: &[u8]) -> Result<Object, &'static str> {
    let bounds = Bounds { left: Cell::new(MOST), why: Cell::new("not JSON") };
    let mut reader = serde_json::Deserializer::from_slice(octets);
    let value = Within { bounds: &bounds, depth: 0 }.deserialize(&mut reader);
    match value.and_then(|value| reader.end().map(|()| value)) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("no object"),
        Err(_) => Err(bounds.why.get()),
    }
}

/// What is left to be read, and why reading ended.
struct Bounds {
    left: Cell<usize>,
    why: Cell<&'static str>,
}

impl Bounds {
    fn refused<E: Error>(&self, why: &'static str) -> E {
        self.why.set(why);
        E::custom(why)
    }
}

/// One value, at its depth.
#[derive(Clone, Copy)]
struct Within<'b> {
    bounds: &'b Bounds,
    depth: usize,
}

impl Within<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > DEEPEST { Err(self.bounds.refused("too deep")) } else { Ok(Self { depth, ..self }) }
    }
}

impl<'de> DeserializeSeed<'de> for Within<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.bounds.left.get().checked_sub(1).ok_or_else(|| self.bounds.refused("too many values"))?;
        self.bounds.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Within<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "whatever is so large is refused where a number is used")]
    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "whatever is so large is refused where a number is used")]
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let inside = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inside = self.deeper()?;
        let mut members = Object::new();
        while let Some(Name(name)) = map.next_key()? {
            let value = map.next_value_seed(inside)?;
            if members.insert(name, value).is_some() {
                return Err(self.bounds.refused("a member twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

/// The name of a member, its escapes undone.
#[derive(Deserialize)]
struct Name(String);
