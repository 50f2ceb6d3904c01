//! XML, as little of it as the protocols need: a strict and bounded tree for what strangers send, and a
//! writer whose output is already in exclusive canonical form for what we send. No DTD, no entities, no
//! processing instructions, no network, no files. The issuer has the writer and not the tree.

pub mod chars;
pub mod names;
pub mod writer;

pub use writer::Writer;
