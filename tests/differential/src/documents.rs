//! Documents, each made from a number: small, and full of what canonicalisation turns on. Prefixes are declared,
//! redeclared and taken back, attributes sort by names that are not their prefixes, values hold every character
//! that is escaped. A second kind has an octet or a piece of it changed, and need not be XML any more.

/// Where the numbers come from: the same ones for the same seed, everywhere (SplitMix64).
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// Those that follow a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or_default()
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// The attribute that says from which element on a document is canonicalised.
pub const APEX: &str = "apex";
/// The attribute of an element that is left out with all it holds.
pub const GONE: &str = "gone";

const PREFIXES: [&str; 5] = ["", "a", "b", "c", "long-prefix.1"];
const URIS: [&str; 6] = ["urn:1", "urn:2", "urn:a", "http://example.org/", "http://example.org/?q=1&amp;r=2", "urn:zz"];
const NAMES: [&str; 8] = ["e", "E", "x1", "Body", "z-z", "\u{E4}", "\u{FF21}", "\u{10400}"];
const XML: [&str; 6] = ["lang='en'", "lang=''", "space='preserve'", "space='default'", "id='i'", "base='http://b/'"];
const TEXTS: [&str; 16] = [
    "t",
    " ",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "&lt;",
    "&gt;",
    "&amp;",
    "&quot;'\"",
    "&#13;",
    "&#x9;&#10;",
    "\u{E9}\u{1F511}",
    "]]&gt;",
    "<![CDATA[<&>]]>",
    "<![CDATA[]]>",
];
const VALUES: [&str; 12] = [
    "",
    "v",
    " v  w ",
    "\n\t\r",
    "\r\n",
    "&#9;&#10;&#13;",
    "&lt;&amp;&quot;&apos;>",
    "&#x20;&#x10FFFF;",
    "\u{85}\u{2028}",
    "\u{E9}",
    "&#38;",
    "1",
];

struct Maker<'n> {
    numbers: &'n mut Numbers,
    out: String,
    /// What is declared, innermost last.
    scope: Vec<(&'static str, &'static str)>,
    elements: usize,
    apex: usize,
    gone: usize,
}

/// A document that every parser with namespaces must read.
#[must_use]
pub fn good(numbers: &mut Numbers) -> String {
    let apex = if numbers.once_in(3) { 0 } else { numbers.below(6) };
    let gone = numbers.below(24);
    let mut maker = Maker { numbers, out: String::new(), scope: Vec::new(), elements: 0, apex, gone };
    if maker.numbers.once_in(4) {
        maker.out += maker.numbers.one(&["<?xml version='1.0'?>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n"]);
    }
    if maker.numbers.once_in(8) {
        maker.out += "<!-- before -->\n";
    }
    maker.element(0);
    if maker.numbers.once_in(8) {
        maker.out += "\n<!-- after -->";
    }
    maker.out
}

impl Maker<'_> {
    fn element(&mut self, depth: usize) {
        let place = self.elements;
        self.elements += 1;
        let outer = self.scope.len();
        let mut tag = String::new();
        for prefix in PREFIXES {
            if self.numbers.once_in(4) {
                let taken_back = prefix.is_empty() && self.numbers.once_in(3);
                let uri = if taken_back { "" } else { self.numbers.one(&URIS) };
                self.scope.push((prefix, uri));
                let colon = if prefix.is_empty() { "" } else { ":" };
                tag += &format!("{}xmlns{colon}{prefix}{}", self.space(), self.quoted(uri));
            }
        }
        let name = format!("{}{}", self.prefix(), self.numbers.one(&NAMES));
        let mut used: Vec<(&str, &str)> = Vec::new();
        for _ in 0..self.numbers.below(4) {
            let prefix = self.prefix();
            let local = self.numbers.one(&NAMES);
            let uri = self.uri(prefix.trim_end_matches(':'));
            if !used.contains(&(uri, local)) {
                used.push((uri, local));
                let value = self.numbers.one(&VALUES);
                tag += &format!("{}{prefix}{local}{}", self.space(), self.quoted(value));
            }
        }
        if self.numbers.once_in(6) {
            tag += &format!("{}xml:{}", self.space(), self.numbers.one(&XML));
        }
        // Every document has an apex, if it is its root.
        if place == self.apex {
            tag += &format!(" {APEX}=''");
        } else if place == self.gone {
            tag += &format!(" {GONE}=''");
        }
        let children = if depth == 5 { 0 } else { self.numbers.below(5) };
        if children == 0 && self.numbers.once_in(2) {
            self.out += &format!("<{name}{tag}{}/>", if self.numbers.once_in(3) { " " } else { "" });
        } else {
            self.out += &format!("<{name}{tag}>");
            for _ in 0..children {
                match self.numbers.below(5) {
                    0 => self.out += "<!-- c\r\n-->",
                    1 | 2 => self.out += self.numbers.one(&TEXTS),
                    _ => self.element(depth + 1),
                }
            }
            self.out += &format!("</{name}{}>", if self.numbers.once_in(6) { "\n" } else { "" });
        }
        self.scope.truncate(outer);
    }

    fn uri(&self, prefix: &str) -> &'static str {
        let declared = self.scope.iter().rev().find(|(known, _)| *known == prefix);
        declared.filter(|_| !prefix.is_empty()).map_or("", |(_, uri)| uri)
    }

    /// A prefix that is declared here, with its colon.
    fn prefix(&mut self) -> String {
        let declared: Vec<&str> =
            self.scope.iter().map(|(prefix, _)| *prefix).filter(|prefix| !prefix.is_empty()).collect();
        if declared.is_empty() || self.numbers.once_in(2) {
            return String::new();
        }
        format!("{}:", self.numbers.one(&declared))
    }

    fn space(&mut self) -> &'static str {
        self.numbers.one(&[" ", " ", " ", "\n", "\t", "  "])
    }

    fn quoted(&mut self, value: &str) -> String {
        let equals = self.numbers.one(&["=", "=", "=", " = "]);
        let quote = if self.numbers.once_in(2) { '"' } else { '\'' };
        format!("{equals}{quote}{value}{quote}")
    }
}

