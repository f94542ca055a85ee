//! Canonical JSON of strangers' documents, and what is signed of it.

use std::fmt;

use ruma_common::{CanonicalJsonObject, CanonicalJsonValue};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// Reads one JSON object as canonical JSON can hold it: no duplicate keys, no fractions,
/// no numbers out of range.
pub(crate) fn parse_object(json: &[u8]) -> Result<CanonicalJsonObject, String> {
    let Strict(value) = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    match CanonicalJsonValue::try_from(value).map_err(|error| error.to_string())? {
        CanonicalJsonValue::Object(object) => Ok(object),
        other => Err(format!("not an object but {:?}", other.json_type())),
    }
}

/// The canonical form of an object without what is never signed.
pub(crate) fn to_signed_form(mut object: CanonicalJsonObject) -> String {
    object.remove("signatures");
    object.remove("unsigned");
    CanonicalJsonValue::Object(object).to_string()
}

/// Any JSON in which no object has the same key twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Err(E::custom(format!("{value} is no integer in range")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Strict(value))) = members.next_entry::<String, Strict>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("key {key:?} is there twice")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(json: &str) -> Result<String, String> {
        parse_object(json.as_bytes()).map(to_signed_form)
    }

    #[test]
    fn the_canonical_form_is_that_of_the_appendices() {
        for (json, expected) in [
            (r"{}", r"{}"),
            (r#"{ "one": 1, "two": "Two" }"#, r#"{"one":1,"two":"Two"}"#),
            (r#"{"b":"2","a":"1"}"#, r#"{"a":"1","b":"2"}"#),
            (r#"{"a":"\u65E5"}"#, "{\"a\":\"日\"}"),
            (r#"{"a":null,"signatures":{},"unsigned":1}"#, r#"{"a":null}"#),
            ("{\"\u{ff61}\":1,\"\u{1f600}\":2}", "{\"\u{ff61}\":1,\"\u{1f600}\":2}"),
            (r#"{"a":"\u0001\u001F\b\/\u007f"}"#, "{\"a\":\"\\u0001\\u001f\\b/\u{7f}\"}"),
        ] {
            assert_eq!(canonical(json).as_deref(), Ok(expected), "{json}");
        }
    }

    #[test]
    fn what_canonical_json_cannot_hold_is_refused() {
        for json in [
            r#"{"a":1,"a":2}"#,
            r#"{"x":{"a":1,"a":1}}"#,
            r#"{"a":1.5}"#,
            r#"{"a":1e3}"#,
            r#"{"a":-0}"#,
            r#"{"a":9007199254740992}"#,
            r#"{"a":99999999999999999999}"#,
            r#"{"a":"\ud800"}"#,
            r"[]",
            r"{} x",
            "",
        ] {
            assert!(canonical(json).is_err(), "{json}");
        }
    }
}
