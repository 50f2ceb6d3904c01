//! auth and kerberos as they are shipped, before tickets of a real KDC, and what somebody would like to be one. The
//! test plays the worker, and in the end the processes that auth takes the word of.

#![cfg(all(feature = "auth", feature = "kerberos"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support"]
mod support {
    #[expect(dead_code, reason = "shared with the other tests of Kerberos")]
    pub(crate) mod kdc;
    #[expect(dead_code, reason = "shared with tests/keyed_requests.rs, which uses all of it")]
    pub(crate) mod keyed;
    #[expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod processes;
    pub(crate) mod refusals;
    #[expect(dead_code, reason = "shared with tests/saml, which uses more of it")]
    pub(crate) mod signed;
}

mod binary;
mod endorsed;
mod house;
mod processes;
mod refused;
mod tickets;
