//! Type definitions of the metadata document.

use crate::config::worker::{Metadata, Worker};

/// The document.
#[must_use]
pub fn document(_: &Worker, _: &Metadata) -> Vec<u8> {
    b"<definitions/>".to_vec()
}
