//! Reading sequences of no more elements than there may be. Where an element takes far more memory than bytes, a limit of
//! bytes alone would let a small message fill the memory before anything it says is checked.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads a sequence, and refuses it at its first element above `most`.
///
/// # Errors
/// If there are more elements, or one of them is malformed.
pub fn at_most<'de, D, T>(most: usize, deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(AtMost { most, elements: PhantomData })
}

struct AtMost<T> {
    most: usize,
    elements: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtMost<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a sequence of at most {}", self.most)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
        let mut read = Vec::new();
        while let Some(element) = sequence.next_element()? {
            if read.len() >= self.most {
                return Err(A::Error::invalid_length(read.len() + 1, &self));
            }
            read.push(element);
        }
        Ok(read)
    }
}
