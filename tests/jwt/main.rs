//! auth as it is shipped, before JWTs that an issuer made, or that somebody would like to be one. The issuers are made
//! here; the test plays the worker.

#![cfg(all(feature = "worker", feature = "signer"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support"]
mod support {
    pub(crate) mod handshakes;
    pub(crate) mod jwt;
    #[expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod processes;
    pub(crate) mod publisher;
    pub(crate) mod refusals;
    pub(crate) mod sha1;
    #[expect(dead_code, reason = "shared with tests/signed_requests.rs, which uses all of it")]
    pub(crate) mod signed;
}

mod bearer;
mod connection;
mod fetched;
mod holder;
mod house;
