//! A command's end of the control socket.

use std::io;
use std::path::{Path, PathBuf};

use miner_api::{Ask, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use crate::control::path::SocketAddressPath;
use crate::control::wire::{self, Line, OutgoingRequest, ResponseEnvelope};
use crate::control::{CONTROL_VERSION, ControlError, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};

/// A connection with the node that runs on this machine. Requests are answered one after another.
#[derive(Debug)]
pub struct ControlClient {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

impl ControlClient {
    /// Connects with the node whose socket is at `path`.
    ///
    /// # Errors
    /// [`ControlError::NotRunning`] if nobody listens there, or what else keeps the two apart.
    pub async fn connect(path: &Path) -> Result<Self, ControlError> {
        let not_running = || ControlError::NotRunning { path: path.to_owned() };
        let address = match SocketAddressPath::of(path) {
            Err(ControlError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(not_running());
            }
            address => address?,
        };
        let stream = UnixStream::connect(address.as_path()).await.map_err(|source| {
            let kind = source.kind();
            if kind == io::ErrorKind::NotFound || kind == io::ErrorKind::ConnectionRefused {
                not_running()
            } else if kind == io::ErrorKind::PermissionDenied {
                ControlError::NotPermitted { path: path.to_owned() }
            } else {
                ControlError::Io { action: "connect to", path: path.to_owned(), source }
            }
        })?;
        Ok(Self { stream: BufReader::new(stream), path: path.to_owned() })
    }

    /// Asks the node something and waits, however long, for its answer. If the future is dropped before,
    /// drop the client too: its next response would be the answer to this request.
    ///
    /// # Errors
    /// If the node refuses the request, goes away, or is of another version.
    pub async fn ask<A: Ask>(&mut self, ask: A) -> Result<A::Answer, ControlError> {
        let request: Request = ask.into();
        self.call(&request).await
    }

    /// [`Self::ask`], whatever the types.
    pub(super) async fn call<Request: Serialize, Response: DeserializeOwned>(
        &mut self,
        request: &Request,
    ) -> Result<Response, ControlError> {
        let malformed = |what| {
            move |error: serde_json::Error| ControlError::Malformed { what, message: error.to_string() }
        };
        let envelope = OutgoingRequest { version: CONTROL_VERSION, request };
        let mut line = serde_json::to_vec(&envelope).map_err(malformed("request"))?;
        if line.len() > REQUEST_BYTES_MAX {
            return Err(ControlError::TooLong { what: "request", limit: REQUEST_BYTES_MAX });
        }
        line.push(b'\n');
        self.stream.write_all(&line).await.map_err(|source| self.failed("write to", source))?;
        let line = match wire::read_line(&mut self.stream, RESPONSE_BYTES_MAX).await {
            Ok(Line::Whole(line)) => line,
            Ok(Line::Ended) => return Err(ControlError::NoAnswer),
            Ok(Line::TooLong) => {
                return Err(ControlError::TooLong { what: "response", limit: RESPONSE_BYTES_MAX });
            }
            Err(source) => return Err(self.failed("read from", source)),
        };
        let envelope: ResponseEnvelope = serde_json::from_slice(&line).map_err(malformed("response"))?;
        if envelope.version != CONTROL_VERSION {
            return Err(ControlError::OtherVersion { theirs: envelope.version });
        }
        match envelope.error {
            Some(error) => {
                Err(ControlError::Refused(serde_json::from_value(error).map_err(malformed("response"))?))
            }
            None => serde_json::from_value(envelope.response).map_err(malformed("response")),
        }
    }

    fn failed(&self, action: &'static str, source: io::Error) -> ControlError {
        let kind = source.kind();
        if kind == io::ErrorKind::BrokenPipe || kind == io::ErrorKind::ConnectionReset {
            ControlError::NoAnswer
        } else {
            ControlError::Io { action, path: self.path.clone(), source }
        }
    }
}
