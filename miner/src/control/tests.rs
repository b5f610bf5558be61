//! A node and commands on real sockets in a temporary directory.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::*;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Question {
    Double(u64),
    Repeat { text: String, times: usize },
    Silence,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Number(u64),
    Text(String),
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    (directory, path)
}

type Server = ControlServer<Question, Answer>;

/// A node that answers until it is dropped.
struct Node {
    task: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    /// Returns once the server is dropped, too.
    async fn stop(mut self) {
        self.task.abort();
        (&mut self.task).await.expect_err("it would answer for ever");
    }
}

fn node(path: &Path) -> Node {
    answering(Server::bind(path).unwrap())
}

fn answering(mut server: Server) -> Node {
    let task = tokio::spawn(async move {
        while let Some((request, response)) = server.recv().await {
            let answer = match request {
                Question::Double(number) => Answer::Number(2 * number),
                Question::Repeat { text, times } => Answer::Text(text.repeat(times)),
                Question::Silence => continue,
            };
            response.send(Ok(answer)).expect("the command waits");
        }
    });
    Node { task }
}

async fn double(client: &mut ControlClient, number: u64) -> Result<Answer, ControlError> {
    client.call(&Question::Double(number)).await
}

/// Sends a line as it is and returns the line that comes back.
async fn raw(path: &Path, line: &str) -> String {
    let mut stream = BufReader::new(UnixStream::connect(path).await.unwrap());
    stream.write_all(line.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn requests_are_answered_one_after_another_and_for_several_commands() {
    let (_directory, path) = place();
    let _node = node(&path);
    let mut clients =
        [ControlClient::connect(&path).await.unwrap(), ControlClient::connect(&path).await.unwrap()];
    for number in 0..3 {
        for client in &mut clients {
            assert_eq!(double(client, number).await.unwrap(), Answer::Number(2 * number));
        }
    }
}

#[tokio::test]
async fn the_lines_are_as_documented() {
    let (_directory, path) = place();
    let _node = node(&path);
    let answer = raw(&path, "{\"version\":3,\"request\":{\"double\":21}}\n").await;
    assert_eq!(answer, "{\"version\":3,\"response\":{\"number\":42}}\n");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_and_the_next_one_is_served() {
    let (_directory, path) = place();
    let _node = node(&path);
    let mut client = ControlClient::connect(&path).await.unwrap();
    let error = client.call::<_, Answer>(&"triple").await.unwrap_err().to_string();
    assert!(error.contains("unknown variant `triple`, expected one of `double`"), "{error}");
    assert_eq!(double(&mut client, 4).await.unwrap(), Answer::Number(8));

    let error = raw(&path, "{\"version\":1,\"request\":{\"no\":\"idea\"}}\n").await;
    assert!(error.contains("\"got\":1,\"expected\":3"), "{error}");
    let error = raw(&path, "hello\n").await;
    assert!(error.starts_with("{\"version\":3,\"error\":"), "{error}");
}

#[tokio::test]
async fn too_long_a_request_or_response_is_refused() {
    let (_directory, path) = place();
    let _node = node(&path);
    let mut client = ControlClient::connect(&path).await.unwrap();
    let repeat = |length: usize, times| Question::Repeat { text: "x".repeat(length), times };
    let error = client.call::<_, Answer>(&repeat(REQUEST_BYTES_MAX, 1)).await.unwrap_err().to_string();
    assert_eq!(error, "the request has more than the 4194304 bytes allowed");
    let error = client.call::<_, Answer>(&repeat(1024, 16 * 1024)).await.unwrap_err().to_string();
    assert!(error.contains("at most 16777216 allowed"), "{error}");
    let longest = client.call::<_, Answer>(&repeat(1024, 16 * 1024 - 1)).await.unwrap();
    assert_eq!(longest, Answer::Text("x".repeat(16 * 1024 * 1024 - 1024)));
    let error = raw(&path, &"x".repeat(REQUEST_BYTES_MAX + 1)).await;
    assert_eq!(error, "{\"version\":3,\"error\":{\"kind\":\"too_long\",\"limit\":4194304}}\n");
}

#[tokio::test]
async fn a_request_the_node_drops_and_a_node_that_goes_away_are_named() {
    let (_directory, path) = place();
    let node = node(&path);
    let mut client = ControlClient::connect(&path).await.unwrap();
    let error = client.call::<_, Answer>(&Question::Silence).await.unwrap_err().to_string();
    assert_eq!(error, "the node refuses the request: the node is shutting down");
    node.stop().await;
    let error = double(&mut client, 1).await.unwrap_err().to_string();
    assert_eq!(error, "the node went away without an answer: it may be shutting down");
}

#[tokio::test]
async fn no_node_is_said_with_what_to_do_and_the_socket_goes_with_the_node() {
    let (_directory, path) = place();
    let nobody = |error: ControlError| error.to_string().contains("start it with `miner run`");
    assert!(nobody(ControlClient::connect(&path).await.unwrap_err()));
    node(&path).stop().await;
    assert!(!path.exists());
    assert!(nobody(ControlClient::connect(&path).await.unwrap_err()));
    assert!(nobody(ControlClient::connect(&path.join("missing/control.sock")).await.unwrap_err()));
}

#[tokio::test]
async fn a_second_node_is_refused_and_the_first_keeps_its_socket() {
    let (_directory, path) = place();
    let _node = node(&path);
    let error = Server::bind(&path).unwrap_err().to_string();
    assert!(error.starts_with("a node is already running here"), "{error}");
    let mut client = ControlClient::connect(&path).await.unwrap();
    assert_eq!(double(&mut client, 5).await.unwrap(), Answer::Number(10));
}

#[tokio::test]
async fn a_socket_left_by_a_killed_node_is_replaced() {
    let (_directory, path) = place();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let _node = node(&path);
    let mut client = ControlClient::connect(&path).await.unwrap();
    assert_eq!(double(&mut client, 6).await.unwrap(), Answer::Number(12));
}

#[tokio::test]
async fn a_socket_that_somebody_else_listens_on_and_a_file_in_the_way_are_left_alone() {
    let (_directory, path) = place();
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let error = Server::bind(&path).unwrap_err().to_string();
    assert!(error.contains("already running"), "{error}");
    drop(listener);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "precious").unwrap();
    let error = Server::bind(&path).unwrap_err().to_string();
    assert!(error.contains("is no socket; move it elsewhere"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn the_socket_is_for_its_owner_alone() {
    let (_directory, path) = place();
    let _node = node(&path);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_data_directory_may_be_deeper_than_a_socket_address_is_long() {
    let (directory, _) = place();
    let deep = directory.path().join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&deep).unwrap();
    let path = deep.join("control.sock");
    let node = node(&path);
    let mut client = ControlClient::connect(&path).await.unwrap();
    assert_eq!(double(&mut client, 7).await.unwrap(), Answer::Number(14));
    node.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn commands_that_never_read_their_answers_keep_nobody_out_for_long() {
    let (_directory, path) = place();
    let _node = answering(Server::bind_with(&path, Duration::from_millis(50)).unwrap());
    let mut hogs = Vec::new();
    for _ in 0..16 {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let ask = "{\"version\":3,\"request\":{\"repeat\":{\"text\":\"xxxx\",\"times\":1000000}}}\n";
        stream.write_all(ask.as_bytes()).await.unwrap();
        // Its answer has begun to arrive, and the rest of it never leaves the node.
        stream.readable().await.unwrap();
        hogs.push(stream);
    }
    let served = tokio::time::timeout(Duration::from_secs(20), async {
        let mut client = ControlClient::connect(&path).await.unwrap();
        double(&mut client, 8).await.unwrap()
    });
    assert_eq!(served.await, Ok(Answer::Number(16)));
}
