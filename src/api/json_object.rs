//! The fields of JSON objects in requests. Unknown ones are ignored, as on the original, except where ignoring one would do something
//! else than the client means: a misspelled field, and a limit of a token that does not exist.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, Error as _, IntoDeserializer as _, value::StringDeserializer},
    forward_to_deserialize_any,
};

use super::spelling;

/// An object that requests carry, by its struct.
pub trait Fields {
    /// Parts of names that an unknown field must not have, in lower case. Such a field would be a limit, and is not ignored.
    const LIMITS: &'static [&'static str] = &[];

    /// The field that is meant by another word, which is given in lower case without separators.
    fn meant(_: &str) -> Option<&'static str> {
        None
    }
}

/// A JSON object. What is derived for a struct would also take an array of its fields' values.
#[derive(Clone, Copy, Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de> + Fields> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Fields> de::Visitor<'de> for Visitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(OfStruct::<A, T> { map, fields: PhantomData }).map(Object)
            }
        }
        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

/// An object that becomes a struct, which names its fields. One with `serde(flatten)` does not, and cannot be read.
struct OfStruct<A, T> {
    map: A,
    fields: PhantomData<T>,
}

impl<'de, A: de::MapAccess<'de>, T: Fields> Deserializer<'de> for OfStruct<A, T> {
    type Error = A::Error;

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(Checked::<A, T> { map: self.map, known, fields: PhantomData })
    }

    fn deserialize_any<V: de::Visitor<'de>>(self, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("the fields of this object are not known"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// An object whose unknown fields are looked at.
struct Checked<A, T> {
    map: A,
    known: &'static [&'static str],
    fields: PhantomData<T>,
}

impl<'de, A: de::MapAccess<'de>, T: Fields> de::MapAccess<'de> for Checked<A, T> {
    type Error = A::Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(name) = self.map.next_key::<String>()? else { return Ok(None) };
        if !self.known.contains(&name.as_str())
            && let Some(why) = rejection::<T>(&name, self.known)
        {
            return Err(A::Error::custom(why));
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

/// Why an unknown field is not ignored; none where it is.
fn rejection<T: Fields>(name: &str, known: &[&'static str]) -> Option<String> {
    let plain = spelling::plain(name);
    let what = spelling::shown(name).unwrap_or("A field");
    if let Some(meant) = spelling::misspelled(name, known).or_else(|| T::meant(&plain)) {
        return Some(format!("{what} is unknown; did you mean {meant}? Correct or remove it"));
    }
    let is_limit = T::LIMITS.iter().any(|limit| plain.contains(limit));
    is_limit.then(|| format!("{what} is unknown and would not limit the token; remove it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code, reason = "only read")]
    struct Outer {
        first_field: Option<u8>,
        inner: Option<Vec<Object<Inner>>>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        value: u8,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Flat {
        #[serde(flatten)]
        inner: Inner,
    }

    impl Fields for Outer {
        const LIMITS: &'static [&'static str] = &["scope"];

        fn meant(plain: &str) -> Option<&'static str> {
            (plain == "erstes").then_some("firstField")
        }
    }

    impl Fields for Inner {}

    impl Fields for Flat {}

    fn rejected(body: &str) -> Option<String> {
        let read = serde_json::from_str::<Object<Outer>>(body);
        read.err().map(|error| error.to_string().split(" at line").next().unwrap().to_owned())
    }

    #[test]
    fn unknown_fields_are_ignored_unless_another_is_meant() {
        for fine in ["{}", r#"{"x":1,"firstField":1,"x":[{"valeu":2}]}"#, r#"{"inner":[{"value":1,"y":null}]}"#] {
            assert_eq!(rejected(fine), None, "{fine}");
        }
        for (wrong, why) in [
            (r#"{"first_field":1}"#, "first_field is unknown; did you mean firstField? Correct or remove it"),
            (r#"{"Erstes":1}"#, "Erstes is unknown; did you mean firstField? Correct or remove it"),
            (r#"{"tokenScopes":[]}"#, "tokenScopes is unknown and would not limit the token; remove it"),
            (r#"{"inner":[{"value":1},{"valeu":1}]}"#, "valeu is unknown; did you mean value? Correct or remove it"),
            (r#"{"inner":[[1]]}"#, "invalid type: sequence, expected an object"),
            (r#"{"firstField":1,"firstField":1}"#, "duplicate field `firstField`"),
        ] {
            assert_eq!(rejected(wrong).as_deref(), Some(why), "{wrong}");
        }
    }

    #[test]
    fn an_object_whose_fields_are_not_known_is_read_by_no_request() {
        let read = serde_json::from_str::<Object<Flat>>(r#"{"value":1}"#);
        assert!(read.unwrap_err().to_string().starts_with("the fields of this object are not known"));
    }
}