/// What is put somewhere into a document.
const PIECES: [&str; 44] = [
    "<",
    ">",
    "&",
    "'",
    "\"",
    "/",
    "=",
    ":",
    " ",
    "\0",
    "\u{1}",
    "\u{B}",
    "\u{FFFE}",
    "]]>",
    "<!--",
    "-->",
    "--",
    "<?pi x?>",
    "<?xml version='1.0'?>",
    "<!DOCTYPE e>",
    "<!DOCTYPE e [<!ENTITY x 'y'>]>",
    "&x;",
    "&#0;",
    "&#xD800;",
    "&#x110000;",
    "&#1;",
    "&#x;",
    "&;",
    "&lt",
    "<![CDATA[",
    "]]",
    " xmlns:q='q'",
    " xmlns:q=''",
    " xmlns:xmlns='urn:x'",
    " xmlns:xml='urn:x'",
    " xmlns='http://www.w3.org/2000/xmlns/'",
    " q:x='1'",
    " e='1' e='2'",
    "<a:b:c/>",
    "<:a/>",
    "<1/>",
    "\u{FEFF}",
    " x='<'",
    "</e>",
];

/// A document with something changed.
#[must_use]
pub fn changed(numbers: &mut Numbers) -> Vec<u8> {
    let mut octets = good(numbers).into_bytes();
    for _ in 0..=numbers.below(2) {
        let at = numbers.below(octets.len() + 1);
        match numbers.below(6) {
            0 if at < octets.len() => drop(octets.remove(at)),
            1 if at < octets.len() => octets[at] = u8::try_from(numbers.below(256)).unwrap_or_default(),
            2 => {
                let until = (at + numbers.below(40)).min(octets.len());
                let piece = octets[at..until].to_vec();
                let to = numbers.below(octets.len() + 1);
                octets.splice(to..to, piece);
            }
            3 => {
                let until = (at + numbers.below(12)).min(octets.len());
                octets.drain(at..until);
            }
            _ => {
                let piece = numbers.one(&PIECES);
                octets.splice(at..at, piece.bytes());
            }
        }
    }
    octets
}

/// A well-formed document as everybody must understand it: line ends are line feeds (XML 1.0, 2.11), and white space
/// in attribute values is spaces (3.3.3). For those who do not do it themselves.
#[must_use]
pub fn plain(document: &str) -> String {
    let text = document.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('<') {
        out += &rest[..at];
        rest = &rest[at..];
        let whole = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
        let whole = whole.iter().find(|(start, _)| rest.starts_with(start));
        let end = match whole {
            Some((start, end)) => rest[start.len()..].find(end).map(|at| start.len() + at + end.len()),
            None => end_of_tag(rest),
        };
        let (markup, after) = rest.split_at(end.unwrap_or(rest.len()));
        match whole {
            Some(_) => out += markup,
            None => out += &markup.replace(['\n', '\t'], " "),
        }
        rest = after;
    }
    out + rest
}

fn end_of_tag(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in tag.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at + 1),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}
