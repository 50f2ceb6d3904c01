//! XML, as little of it as the protocols need: a strict and bounded tree for what strangers send, and a
//! writer whose output is already in exclusive canonical form for what we send. No DTD, no entities, no
//! processing instructions, no network, no files. The issuer has the writer and not the tree.

pub mod chars;
#[cfg(any(feature = "worker", feature = "auth", feature = "ctl"))]
pub mod derived;
#[cfg(any(feature = "auth", feature = "issuer", feature = "ctl"))]
pub mod detached;
#[cfg(any(feature = "worker", feature = "auth", feature = "ctl"))]
pub mod encryption;
#[cfg(any(feature = "worker", feature = "auth", feature = "ctl"))]
mod grammar;
#[cfg(any(feature = "worker", feature = "auth", feature = "ctl"))]
pub mod ids;
#[cfg(any(feature = "worker", feature = "auth", feature = "ctl"))]
pub mod key_value;
pub mod names;
#[cfg(any(feature = "worker", feature = "auth", feature = "ctl"))]
pub mod signature;
#[cfg(any(feature = "worker", feature = "auth", feature = "ctl"))]
pub mod tree;
pub mod writer;

#[cfg(any(feature = "worker", feature = "auth", feature = "ctl"))]
pub use ids::Ids;
#[cfg(any(feature = "worker", feature = "auth", feature = "ctl"))]
pub use tree::{Element, Limits, Malformed, Method, Node, NodeId, PrefixList, Tree, Uncanonical};
pub use writer::Writer;
