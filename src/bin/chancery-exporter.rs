//! The process that serves metrics. See `chancery::exporter`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chancery::exporter::main()
}
