//! Lines of limited length and the envelope in them.

use miner_api::RequestError;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// A request as read. The content is judged only once the version is known to be ours.
#[derive(Debug, Deserialize)]
pub(super) struct RequestEnvelope {
    pub(super) version: u32,
    #[serde(default)]
    pub(super) request: serde_json::Value,
}

/// A request as written.
#[derive(Debug, Serialize)]
pub(super) struct OutgoingRequest<'a, Request> {
    pub(super) version: u32,
    pub(super) request: &'a Request,
}

/// A response as read. The content is judged only once the version is known to be ours.
#[derive(Debug, Deserialize)]
pub(super) struct ResponseEnvelope {
    pub(super) version: u32,
    #[serde(default)]
    pub(super) response: serde_json::Value,
    pub(super) error: Option<serde_json::Value>,
}

/// A response as written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome<Response> {
    Response(Response),
    Error(RequestError),
}

/// A response with its version.
#[derive(Debug, Serialize)]
pub(super) struct OutgoingResponse<Response> {
    pub(super) version: u32,
    #[serde(flatten)]
    pub(super) outcome: Outcome<Response>,
}

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A whole line, without its end.
    Whole(Vec<u8>),
    /// More than the limit; the rest has not been read.
    TooLong,
    /// The other end is gone, be it within a line.
    Ended,
}

/// Reads one line of at most `limit` bytes.
pub(super) async fn read_line<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    limit: usize,
) -> std::io::Result<Line> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut line = Vec::new();
    reader.take(most).read_until(b'\n', &mut line).await?;
    Ok(match line.pop() {
        Some(b'\n') => Line::Whole(line),
        Some(_) if line.len() == limit => Line::TooLong,
        Some(_) | None => Line::Ended,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_up_to_the_limit_are_read_and_longer_ones_are_not() {
        let mut reader: &[u8] = b"four\n\nfiver\n";
        assert_eq!(read_line(&mut reader, 4).await.unwrap(), Line::Whole(b"four".to_vec()));
        assert_eq!(read_line(&mut reader, 4).await.unwrap(), Line::Whole(Vec::new()));
        assert_eq!(read_line(&mut reader, 4).await.unwrap(), Line::TooLong);
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_none() {
        let mut reader: &[u8] = b"abc";
        assert_eq!(read_line(&mut reader, 4).await.unwrap(), Line::Ended);
        assert_eq!(read_line(&mut reader, 4).await.unwrap(), Line::Ended);
    }

    #[test]
    fn responses_are_written_as_documented() {
        let write = |outcome| serde_json::to_string(&OutgoingResponse { version: 1, outcome }).unwrap();
        assert_eq!(write(Outcome::Response(7)), r#"{"version":1,"response":7}"#);
        let error = RequestError::TooLong { limit: 9 };
        assert_eq!(write(Outcome::Error(error)), r#"{"version":1,"error":{"kind":"too_long","limit":9}}"#);
    }
}
