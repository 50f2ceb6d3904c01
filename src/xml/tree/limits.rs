//! How large a document may be before it is looked at any further (A-00d, A-46, A-47).

/// Upper bounds; reaching one is allowed, passing it is not.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The document, octets.
    pub octets: usize,
    /// Elements within elements, the root counted.
    pub depth: usize,
    /// Elements, texts and comments together.
    pub nodes: usize,
    /// Attributes and namespace declarations of one element.
    pub attributes: usize,
    /// Namespace declarations in scope at any place, also those hidden by an inner one.
    pub declarations: usize,
    /// One attribute value or text, octets.
    pub value: usize,
    /// One namespace name, octets.
    pub uri: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            octets: 256 * 1024,
            depth: 64,
            nodes: 20_000,
            attributes: 64,
            declarations: 64,
            value: 64 * 1024,
            uri: 1024,
        }
    }
}
