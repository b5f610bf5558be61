//! The node's end of the control socket.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use miner_api::RequestError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::control::path::SocketAddressPath;
use crate::control::wire::{self, Line, Outcome, OutgoingResponse, RequestEnvelope};
use crate::control::{CONTROL_VERSION, ControlError, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};

/// Commands connected at once; more wait.
const CONNECTIONS_MAX: usize = 16;
/// Requests that wait for the node; more wait in their sockets.
const REQUESTS_WAITING: usize = 16;
/// A connection on which nothing is asked, or an answer is not read, for this long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long commands are not served after the socket failed to accept one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a request comes to.
pub type Answered<Response> = Result<Response, RequestError>;
/// A request, with where its answer goes. Dropping that sender tells the command that the node shuts down.
pub type Asked<Request, Response> = (Request, oneshot::Sender<Answered<Response>>);

/// A control socket that is listened on. Dropping it closes every connection and removes the socket.
#[derive(Debug)]
pub struct ControlServer<Request, Response> {
    requests: mpsc::Receiver<Asked<Request, Response>>,
    path: PathBuf,
    socket: FileId,
    accepting: AbortHandle,
    /// Held for as long as the node runs: tells a stale socket from one in use.
    _lock: File,
}

/// Which file it is, whatever its name.
#[derive(Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

impl<Request, Response> ControlServer<Request, Response>
where
    Request: DeserializeOwned + Send + 'static,
    Response: Serialize + Send + 'static,
{
    /// Listens at `path`, whose directory must exist; a file `<path>.lock` is left beside it. A socket left
    /// by a node that was killed is replaced. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If a node is already running there, or the socket cannot be made.
    pub fn bind(path: &Path) -> Result<Self, ControlError> {
        Self::bind_with(path, IDLE_TIMEOUT)
    }

    /// [`Self::bind`], with this patience for commands that neither ask nor read.
    pub(super) fn bind_with(path: &Path, patience: Duration) -> Result<Self, ControlError> {
        let address = SocketAddressPath::of(path)?;
        let lock = lock(path)?;
        remove_stale(path, &address)?;
        let failed = |action| move |source| ControlError::Io { action, path: path.to_owned(), source };
        let listener = UnixListener::bind(address.as_path()).map_err(failed("listen on"))?;
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed("protect"))?;
        let metadata = fs::symlink_metadata(path).map_err(failed("inspect"))?;
        let (sender, requests) = mpsc::channel(REQUESTS_WAITING);
        let accepting = tokio::spawn(accept(listener, metadata.uid(), sender, patience)).abort_handle();
        let socket = FileId::of(&metadata);
        Ok(Self { requests, path: path.to_owned(), socket, accepting, _lock: lock })
    }

    /// The next request, as soon as there is one, with where its response goes; `None` once the socket fails.
    /// Dropping the sender tells the command that the node shuts down. Nothing is lost if the future is
    /// dropped.
    pub async fn recv(&mut self) -> Option<Asked<Request, Response>> {
        self.requests.recv().await
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl<Request, Response> Drop for ControlServer<Request, Response> {
    fn drop(&mut self) {
        self.accepting.abort();
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| FileId::of(&found) == self.socket);
        // A socket that cannot be removed is replaced by the next node, which sees that it is stale.
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the control socket stays behind");
        }
    }
}

/// Takes the lock that a running node holds. It goes with the process, however that ends.
fn lock(path: &Path) -> Result<File, ControlError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let failed = |source| ControlError::Io { action: "lock", path: PathBuf::from(&name), source };
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ControlError::AlreadyRunning { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Makes room for the socket, if what is there is a socket nobody listens on.
fn remove_stale(path: &Path, address: &SocketAddressPath) -> Result<(), ControlError> {
    let failed = |action| move |source| ControlError::Io { action, path: path.to_owned(), source };
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(failed("inspect"))?,
    };
    if !found.file_type().is_socket() {
        return Err(ControlError::NotASocket { path: path.to_owned() });
    }
    // Whoever listens without holding the lock is no node of ours, but is left in peace all the same.
    match std::os::unix::net::UnixStream::connect(address.as_path()) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("replace"))
        }
        Ok(_) => Err(ControlError::AlreadyRunning { path: path.to_owned() }),
        Err(source) => Err(failed("connect to")(source)),
    }
}

