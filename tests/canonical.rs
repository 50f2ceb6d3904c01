//! Canonical XML against octets and digests that others made: the examples of the standards, the references of
//! the W3C's interoperability suites, and every signed message that a real client sent. A digest that is not
//! ours is a failure, unless the table says which and why.

#![expect(clippy::unwrap_used, reason = "a test")]

use base64ct::{Base64, Encoding};
use chancery::xml::{Element, Limits, Method, PrefixList, Tree, Uncanonical, names};

#[path = "support/data.rs"]
mod others;
#[path = "support/references.rs"]
mod references;

use others::{data, documents};
use references::{CHANGED, holds};

const MOST: usize = 1024 * 1024;

fn parse(source: &str) -> Tree {
    Tree::parse(source.as_bytes(), &Limits::default()).unwrap()
}

fn find<'t>(tree: &'t Tree, local: &str) -> Element<'t> {
    tree.elements().find(|element| element.local() == local).unwrap()
}

fn exclusive(element: Element<'_>) -> String {
    element.canonical(&Method::exclusive(), None, MOST).unwrap().as_str().to_owned()
}

fn listing(prefixes: &str) -> Method {
    Method::exclusive().with_prefixes(PrefixList::parse(prefixes).unwrap()).unwrap()
}

fn inclusive(element: Element<'_>) -> String {
    let method = Method::named("http://www.w3.org/TR/2001/REC-xml-c14n-20010315").unwrap();
    element.canonical(&method, None, MOST).unwrap().as_str().to_owned()
}

#[test]
fn exclusive_form_does_not_depend_on_what_is_around() {
    // The two contexts of section 2.2 of the recommendation, with absolute names.
    for context in [
        "<n0:pdu xmlns:n0='urn:a'><n1:elem2 xmlns:n1='urn:b' xml:lang='en'><n3:stuff xmlns:n3='ftp://example.org'/></n1:elem2></n0:pdu>",
        "<n2:pdu xmlns:n1='urn:b' xmlns:n2='urn:c' xml:lang='fr' xml:space='retain'><n1:elem2 xml:lang='en'><n3:stuff xmlns:n3='ftp://example.org'/></n1:elem2></n2:pdu>",
    ] {
        let tree = parse(context);
        assert_eq!(
            exclusive(find(&tree, "elem2")),
            "<n1:elem2 xmlns:n1=\"urn:b\" xml:lang=\"en\"><n3:stuff xmlns:n3=\"ftp://example.org\"></n3:stuff></n1:elem2>"
        );
    }
}

#[test]
fn inclusive_form_takes_over_what_is_around() {
    let tree = parse(
        "<n2:pdu xmlns:n1='urn:b' xmlns:n2='urn:c' xml:lang='fr' xml:space='retain'><n1:elem2 xml:lang='en'><n3:stuff xmlns:n3='urn:d'/></n1:elem2></n2:pdu>",
    );
    assert_eq!(
        inclusive(find(&tree, "elem2")),
        "<n1:elem2 xmlns:n1=\"urn:b\" xmlns:n2=\"urn:c\" xml:lang=\"en\" xml:space=\"retain\"><n3:stuff xmlns:n3=\"urn:d\"></n3:stuff></n1:elem2>"
    );
}

#[test]
fn one_point_one_takes_over_language_and_space_only_and_joins_no_base() {
    let method = Method::named("http://www.w3.org/2006/12/xml-c14n11").unwrap();
    let tree = parse("<a xml:id='i' xml:lang='fr' xml:space='preserve'><b/></a>");
    assert_eq!(
        find(&tree, "b").canonical(&method, None, MOST).unwrap().as_str(),
        "<b xml:lang=\"fr\" xml:space=\"preserve\"></b>"
    );
    let tree = parse("<a xml:base='http://x/'><b xml:base='y'/></a>");
    assert_eq!(find(&tree, "b").canonical(&method, None, MOST), Err(Uncanonical::Base));
    assert_eq!(
        find(&tree, "a").canonical(&method, None, MOST).unwrap().as_str(),
        "<a xml:base=\"http://x/\"><b xml:base=\"y\"></b></a>"
    );
}

