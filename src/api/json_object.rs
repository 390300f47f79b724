//! JSON objects in request bodies. Unknown fields are ignored, as in the original API, with three
//! exceptions: a misspelled field, a field that looks like a restriction of the token, and any
//! unknown field beside one that the original API does not have. Objects that the original API does
//! not have are strict.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, Error as _, IntoDeserializer as _, value::StringDeserializer},
    forward_to_deserialize_any,
};

use super::spelling;

/// The rules for unknown fields of a request object.
pub trait JsonFields {
    /// Lower-case words that mark an unknown field as a restriction of the token. A field whose
    /// name contains one of them is rejected.
    const RESTRICTION_WORDS: &'static [&'static str] = &[];

    /// Fields that the original API does not have. Beside one of them, every unknown field is rejected.
    const STRICT_FIELDS: &'static [&'static str] = &[];

    /// Rejects every unknown field.
    const IS_STRICT: bool = false;

    /// Returns the field that an unknown name means. The name is given in lower case without
    /// separators.
    fn find_alias(_: &str) -> Option<&'static str> {
        None
    }
}

/// A JSON object. The derived implementation of a struct would also accept an array of its values.
#[derive(Clone, Copy, Debug)]
pub struct JsonObject<T>(pub T);

impl<'de, T: Deserialize<'de> + JsonFields> Deserialize<'de> for JsonObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + JsonFields> de::Visitor<'de> for Visitor<T> {
            type Value = JsonObject<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<JsonObject<T>, A::Error> {
                T::deserialize(StructDeserializer::<A, T> { map, rules: PhantomData }).map(JsonObject)
            }
        }
        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

/// A deserializer of objects for structs, whose field names it receives. A struct with
/// `serde(flatten)` does not pass its field names and cannot be read.
struct StructDeserializer<A, T> {
    map: A,
    rules: PhantomData<T>,
}

impl<'de, A: de::MapAccess<'de>, T: JsonFields> Deserializer<'de> for StructDeserializer<A, T> {
    type Error = A::Error;

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let map = CheckedFields::<A, T> { map: self.map, fields, is_strict: false, ignored: None, rules: PhantomData };
        visitor.visit_map(map)
    }

    fn deserialize_any<V: de::Visitor<'de>>(self, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("the fields of this object are not known"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The entries of an object, with a check of unknown fields.
struct CheckedFields<A, T> {
    map: A,
    fields: &'static [&'static str],
    /// A field of [`JsonFields::STRICT_FIELDS`] was read.
    is_strict: bool,
    /// The first unknown field that was ignored.
    ignored: Option<String>,
    rules: PhantomData<T>,
}

impl<'de, A: de::MapAccess<'de>, T: JsonFields> de::MapAccess<'de> for CheckedFields<A, T> {
    type Error = A::Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(name) = self.map.next_key::<String>()? else {
            let rejected = self.ignored.take().filter(|_| self.is_strict);
            return rejected.map_or(Ok(None), |name| Err(A::Error::custom(unknown_field(&name))));
        };
        self.is_strict = self.is_strict || T::STRICT_FIELDS.contains(&name.as_str());
        if !self.fields.contains(&name.as_str()) {
            if let Some(reason) = rejection_reason::<T>(&name, self.fields) {
                return Err(A::Error::custom(reason));
            }
            self.ignored.get_or_insert_with(|| name.clone());
        }
        let name: StringDeserializer<A::Error> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.map.size_hint()
    }
}

fn unknown_field(name: &str) -> String {
    format!("{} is unknown; remove it", spelling::echoable_name(name).unwrap_or("A field"))
}

/// Returns the reason why an unknown field is rejected; `None` if it is ignored.
fn rejection_reason<T: JsonFields>(name: &str, fields: &[&'static str]) -> Option<String> {
    let normalized = spelling::normalize(name);
    let subject = spelling::echoable_name(name).unwrap_or("A field");
    if let Some(intended) = spelling::find_intended(name, fields).or_else(|| T::find_alias(&normalized)) {
        return Some(format!("{subject} is unknown; did you mean {intended}? Correct or remove it"));
    }
    if T::IS_STRICT {
        return Some(format!("{subject} is unknown; the fields are {}", fields.join(", ")));
    }
    let is_restriction = T::RESTRICTION_WORDS.iter().any(|word| normalized.contains(word));
    is_restriction.then(|| format!("{subject} is unknown and would not restrict the token; remove it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code, reason = "deserialized only")]
    struct Outer {
        first_field: Option<u8>,
        added: Option<u8>,
        inner: Option<Vec<JsonObject<Inner>>>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "deserialized only")]
    struct Inner {
        value: u8,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "deserialized only")]
    struct Strict {
        first: Option<u8>,
        second: Option<u8>,
    }

    impl JsonFields for Strict {
        const IS_STRICT: bool = true;
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "deserialized only")]
    struct Flat {
        #[serde(flatten)]
        inner: Inner,
    }

    impl JsonFields for Outer {
        const RESTRICTION_WORDS: &'static [&'static str] = &["scope"];
        const STRICT_FIELDS: &'static [&'static str] = &["added"];

        fn find_alias(normalized: &str) -> Option<&'static str> {
            (normalized == "erstes").then_some("firstField")
        }
    }

    impl JsonFields for Inner {}

    impl JsonFields for Flat {}

    fn error_message(body: &str) -> Option<String> {
        let result = serde_json::from_str::<JsonObject<Outer>>(body);
        result.err().map(|error| error.to_string().split(" at line").next().unwrap().to_owned())
    }

    #[test]
    fn unknown_fields_are_ignored_unless_they_are_misspelled_or_look_like_a_restriction() {
        for accepted in ["{}", r#"{"x":1,"firstField":1,"x":[{"valeu":2}]}"#, r#"{"inner":[{"value":1,"y":null}]}"#] {
            assert_eq!(error_message(accepted), None, "{accepted}");
        }
        for (rejected, message) in [
            (r#"{"first_field":1}"#, "first_field is unknown; did you mean firstField? Correct or remove it"),
            (r#"{"Erstes":1}"#, "Erstes is unknown; did you mean firstField? Correct or remove it"),
            (r#"{"tokenScopes":[]}"#, "tokenScopes is unknown and would not restrict the token; remove it"),
            (r#"{"inner":[{"value":1},{"valeu":1}]}"#, "valeu is unknown; did you mean value? Correct or remove it"),
            (r#"{"added":1,"x":1}"#, "x is unknown; remove it"),
            (r#"{"x":1,"y":2,"added":1}"#, "x is unknown; remove it"),
            (r#"{"inner":[[1]]}"#, "invalid type: sequence, expected an object"),
            (r#"{"firstField":1,"firstField":1}"#, "duplicate field `firstField`"),
        ] {
            assert_eq!(error_message(rejected).as_deref(), Some(message), "{rejected}");
        }
    }

    #[test]
    fn a_strict_object_has_no_unknown_fields() {
        assert!(serde_json::from_str::<JsonObject<Strict>>(r#"{"second":1}"#).is_ok());
        let error = serde_json::from_str::<JsonObject<Strict>>(r#"{"third":1}"#).unwrap_err().to_string();
        assert!(error.starts_with("third is unknown; the fields are first, second"), "{error}");
    }

    #[test]
    fn a_struct_with_flattened_fields_cannot_be_deserialized() {
        let result = serde_json::from_str::<JsonObject<Flat>>(r#"{"value":1}"#);
        assert!(result.unwrap_err().to_string().starts_with("the fields of this object are not known"));
    }
}
