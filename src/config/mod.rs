//! Configuration. Each process owns one directory of TOML files and a schema here; unknown keys are
//! refused, units are in names, and an error shows file, line and key.

pub mod audit;
#[cfg(any(feature = "issuer", feature = "ctl"))]
pub mod issuer;
pub mod kerberos;
pub mod load;
pub mod profile;
pub mod signer;
#[cfg(any(feature = "worker", feature = "ctl"))]
pub mod worker;

#[cfg(any(feature = "auth", feature = "ctl"))]
pub mod auth;
pub mod beneath;
