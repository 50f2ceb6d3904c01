//! The process that keeps the record. It inherits its two listeners, reads its configuration, opens the
//! record, locks itself down, says ready, and loops: everything that waits on all channels is one batch,
//! written once, synced once, and only then acknowledged. It decides nothing, and never rewrites what it
//! acknowledged.
//!
//! `format` tells what the files hold, `record` writes them, `recover` brings them in order at start,
//! `reader` and `verify` are for everybody who only looks.

pub mod files;
pub mod format;
pub mod reader;
pub mod verify;

#[cfg(feature = "audit")]
mod peers;
#[cfg(feature = "audit")]
pub mod record;
#[cfg(feature = "audit")]
mod recover;
#[cfg(feature = "audit")]
mod serve;

#[cfg(feature = "audit")]
pub use serve::main;
