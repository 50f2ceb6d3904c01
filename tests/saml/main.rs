//! auth as it is shipped, before SAML assertions that a partner made, or that somebody would like to be one. The
//! partners are made here; the test plays the worker.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support"]
mod support {
    pub(crate) mod asserted;
    pub(crate) mod handshakes;
    #[expect(dead_code, reason = "shared with tests/keyed_requests.rs, which uses all of it")]
    pub(crate) mod keyed;
    #[expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod opening;
    pub(crate) mod processes;
    pub(crate) mod refusals;
    pub(crate) mod sealing;
    pub(crate) mod sha1;
    #[expect(dead_code, reason = "shared with tests/signed_requests.rs, which uses all of it")]
    pub(crate) mod signed;
}

mod bearer;
mod connection;
mod holder;
mod house;
mod sealed;
mod sha1;
mod shared;
mod value;
mod vouched;
