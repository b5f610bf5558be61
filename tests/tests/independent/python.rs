//! The independent program and the Python it runs on.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Where the independent program is.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/independent/verify_chain.py");
/// The one for single proofs of the state.
const STATE_PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/independent/check_state.py");
/// The packages it needs.
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/independent/requirements.txt");
/// Names a Python that has them.
const PYTHON_VARIABLE: &str = "MIZAN_PYTHON";

/// What the program said of an export.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) stands: bool,
    pub(crate) text: String,
}

/// Has the independent program check an export.
pub(crate) fn verify(export: &serde_json::Value) -> Verdict {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    serde_json::to_writer(&file, export).expect("an export is written");
    let output = run(Command::new(python()).arg("-B").arg(PROGRAM).arg(file.path()));
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match output.status.code() {
        Some(0) => Verdict { stands: true, text },
        // What it finds it says on stdout; a traceback is a mistake of the program itself.
        Some(1) if output.stderr.is_empty() => Verdict { stands: false, text },
        code => panic!("the independent program failed with {code:?}:\n{text}"),
    }
}

/// Has the independent program check proofs of the state, one JSON document each; which of them hold.
pub(crate) fn state_proofs_that_hold(proofs: &[serde_json::Value]) -> Vec<bool> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let lines: Vec<String> = proofs.iter().map(ToString::to_string).collect();
    std::fs::write(file.path(), lines.join("\n")).expect("the proofs are written");
    let output = run(Command::new(python()).arg("-B").arg(STATE_PROGRAM).arg(file.path()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the independent program failed:\n{errors}");
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line == "holds").collect()
}

/// A Python with the packages: the one the environment names, or one of a virtual environment that is
/// made here, once.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| std::env::var_os(PYTHON_VARIABLE).map_or_else(make_environment, PathBuf::from))
}

fn make_environment() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("independent-venv");
    let (python, stamp) = (directory.join("bin").join("python"), directory.join("requirements.txt"));
    let wanted = std::fs::read_to_string(REQUIREMENTS).expect("the list of packages");
    // Held until the end: some test runners give every test a process of its own.
    let lock = File::create(directory.with_extension("lock")).expect("a lock file can be made");
    lock.lock().expect("the lock can be taken");
    if std::fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return python;
    }
    let help = format!(
        "The test of the independent verifier needs Python 3.11 or later with the packages of {REQUIREMENTS}. \
         Install python3 with its venv module and let pip reach a package index, or set {PYTHON_VARIABLE} \
         to a Python that has the packages."
    );
    let made = run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory));
    let text = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "no virtual environment could be made. {help}\n{text}");
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS]);
    let installed = run(&mut install);
    let text = String::from_utf8_lossy(&installed.stderr);
    assert!(installed.status.success(), "the packages could not be installed. {help}\n{text}");
    std::fs::write(stamp, wanted).expect("the stamp is written");
    python
}

fn run(command: &mut Command) -> Output {
    match command.output() {
        Ok(output) => output,
        Err(error) => panic!(
            "{} cannot be run ({error}). Install Python 3.11 or later, or set {PYTHON_VARIABLE} to one that \
             has the packages of {REQUIREMENTS}.",
            command.get_program().display()
        ),
    }
}
