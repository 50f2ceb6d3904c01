//! Chancery, a hardware-backed Security Token Service. A folder is a process or a subject:
//!
//! | folder | what it is |
//! |---|---|
//! | `wire` | everything that crosses a process boundary, and who may send it |
//! | `xml` | the bounded tree, canonicalisation, what a signature says, the canonical writer |
//! | `jose` | what a JWT and its header say, as values |
//! | `negotiate` | what a token of HTTP Negotiate, a binary token and an AP-REQ say, as values |
//! | `trust` | what elements of WS-Trust and WS-Security say, as values |
//! | `token` | values to octets: SAML 2.0, SAML 1.1, their signatures |
//! | `worker` | the process clients talk to |
//! | `auth` | the process that decides who somebody is and what he may get |
//! | `issuer` | the process that writes and releases tokens |
//! | `signer` | the process that calls the PKCS#11 module |
//! | `audit` | the process that keeps the record |
//! | `kerberos` | the process that has tickets accepted by MIT Kerberos |
//! | `exporter` | the process that serves metrics |
//! | `ctl` | the command line, `chancery` |
//! | `config` | configuration: schemas and checks |
//! | `sandbox` | what a process gives up before it reads a stranger's octets |
//! | `sys` | sockets, process limits, secrets: the unsafe code |
//!
//! `ARCHITECTURE.md` tells how they fit together.

pub mod config;
pub mod metrics;
pub mod sandbox;
pub mod sys;
pub mod wire;

#[cfg(any(feature = "audit", feature = "ctl"))]
pub mod audit;
#[cfg(feature = "auth")]
pub mod auth;
#[cfg(feature = "ctl")]
pub mod ctl;
#[cfg(feature = "exporter")]
pub mod exporter;
#[cfg(feature = "issuer")]
pub mod issuer;
#[cfg(any(feature = "worker", feature = "auth", feature = "ctl"))]
pub mod jose;
#[cfg(feature = "kerberos")]
pub mod kerberos;
#[cfg(any(feature = "auth", feature = "kerberos"))]
pub mod negotiate;
#[cfg(any(feature = "auth", feature = "ctl"))]
pub mod reason;
#[cfg(feature = "signer")]
pub mod signer;
#[cfg(any(feature = "issuer", feature = "ctl"))]
pub mod token;
#[cfg(any(feature = "worker", feature = "auth", feature = "ctl"))]
pub mod trust;
#[cfg(feature = "worker")]
pub mod worker;
pub mod xml;
