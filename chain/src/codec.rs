//! The canonical byte form: postcard, with every other spelling of the same value refused.
//!
//! postcard decodes trailing bytes, overlong integers and unsorted maps; a message that can be spelled
//! two ways has two hashes. So decoding insists that encoding the result gives the very same bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are not a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// More bytes than the kind of message may have.
    #[error("{got} bytes, at most {expected} allowed")]
    TooLarge {
        /// Bytes received.
        got: usize,
        /// Bytes allowed.
        expected: usize,
    },
    /// The bytes end early or hold an impossible value.
    #[error("malformed bytes: {0}")]
    Malformed(String),
    /// The bytes decode, but are not how this value is written.
    #[error("not the canonical encoding of its value ({got} bytes, canonical has {expected})")]
    NotCanonical {
        /// Bytes received.
        got: usize,
        /// Bytes of the canonical form.
        expected: usize,
    },
}

/// The canonical bytes of a value. Our own types always encode: their maps and sequences have known lengths.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    #[expect(
        clippy::expect_used,
        reason = "encoding to a growing buffer fails only for unsized sequences, which no type of ours has"
    )]
    postcard::to_stdvec(value).expect("a sized value encodes")
}

/// The number of its canonical bytes, found without writing them.
pub fn encoded_len<T: Serialize>(value: &T) -> usize {
    #[expect(clippy::expect_used, reason = "as in `encode`, and counting runs out of no room")]
    postcard::experimental::serialized_size(value).expect("a sized value encodes")
}

/// The value whose canonical encoding is exactly `bytes`.
///
/// # Errors
/// If there are more than `limit` bytes, they are malformed, or they are not canonical.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLarge { got: bytes.len(), expected: limit });
    }
    let value: T = postcard::from_bytes(bytes).map_err(|error| CodecError::Malformed(error.to_string()))?;
    let canonical = encode(&value);
    if canonical == bytes {
        Ok(value)
    } else {
        Err(CodecError::NotCanonical { got: bytes.len(), expected: canonical.len() })
    }
}
