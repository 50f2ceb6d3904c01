//! The process that calls the PKCS#11 module; see `chancery::signer`.

fn main() -> std::process::ExitCode {
    chancery::signer::main()
}