#[test]
fn prefixes_of_the_list_are_written_though_nothing_uses_them() {
    let source = "<a xmlns='urn:d' xmlns:x='urn:x' xmlns:y='urn:y'><p:b xmlns:p='urn:p'><p:c xmlns:x='urn:z'/><p:c/><d/></p:b></a>";
    let tree = parse(source);
    let b = find(&tree, "b");
    assert_eq!(exclusive(b), "<p:b xmlns:p=\"urn:p\"><p:c></p:c><p:c></p:c><d xmlns=\"urn:d\"></d></p:b>");
    assert_eq!(
        b.canonical(&listing(" x\tnobody "), None, MOST).unwrap().as_str(),
        "<p:b xmlns:p=\"urn:p\" xmlns:x=\"urn:x\"><p:c xmlns:x=\"urn:z\"></p:c><p:c></p:c><d xmlns=\"urn:d\"></d></p:b>"
    );
    assert_eq!(
        b.canonical(&listing("#default y"), None, MOST).unwrap().as_str(),
        "<p:b xmlns=\"urn:d\" xmlns:p=\"urn:p\" xmlns:y=\"urn:y\"><p:c></p:c><p:c></p:c><d></d></p:b>"
    );
    for bad in ["a:b", "#other", "1", "a b c d e f g h i j k l m n o p q r s t u v w x y z A B C D E F G"] {
        assert!(PrefixList::parse(bad).is_none(), "{bad}");
    }
    let inclusive = Method::named("http://www.w3.org/TR/2001/REC-xml-c14n-20010315").unwrap();
    assert!(inclusive.with_prefixes(PrefixList::default()).is_none());
}

#[test]
fn the_default_namespace_is_taken_back_where_it_was_given() {
    let tree = parse("<a xmlns='urn:a'><b xmlns=''><c/><d xmlns='urn:a'/></b></a>");
    assert_eq!(exclusive(tree.root()), "<a xmlns=\"urn:a\"><b xmlns=\"\"><c></c><d xmlns=\"urn:a\"></d></b></a>");
    assert_eq!(inclusive(tree.root()), "<a xmlns=\"urn:a\"><b xmlns=\"\"><c></c><d xmlns=\"urn:a\"></d></b></a>");
    // Nothing was given outside the subtree, so nothing is taken back.
    assert_eq!(exclusive(find(&tree, "b")), "<b><c></c><d xmlns=\"urn:a\"></d></b>");
    assert_eq!(inclusive(find(&tree, "b")), "<b><c></c><d xmlns=\"urn:a\"></d></b>");
    // A prefixed element between does not use the default namespace.
    let tree = parse("<a xmlns='urn:a'><p:b xmlns:p='urn:p' xmlns=''><c/></p:b></a>");
    assert_eq!(exclusive(tree.root()), "<a xmlns=\"urn:a\"><p:b xmlns:p=\"urn:p\"><c xmlns=\"\"></c></p:b></a>");
    assert_eq!(inclusive(tree.root()), "<a xmlns=\"urn:a\"><p:b xmlns=\"\" xmlns:p=\"urn:p\"><c></c></p:b></a>");
}

#[test]
fn the_apex_of_a_token_that_stands_for_its_reference_says_what_its_default_namespace_is_r_w063() {
    let of_token = |element: Element<'_>, method: Method| {
        element.canonical(&method.of_token().unwrap(), None, MOST).unwrap().as_str().to_owned()
    };
    let around =
        |declared: &str| parse(&format!("<e{declared}><p:a xmlns:p='urn:p'><p:b/><c xmlns='urn:c'/></p:a></e>"));
    for (declared, written) in [("", ""), (" xmlns=''", ""), (" xmlns='urn:e'", "urn:e")] {
        let (tree, inside) = (around(declared), "<p:b></p:b><c xmlns=\"urn:c\"></c>");
        let expected = format!("<p:a xmlns=\"{written}\" xmlns:p=\"urn:p\">{inside}</p:a>");
        let a = find(&tree, "a");
        assert_eq!(of_token(a, Method::exclusive()), expected);
        assert_eq!(of_token(a, listing("#default")), expected);
        // Read again it is what it was.
        let again = parse(&expected);
        assert_eq!(exclusive(again.root()), exclusive(a));
    }
    let tree = parse("<x:e xmlns:x='urn:x'><a xmlns='urn:a' xmlns:p='urn:p' p:b=''/></x:e>");
    let own = "<a xmlns=\"urn:a\" xmlns:p=\"urn:p\" p:b=\"\"></a>";
    assert_eq!(of_token(find(&tree, "a"), Method::exclusive()), own);
    let tree = parse("<x:e xmlns:x='urn:x'><a><b/></a></x:e>");
    assert_eq!(of_token(find(&tree, "a"), listing("x")), "<a xmlns=\"\" xmlns:x=\"urn:x\"><b></b></a>");
    let inclusive = Method::named("http://www.w3.org/TR/2001/REC-xml-c14n-20010315").unwrap();
    assert!(inclusive.of_token().is_none());
}

