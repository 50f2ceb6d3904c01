//! worker

pub mod message;
pub mod mex;
