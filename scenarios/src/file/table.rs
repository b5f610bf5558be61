//! A JSON object read as an ordered table: the order of the file is kept, a key that stands there twice is
//! refused (`serde`'s maps silently keep the last).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Rows in the order of the file, keys unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table<T>(pub Vec<(String, T)>);

impl<T> Table<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TableVisitor(PhantomData))
    }
}

struct TableVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
    type Value = Table<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table<T>, A::Error> {
        let mut keys = BTreeSet::new();
        let mut rows = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value()?;
            if !keys.insert(key.clone()) {
                return Err(Error::custom(format_args!("duplicate name `{key}`")));
            }
            rows.push((key, value));
        }
        Ok(Table(rows))
    }
}

impl<T: JsonSchema> JsonSchema for Table<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Table_of_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        std::collections::BTreeMap::<String, T>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_the_order_of_the_file_and_refuses_a_second_row_of_a_name() {
        let table: Table<i64> = serde_json::from_str(r#"{"b":1,"a":2}"#).unwrap();
        assert_eq!(table, Table(vec![("b".into(), 1), ("a".into(), 2)]));
        assert_eq!(serde_json::to_string(&table).unwrap(), r#"{"b":1,"a":2}"#);
        let error = serde_json::from_str::<Table<i64>>(r#"{"b":1,"b":2}"#).unwrap_err();
        assert!(error.to_string().starts_with("duplicate name `b`"), "{error}");
    }
}
