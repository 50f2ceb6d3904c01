//! The process that decides who somebody is and what he may get; `chancery::auth` is all of it.

use std::process::ExitCode;

fn main() -> ExitCode {
    chancery::auth::main()
}
