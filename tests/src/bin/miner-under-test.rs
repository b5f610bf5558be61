//! The `miner` program once more, under a name that this package's tests can ask cargo for.

use std::process::ExitCode;

fn main() -> ExitCode {
    miner::cli::main()
}