#[test]
fn octets_are_escaped_sorted_and_quoted_as_the_standard_says() {
    let source = "<a z='1' a='\"&lt;&amp;>&#9;&#10;&#13;&apos;' xmlns:q='urn:a' xmlns:p='urn:b' p:a='2' q:z='3' \u{10400}='4' \u{FF21}='5'>\
                  <![CDATA[<&>]]>&#13;\"'\r\n<!-- c\r\nd --><b/></a>";
    let tree = parse(source);
    let written = "<a xmlns:p=\"urn:b\" xmlns:q=\"urn:a\" a=\"&quot;&lt;&amp;>&#x9;&#xA;&#xD;'\" z=\"1\" \u{FF21}=\"5\" \u{10400}=\"4\" \
                   q:z=\"3\" p:a=\"2\">&lt;&amp;&gt;&#xD;\"'\n<b></b></a>";
    assert_eq!(exclusive(tree.root()), written);
    let comments = Method::named("http://www.w3.org/2001/10/xml-exc-c14n#WithComments").unwrap();
    let with = tree.root().canonical(&comments, None, MOST).unwrap();
    assert_eq!(with.as_str(), written.replace("<b>", "<!-- c\nd --><b>"));
}

#[test]
fn what_is_written_is_a_fixed_point() {
    for source in [
        "<a xmlns='urn:a' xmlns:p='urn:p'>t<p:b p:c='&#13;&#10;' d='\"'/>&#13;<e xmlns=''/></a>",
        "<p:a xmlns:p='urn:p'><p:a xmlns:p='urn:q'><p:a xmlns:p='urn:p'/></p:a></p:a>",
    ] {
        let once = exclusive(parse(source).root());
        assert_eq!(exclusive(parse(&once).root()), once);
    }
}

#[test]
fn an_element_is_left_out_with_all_it_holds_and_nothing_else_is() {
    let tree = parse("<a>1<s xmlns='urn:s'><t/></s>2<s/>3</a>");
    let signature = find(&tree, "s").id();
    let canonical = |element: Element<'_>| {
        element.canonical(&Method::exclusive(), Some(signature), MOST).unwrap().as_str().to_owned()
    };
    assert_eq!(canonical(tree.root()), "<a>12<s></s>3</a>");
    // Never nothing: the digest of nothing is known to everybody.
    assert_eq!(canonical(find(&tree, "s")), "<s xmlns=\"urn:s\"><t></t></s>");
}

#[test]
fn siblings_of_the_element_are_not_written() {
    let tree = parse("<a><b>1</b><c/>2</a>");
    assert_eq!(exclusive(find(&tree, "b")), "<b>1</b>");
}

#[test]
fn a_long_namespace_name_used_everywhere_ends_at_the_limit() {
    let name = format!("urn:{}", "x".repeat(1000));
    let source = format!("<a xmlns:p='{name}'>{}</a>", "<p:b/>".repeat(19_000));
    let tree = parse(&source);
    assert_eq!(tree.root().canonical(&Method::exclusive(), None, MOST), Err(Uncanonical::TooLarge));
    let small = parse("<a>12345</a>");
    assert!(small.root().canonical(&Method::exclusive(), None, 12).is_ok());
    assert_eq!(small.root().canonical(&Method::exclusive(), None, 11), Err(Uncanonical::TooLarge));
}

#[test]
fn every_reference_that_others_made_has_our_digest() {
    let Some(data) = data("canonical-vectors") else { return };
    let found = ["clients", "vectors"].map(|folder| documents(&data.join(folder), &["xml", "base64"])).concat();
    let (mut right, mut refused, mut unread, mut wrong) = (0, 0, 0, Vec::new());
    for path in found {
        let name = path.strip_prefix(&data).unwrap().to_str().unwrap().to_owned();
        let mut octets = std::fs::read(&path).unwrap();
        if name.ends_with(".base64") {
            let text: String = String::from_utf8(octets).unwrap().split_ascii_whitespace().collect();
            octets = Base64::decode_vec(&text).unwrap();
        }
        let Ok(tree) = Tree::parse(&octets, &Limits::default()) else {
            unread += 1;
            continue;
        };
        for reference in tree.elements().filter(|element| element.is(names::DS, "Reference")) {
            match holds(&tree, reference) {
                None => refused += 1,
                Some(true) => right += 1,
                Some(false) => wrong.push(name.clone()),
            }
        }
    }
    println!("references: {right} right, {refused} with what is refused; {unread} documents not read");
    wrong.dedup();
    assert_eq!(wrong, CHANGED);
    assert!(right >= 186, "{right}");
}
