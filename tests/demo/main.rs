//! The whole service as anybody starts it: `chancery run --demo`, the real processes, a real token.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

mod first_look;
mod interop;
mod service;
mod toolkits;
