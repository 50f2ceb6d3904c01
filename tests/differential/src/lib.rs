//! Documents made up from a number, and what four implementations make of each: ours, libxml2, uppsala with
//! bergshamra-c14n, and xmloxide with xml-sec. Two parsers that read one document differently are how signatures
//! are got around, so a difference is a failure, unless a table names it and says why.

pub mod documents;
pub mod judges;
