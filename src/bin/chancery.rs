//! The command line.

fn main() -> std::process::ExitCode {
    chancery::ctl::main()
}
