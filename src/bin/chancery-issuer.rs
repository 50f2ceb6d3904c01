//! `chancery-issuer`: writes and releases tokens. See `chancery::issuer`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chancery::issuer::main()
}
