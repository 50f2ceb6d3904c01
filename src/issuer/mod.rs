//! The process that writes and releases tokens. It inherits three listeners (workers, auth, signers), reads
//! its configuration and certificates, locks itself down, says ready, and loops: an order is approved,
//! prepared, recorded, signed and released, in that order and no other. It parses no XML, loads no vendor
//! code and touches no network; there is no message that makes it sign octets of somebody else's.
//!
//! `steps` holds the order of things, `office` what each message does, `serve` the loop.

mod answers;
mod ceilings;
mod clock;
mod handshake;
mod journal;
mod keys;
mod measures;
mod office;
mod quota;
mod remembered;
mod serve;
mod signers;
mod steps;
mod vouchers;

#[cfg(test)]
mod examples;

pub use serve::main;
