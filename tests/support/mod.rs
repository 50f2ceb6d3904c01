//! What several tests need.

pub mod processes;
