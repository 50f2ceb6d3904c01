//! The process clients talk to; see `chancery::worker`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chancery::worker::main()
}
