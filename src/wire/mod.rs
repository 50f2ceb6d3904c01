//! Everything that crosses a process boundary, and who may send it.
//!
//! Each link has one enum a direction; `permit` holds one row for every variant of every enum, with the
//! state it may come in and the size it may have. A message outside its row is not an input error but a
//! violation: the receiver logs, counts, closes and answers nothing. This folder uses nothing of the rest.

pub mod bounded;
pub mod ceremony;
pub mod derivation;
pub mod evidence;
pub mod frame;
pub mod ids;
pub mod kerberos;
pub mod key;
pub mod links;
pub mod metadata;
pub mod order;
pub mod permit;
pub mod record;
pub mod reply;
pub mod snapshot;
pub mod unwrap;

pub use bounded::{List, Octets, Secret, Text};
pub use ids::{Correlation, KeyId, Millis, Peer, VoucherId};