/// Serves commands of the node's own user (and of root) until aborted.
async fn accept<Request, Response>(
    listener: UnixListener,
    owner: u32,
    requests: mpsc::Sender<Asked<Request, Response>>,
    patience: Duration,
) where
    Request: DeserializeOwned + Send + 'static,
    Response: Serialize + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    while let Ok(slot) = slots.clone().acquire_owned().await {
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, as a rule: they will be fewer.
                tracing::warn!(%error, "the control socket fails; it is tried again");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Between its making and its protection the socket had the process's default permissions.
        let trusted = stream.peer_cred().is_ok_and(|peer| [owner, 0].contains(&peer.uid()));
        if trusted {
            let requests = requests.clone();
            connections.spawn(async move {
                if let Err(error) = serve(stream, requests, patience).await {
                    tracing::debug!(%error, "control connection failed");
                }
                drop(slot);
            });
        }
    }
}

/// Serves one command until it has asked everything.
async fn serve<Request: DeserializeOwned, Response: Serialize>(
    stream: UnixStream,
    requests: mpsc::Sender<Asked<Request, Response>>,
    patience: Duration,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Ok(line) = timeout(patience, wire::read_line(&mut stream, REQUEST_BYTES_MAX)).await {
        let (outcome, more) = match line? {
            Line::Ended => return Ok(()),
            Line::Whole(line) => (ask(&line, &requests).await, true),
            Line::TooLong => (Outcome::Error(RequestError::TooLong { limit: REQUEST_BYTES_MAX }), false),
        };
        // Whoever does not read holds a place that others wait for.
        timeout(patience, stream.write_all(&response_line(outcome))).await??;
        if !more {
            return Ok(());
        }
    }
    Ok(())
}

/// Has the node answer a request.
async fn ask<Request: DeserializeOwned, Response>(
    line: &[u8],
    requests: &mpsc::Sender<Asked<Request, Response>>,
) -> Outcome<Response> {
    let request = match parse(line) {
        Ok(request) => request,
        Err(error) => return Outcome::Error(error),
    };
    let (sender, response) = oneshot::channel();
    let shutting_down = || Outcome::Error(RequestError::ShuttingDown);
    if requests.send((request, sender)).await.is_err() {
        return shutting_down();
    }
    match response.await {
        Ok(Ok(response)) => Outcome::Response(response),
        Ok(Err(error)) => Outcome::Error(error),
        Err(_) => shutting_down(),
    }
}

fn parse<Request: DeserializeOwned>(line: &[u8]) -> Result<Request, RequestError> {
    let malformed = |error: serde_json::Error| RequestError::Malformed { message: error.to_string() };
    let envelope: RequestEnvelope = serde_json::from_slice(line).map_err(malformed)?;
    let (got, expected) = (envelope.version, CONTROL_VERSION);
    if got != expected {
        return Err(RequestError::OtherVersion { got, expected });
    }
    serde_json::from_value(envelope.request).map_err(malformed)
}

/// The line for an outcome; one that cannot be written becomes an error that says so.
fn response_line<Response: Serialize>(outcome: Outcome<Response>) -> Vec<u8> {
    let written = serde_json::to_vec(&OutgoingResponse { version: CONTROL_VERSION, outcome });
    let error = match written {
        Ok(mut line) if line.len() <= RESPONSE_BYTES_MAX => {
            line.push(b'\n');
            return line;
        }
        Ok(line) => RequestError::AnswerTooLong { got: line.len(), limit: RESPONSE_BYTES_MAX },
        Err(error) => RequestError::Unwritable { message: error.to_string() },
    };
    let outcome = Outcome::<()>::Error(error);
    let mut line =
        serde_json::to_vec(&OutgoingResponse { version: CONTROL_VERSION, outcome }).unwrap_or_default();
    line.push(b'\n');
    line
}
