//! The process that has tickets accepted by MIT Kerberos. See `chancery::kerberos`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chancery::kerberos::main()
}
