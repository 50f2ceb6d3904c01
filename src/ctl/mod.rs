//! ctl

pub mod audit;
