//! The process that keeps the record. See `chancery::audit`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chancery::audit::main()
}
