//! What a process needs of the kernel: channels, inherited listeners, limits, the service manager. The
//! only unsafe code of Chancery is here and in the PKCS#11 module loader, each with a SAFETY line.

#[cfg(feature = "ctl")]
pub mod attempts;
pub mod channel;
#[cfg(any(feature = "worker", feature = "auth"))]
pub mod channel_async;
#[cfg(any(feature = "signer", feature = "kerberos"))]
pub(crate) mod deadline;
#[cfg(feature = "worker")]
pub mod dial;
pub mod failpoint;
pub(crate) mod gate;
#[cfg(feature = "kerberos")]
pub mod krb5;
pub mod limits;
pub mod listen;
pub mod log;
pub mod notify;
pub mod places;
pub mod refused;
#[cfg(any(feature = "audit", feature = "kerberos"))]
pub(crate) mod signals;
pub mod spawn;
