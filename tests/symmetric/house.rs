//! A demo with an endpoint for passwords under a MAC.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::demo::Demo;
use crate::message::{ADDRESS, Client};
use crate::support::caller::Caller;

pub(crate) const SYMMETRIC: &str = "/symmetric";
/// Where answers repeat the MAC.
pub(crate) const CONFIRMING: &str = "/confirming";

pub(crate) struct House {
    demo: Demo,
    directory: tempfile::TempDir,
    pub(crate) password: String,
    caller: Caller,
    /// What clients seal for, DER.
    certificate: Vec<u8>,
}

fn change(path: &Path, how: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, how(text)).unwrap();
}

impl House {
    pub(crate) fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Demo::start(directory.path()).stop().code(), Some(0));
        let config = directory.path().join("demo/etc");
        let endpoint = |path: &str| {
            format!(
                "[[endpoint]]\npath = \"{path}\"\ncredentials = [\"password-symmetric\"]\nencryption = true\n\
                 addresses = [\"{ADDRESS}\"]\n"
            )
        };
        let endpoint = endpoint(SYMMETRIC) + &endpoint(CONFIRMING);
        let throttle =
            "[throttle]\naccount_burst = 10000\nunwrap_burst = 10000\nuser_burst = 1000\naddress_burst = 1000\n";
        change(&config.join("auth.d/auth.toml"), |text| format!("{text}\n{throttle}{endpoint}"));
        change(&config.join("worker.d/worker.toml"), |text| {
            let kept = text.split("[[endpoint]]").next().unwrap();
            let served = |path: &str, confirms: bool| {
                format!(
                    "[[endpoint]]\npath = \"{path}\"\ncredential = \"username-symmetric\"\nencryption = true\n\
                     signature_confirmation = {confirms}\n"
                )
            };
            format!("{kept}\n{}{}", served(SYMMETRIC, false), served(CONFIRMING, true))
        });
        change(&config.join("issuer.d/issuer.toml"), |text| format!("unwraps_per_second = 1000\n{text}"));
        let demo = Demo::configured(directory.path(), |_| {});
        let password = std::fs::read_to_string(directory.path().join("demo/alice.password")).unwrap().trim().to_owned();
        let caller = Caller::trusting(&config.join("worker.d/tls.pem"));
        let certificate = CertificateDer::from_pem_file(config.join("issuer.d/unwrap-1.pem")).unwrap().to_vec();
        Self { demo, directory, password, caller, certificate }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// A client of alice's with a session key of so many octets.
    pub(crate) fn client(&self, length: usize) -> Client {
        Client::new(&self.certificate, &self.password, length)
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, String) {
        let answer = self.caller.post(self.demo.fact("address"), path, "", body);
        (answer.status, answer.body().to_owned())
    }

    #[track_caller]
    pub(crate) fn gets_a_token(&self, what: &str, message: &str) -> String {
        let (status, answer) = self.post(SYMMETRIC, message);
        assert!(status == 200, "{what}: {answer}\n{message}\n{}", self.log());
        answer
    }

    #[track_caller]
    pub(crate) fn is_refused(&self, what: &str, message: &str, code: &str) {
        let (status, answer) = self.post(SYMMETRIC, message);
        assert!(status != 200 && answer.contains(&format!(":{code}<")), "{what}: {answer}\n{message}\n{}", self.log());
    }
}
