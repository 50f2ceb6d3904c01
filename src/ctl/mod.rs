//! ctl

pub mod check_sandbox;
