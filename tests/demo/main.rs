//! The whole service as anybody starts it: `chancery run --demo`, the real processes, a real token.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

#[path = "../support/asserted.rs"]
#[expect(dead_code, reason = "shared with tests/saml, which uses all of it")]
mod asserted;
mod assertions;
#[path = "../support/caller.rs"]
#[expect(dead_code, reason = "shared with tests/symmetric, which uses all of it")]
mod caller;
mod first_look;
mod interop;
mod jwt;
#[path = "../support/jwt.rs"]
#[expect(dead_code, reason = "shared with tests/jwt, which uses all of it")]
mod jwts;
#[path = "../support/kdc.rs"]
#[expect(dead_code, reason = "shared with tests/kerberos, which uses all of it")]
mod kdc;
mod kerberos;
#[path = "../support/keyed.rs"]
#[expect(dead_code, reason = "shared with tests/keyed_requests.rs, which uses all of it")]
mod keyed;
#[path = "../support/sealing.rs"]
#[expect(dead_code, reason = "shared with tests/sealed_requests.rs, which uses all of it")]
mod sealing;
mod service;
mod shared;
#[path = "../support/shared.rs"]
mod shared_keys;
#[path = "../support/signed.rs"]
#[expect(dead_code, reason = "shared with tests/signed_requests.rs, which uses all of it")]
mod signed;
mod toolkits;
