//! Why a document was refused: for our log. A client learns none of it (R-T143).

use std::fmt;

/// What is wrong with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Larger than a limit; the limit's name.
    TooLarge(&'static str),
    /// Not UTF-8, or it says that it is not.
    Encoding,
    /// A character that XML does not allow, written out or by number.
    Character,
    /// An XML declaration that is wrong, late, or of another version.
    Declaration,
    /// A document type declaration.
    DocumentType,
    /// A processing instruction: SOAP forbids them.
    Instruction,
    /// A reference to an entity other than the five, or no reference at all.
    Reference,
    /// A start or end tag that is not one.
    Tag,
    /// Something that should be a name.
    Name,
    /// An undeclared prefix, or a declaration that may not be.
    Namespace,
    /// One attribute twice, by its name as written or by its expanded name.
    DuplicateAttribute,
    /// `]]>` in text, or `<` in an attribute.
    Text,
    /// `--` within a comment.
    Comment,
    /// Not exactly one root with everything inside it.
    Structure,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge(limit) => return write!(f, "more {limit} than allowed"),
            Self::Encoding => "not utf-8",
            Self::Character => "a character that xml does not allow",
            Self::Declaration => "a bad xml declaration",
            Self::DocumentType => "a document type declaration",
            Self::Instruction => "a processing instruction",
            Self::Reference => "a bad reference",
            Self::Tag => "a bad tag",
            Self::Name => "a bad name",
            Self::Namespace => "a bad or missing namespace declaration",
            Self::DuplicateAttribute => "a duplicate attribute",
            Self::Text => "markup in text",
            Self::Comment => "a bad comment",
            Self::Structure => "not one root element",
        })
    }
}

impl std::error::Error for Malformed {}
