//! Messages on a stream: a length of four bytes, big-endian, then that many bytes.
//!
//! The length is judged before anything is allocated for it, and memory grows only with bytes that came.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::transport::limits::Lane;

/// Bytes of a length.
pub(super) const LENGTH_BYTES: usize = 4;
/// Memory is taken in steps of at most this while a message comes in.
const STEP_BYTES: usize = 64 << 10;

/// How a peer broke the rules of the transport; the connection was closed for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Violation {
    /// It announced a message longer than its lane allows.
    #[error("a message of {got} bytes on the {lane} lane, at most {limit} allowed")]
    MessageTooLong {
        lane: Lane,
        /// Bytes announced.
        got: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// It began a message and did not end it in time.
    #[error("a message of {length} bytes on the {lane} lane was not sent within {seconds} s")]
    MessageTooSlow { lane: Lane, length: usize, seconds: u64 },
    /// It does not read what it is sent.
    #[error("nothing was read from the {lane} lane for {seconds} s")]
    ReadsNothing { lane: Lane, seconds: u64 },
    /// It ended a lane, which lives as long as the connection.
    #[error("the {lane} lane was ended while the connection was open")]
    LaneEnded { lane: Lane },
}

/// Why nothing more can be read.
#[derive(Debug)]
pub(super) enum ReadFailure {
    /// The peer's fault.
    Violation(Violation),
    /// The connection is gone; whoever watches it knows why.
    Lost,
}

/// A message's length as it is sent.
pub(super) fn length_prefix(message: &[u8]) -> Option<[u8; LENGTH_BYTES]> {
    u32::try_from(message.len()).ok().map(u32::to_be_bytes)
}

/// Reads the length of the next message and judges it.
pub(super) async fn read_length<R: AsyncRead + Unpin>(
    stream: &mut R,
    lane: Lane,
    limit: usize,
) -> Result<usize, ReadFailure> {
    let announced = stream.read_u32().await.map_err(|error| failure(lane, &error))?;
    match usize::try_from(announced) {
        Ok(length) if length <= limit => Ok(length),
        length => {
            let got = length.unwrap_or(usize::MAX);
            Err(ReadFailure::Violation(Violation::MessageTooLong { lane, got, limit }))
        }
    }
}

/// Reads the `length` bytes of a message.
pub(super) async fn read_body<R: AsyncRead + Unpin>(
    stream: &mut R,
    lane: Lane,
    length: usize,
) -> Result<Bytes, ReadFailure> {
    let mut body = BytesMut::new();
    while body.len() < length {
        let missing = length - body.len();
        body.reserve(missing.min(STEP_BYTES));
        let mut rest = (&mut *stream).take(u64::try_from(missing).unwrap_or(u64::MAX));
        if rest.read_buf(&mut body).await.map_err(|error| failure(lane, &error))? == 0 {
            return Err(ReadFailure::Violation(Violation::LaneEnded { lane }));
        }
    }
    Ok(body.freeze())
}

/// A stream that ends or is reset while the connection lives is the peer's doing.
fn failure(lane: Lane, error: &std::io::Error) -> ReadFailure {
    if matches!(error.kind(), std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset) {
        ReadFailure::Violation(Violation::LaneEnded { lane })
    } else {
        ReadFailure::Lost
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn read(mut stream: &[u8], limit: usize) -> Result<Bytes, Violation> {
        let outcome = async {
            let length = read_length(&mut stream, Lane::Bulk, limit).await?;
            read_body(&mut stream, Lane::Bulk, length).await
        };
        outcome.await.map_err(|failure| match failure {
            ReadFailure::Violation(violation) => violation,
            ReadFailure::Lost => panic!("a slice is never lost"),
        })
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn the_length_is_four_bytes_big_endian() {
        assert_eq!(length_prefix(&[0; 258]), Some([0, 0, 1, 2]));
        assert_eq!(block_on(read(&[0, 0, 0, 2, b'h', b'i', b'?'], 2)), Ok(Bytes::from_static(b"hi")));
        assert_eq!(block_on(read(&[0, 0, 0, 0], 2)), Ok(Bytes::new()));
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_bytes_come() {
        let violation = Violation::MessageTooLong { lane: Lane::Bulk, got: 0xffff_ffff, limit: 2 };
        assert_eq!(block_on(read(&[0xff; 4], 2)), Err(violation));
    }

    #[test]
    fn a_stream_that_ends_within_a_message_is_a_violation() {
        let violation = Err(Violation::LaneEnded { lane: Lane::Bulk });
        assert_eq!(block_on(read(&[0, 0], 9)), violation);
        assert_eq!(block_on(read(&[0, 0, 0, 2, b'h'], 9)), violation);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_message_comes_out_as_it_went_in(message in proptest::collection::vec(any::<u8>(), 0..200_000)) {
            let mut stream = length_prefix(&message).expect("short").to_vec();
            stream.extend_from_slice(&message);
            prop_assert_eq!(block_on(read(&stream, message.len())), Ok(Bytes::from(message)));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(stream in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(message) = block_on(read(&stream, 32)) {
                prop_assert!(message.len() <= 32);
            }
        }
    }
}
