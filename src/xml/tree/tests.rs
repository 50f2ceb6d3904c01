//! The probes that told the parsers of this language apart (five of them, 47 probes), the shapes that made
//! some of them slow, and what the tree says about a document it took.

use super::*;

fn parse(source: &str) -> Result<Tree, Malformed> {
    Tree::parse(source.as_bytes(), &Limits::default())
}

#[test]
fn every_probe_that_must_be_refused_is_refused_for_its_own_reason() {
    use Malformed as M;
    let deep = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    let probes: &[(&str, &str, Malformed)] = &[
        ("dtd, empty", "<!DOCTYPE a><a/>", M::DocumentType),
        ("dtd, external", "<!DOCTYPE a SYSTEM \"http://x/\"><a/>", M::DocumentType),
        ("dtd, default attribute", "<!DOCTYPE a [<!ATTLIST a b CDATA 'c'>]><a/>", M::DocumentType),
        ("dtd, internal entity used", "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", M::DocumentType),
        ("dtd, parameter entity", "<!DOCTYPE a [<!ENTITY % e SYSTEM 'x'>%e;]><a/>", M::DocumentType),
        ("dtd after the root", "<a/><!DOCTYPE a>", M::DocumentType),
        ("undefined entity", "<a>&nbsp;</a>", M::Reference),
        ("undefined entity in an attribute", "<a b='&nbsp;'/>", M::Reference),
        ("ampersand alone", "<a>a & b</a>", M::Tag),
        ("ampersand alone in an attribute", "<a b='a & b'/>", M::Reference),
        (
            "one attribute through two prefixes",
            "<a xmlns:p='urn:u' xmlns:q='urn:u' p:x='1' q:x='2'/>",
            M::DuplicateAttribute,
        ),
        ("attribute twice", "<a b='1' b='2'/>", M::DuplicateAttribute),
        ("prefix declared twice", "<a xmlns:p='urn:u' xmlns:p='urn:v'/>", M::DuplicateAttribute),
        ("default namespace declared twice", "<a xmlns='urn:u' xmlns='urn:v'/>", M::DuplicateAttribute),
        ("unbound prefix on an element", "<p:a/>", M::Namespace),
        ("unbound prefix on an attribute", "<a p:b='1'/>", M::Namespace),
        ("prefix used after its element", "<r><a xmlns:p='urn:u'/><p:b/></r>", M::Namespace),
        ("prefix undeclared", "<a xmlns:p=''/>", M::Namespace),
        ("prefix undeclared further in", "<a xmlns:p='urn:u'><b xmlns:p=''/></a>", M::Namespace),
        ("xmlns rebound", "<a xmlns:xmlns='urn:u'/>", M::Namespace),
        ("xmlns bound to its own name", "<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>", M::Namespace),
        ("xml rebound", "<a xmlns:xml='urn:u'/>", M::Namespace),
        ("prefix bound to the xml namespace", "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", M::Namespace),
        ("default bound to the xmlns namespace", "<a xmlns='http://www.w3.org/2000/xmlns/'/>", M::Namespace),
        ("element with the prefix xmlns", "<xmlns:a/>", M::Namespace),
        ("relative namespace name", "<a xmlns='u'/>", M::Namespace),
        ("relative namespace name of a prefix", "<a xmlns:p='../u'/>", M::Namespace),
        ("namespace name with a space", "<a xmlns='urn:a b'/>", M::Namespace),
        ("namespace name with a bracket", "<a xmlns='urn:&lt;a>'/>", M::Namespace),
        ("namespace name with a square bracket", "<a xmlns='http://a]b/'/>", M::Namespace),
        ("namespace name with one in its path", "<a xmlns='http://a/[b]'/>", M::Namespace),
        ("namespace name with a port that is none", "<a xmlns='http://a:b/'/>", M::Namespace),
        ("namespace name with a port of nothing", "<a xmlns='http://a:/'/>", M::Namespace),
        ("namespace name at no address", "<a xmlns='http://[1.2.3.4]/'/>", M::Namespace),
        ("namespace name with two fragments", "<a xmlns='urn:a#b#c'/>", M::Namespace),
        ("namespace name with half an escape", "<a xmlns='urn:a%2'/>", M::Namespace),
        ("namespace name with no scheme", "<a xmlns=':a'/>", M::Namespace),
        ("two colons", "<a:b:c xmlns:a='urn:u'/>", M::Name),
        ("nothing after the colon", "<a: xmlns:a='urn:u'/>", M::Name),
        ("nothing before the colon", "<:a/>", M::Name),
        ("two colons in an attribute", "<a xmlns:b='urn:u' b:c:d='1'/>", M::Name),
        ("name that begins with a digit", "<1a/>", M::Name),
        ("name with a dollar", "<a$b/>", M::Name),
        ("attribute name with a dollar", "<a b$='1'/>", M::Name),
        ("no name", "<a>< b/></a>", M::Tag),
        ("less-than in an attribute", "<a b='<'/>", M::Text),
        ("end of cdata in text", "<a>]]></a>", M::Text),
        ("control character", "<a>\u{1}</a>", M::Character),
        ("nul", "<a>\0</a>", M::Character),
        ("U+FFFE", "<a>\u{FFFE}</a>", M::Character),
        ("control character in an attribute", "<a b='\u{1F}'/>", M::Character),
        ("control character in a comment", "<a><!--\u{8}--></a>", M::Character),
        ("reference to a control character", "<a>&#1;</a>", M::Character),
        ("reference to nul", "<a>&#0;</a>", M::Character),
        ("reference to a surrogate", "<a>&#xD800;</a>", M::Character),
        ("reference beyond unicode", "<a>&#x110000;</a>", M::Character),
        ("reference far beyond unicode", "<a>&#99999999999999999999;</a>", M::Character),
        ("reference in capitals", "<a>&#X41;</a>", M::Reference),
        ("reference without digits", "<a>&#;</a>", M::Reference),
        ("reference with a sign", "<a>&#+65;</a>", M::Reference),
        ("missing space between attributes", "<a b='1'c='2'/>", M::Tag),
        ("attribute without value", "<a b/>", M::Tag),
        ("attribute without quotation marks", "<a b=c/>", M::Tag),
        ("attributes in an end tag", "<a></a b='1'>", M::Tag),
        ("space before the end tag's name", "<a></ a>", M::Tag),
        ("tags that do not match", "<a><b></a></b>", M::Tag),
        ("same expanded name, other prefix", "<p:a xmlns:p='urn:u' xmlns:q='urn:u'></q:a>", M::Tag),
        ("end tag first", "</a>", M::Tag),
        ("text before the root", "x<a/>", M::Structure),
        ("text after the root", "<a/>x", M::Structure),
        ("cdata after the root", "<a/><![CDATA[]]>", M::Structure),
        ("reference after the root", "<a/>&#32;", M::Structure),
        ("two roots", "<a/><b/>", M::Structure),
        ("no root", "  ", M::Structure),
        ("nothing", "", M::Structure),
        ("root not closed", "<a>", M::Structure),
        ("tag not closed", "<a><b", M::Tag),
        ("comment with two hyphens", "<a><!-- a -- b --></a>", M::Comment),
        ("comment that ends in three hyphens", "<a><!-- a ---></a>", M::Comment),
        ("comment not closed", "<a><!-- </a>", M::Tag),
        ("cdata not closed", "<a><![CDATA[ </a>", M::Tag),
        ("processing instruction", "<?p i?><a/>", M::Instruction),
        ("stylesheet", "<?xml-stylesheet href='x'?><a/>", M::Instruction),
        ("processing instruction inside", "<a><?p i?></a>", M::Instruction),
        ("xml declaration inside", "<a><?xml version='1.0'?></a>", M::Declaration),
        ("xml declaration not first", " <?xml version='1.0'?><a/>", M::Declaration),
        ("xml declaration twice", "<?xml version='1.0'?><?xml version='1.0'?><a/>", M::Declaration),
        ("xml declaration without version", "<?xml encoding='utf-8'?><a/>", M::Declaration),
        ("xml declaration out of order", "<?xml version='1.0' standalone='no' encoding='utf-8'?><a/>", M::Declaration),
        ("xml 1.1", "<?xml version='1.1'?><a/>", M::Declaration),
        ("encoding that is not so", "<?xml version='1.0' encoding='ISO-8859-1'?><a/>", M::Encoding),
        ("utf-16 said in utf-8", "<?xml version='1.0' encoding='UTF-16'?><a/>", M::Encoding),
        ("two byte order marks", "\u{FEFF}\u{FEFF}<a/>", M::Structure),
        ("byte order mark after the declaration", "<?xml version='1.0'?>\u{FEFF}<a/>", M::Structure),
        ("nested 65 deep", &deep(65), M::TooLarge("depth")),
        ("nested 1000 deep", &deep(1000), M::TooLarge("depth")),
        ("nested 30000 deep", &deep(30_000), M::TooLarge("depth")),
    ];
    for (name, source, reason) in probes {
        match parse(source) {
            Err(found) => assert_eq!(found, *reason, "{name}"),
            Ok(_) => panic!("{name}: accepted"),
        }
    }
}

#[test]
fn octets_that_are_not_utf8_are_refused() {
    for octets in [
        &b"<a>\xC0\xAF</a>"[..],
        b"<a>\xED\xA0\x80</a>",
        b"<a>\xFF</a>",
        b"\xFF\xFE<\0a\0/\0>\0",
        b"\xFE\xFF\0<\0a\0/\0>",
        b"<a>+ADw-</a>\x80",
    ] {
        assert_eq!(Tree::parse(octets, &Limits::default()).err(), Some(Malformed::Encoding), "{octets:?}");
    }
}

#[test]
fn what_is_well_formed_is_accepted() {
    let deep = format!("{}{}", "<a>".repeat(64), "</a>".repeat(64));
    for source in [
        "<a/>",
        "<a />",
        "<a></a >",
        "\u{FEFF}<a/>",
        "\u{FEFF}<?xml version='1.0'?>\r\n<a/>\n",
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\" ?><a/>",
        "<!-- c --><a/><!-- c -->",
        "<a xmlns=''/>",
        "<a xmlns='urn:u'><b xmlns=''/></a>",
        "<a xmlns:p='urn:u'><b xmlns:p='urn:v'/><p:c/></a>",
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='en'/>",
        "<a xmlns='urn:u' xmlns:p='urn:u' b='1' p:b='2'/>",
        "<a xmlns='http://u:p@[::1]:80/%7Ea;b?c=/d#e:@/?' xmlns:p='urn:' xmlns:r='x-y.z+1:///'/>",
        "<a b='>' c=\"'\" d='\"' e = '1'\n f='2'\t/>",
        "<a>]]&gt; ] ]> &#x10FFFF;\u{85}</a>",
        "<a><![CDATA[<b>&amp;]]]]><![CDATA[>]]></a>",
        "<\u{C4}\u{B7}.-1/>",
        &deep,
    ] {
        assert!(parse(source).is_ok(), "{source}");
    }
}

#[test]
fn each_limit_is_one_of_counts_and_not_of_time() {
    let attributes = |n: usize| (0..n).map(|i| format!(" a{i}=''")).collect::<String>();
    let declarations = |n: usize| (0..n).map(|i| format!(" xmlns:p{i}='urn:{i}'")).collect::<String>();
    let wide = |n: usize| "<c xmlns:q='urn:q'/>".repeat(n);

    assert!(parse(&format!("<a{}/>", attributes(64))).is_ok());
    assert_eq!(parse(&format!("<a{}/>", attributes(65))).err(), Some(Malformed::TooLarge("attributes")));
    assert_eq!(parse(&format!("<a{}/>", attributes(10_000))).err(), Some(Malformed::TooLarge("attributes")));

    assert!(parse(&format!("<a{}/>", declarations(64))).is_ok());
    // A thousand children that each declare one more than the limit allows, and the nested form of it.
    assert_eq!(
        parse(&format!("<a{}>{}</a>", declarations(64), wide(1000))).err(),
        Some(Malformed::TooLarge("declarations"))
    );
    let nested = "<c xmlns:a='urn:a' xmlns:b='urn:b'>".repeat(60) + &"</c>".repeat(60);
    assert_eq!(parse(&nested).err(), Some(Malformed::TooLarge("declarations")));
    assert!(parse(&format!("<a{}>{}</a>", declarations(63), wide(1000))).is_ok());

    assert!(parse(&format!("<a>{}</a>", "<c/>".repeat(19_999))).is_ok());
    assert_eq!(parse(&format!("<a>{}</a>", "<c/>".repeat(20_000))).err(), Some(Malformed::TooLarge("nodes")));
    assert_eq!(parse(&format!("<a>{}</a>", "<!---->".repeat(20_000))).err(), Some(Malformed::TooLarge("nodes")));

    let text = |n: usize| "x".repeat(n);
    assert!(parse(&format!("<a>{}</a>", text(65_536))).is_ok());
    assert_eq!(parse(&format!("<a>{}</a>", text(65_537))).err(), Some(Malformed::TooLarge("text")));
    assert_eq!(parse(&format!("<a>{}</a>", "&lt;".repeat(65_537))).err(), Some(Malformed::TooLarge("octets")));
    assert_eq!(parse(&format!("<a>{}</a>", "&lt;x".repeat(33_000))).err(), Some(Malformed::TooLarge("text")));
    assert_eq!(parse(&format!("<a b='{}'/>", text(65_537))).err(), Some(Malformed::TooLarge("attribute value")));
    assert_eq!(parse(&format!("<a xmlns='urn:{}'/>", text(1024))).err(), Some(Malformed::TooLarge("namespace name")));
    assert_eq!(parse(&format!("<a>{}</a>", " ".repeat(256 * 1024))).err(), Some(Malformed::TooLarge("octets")));
}

#[test]
fn text_is_whole_or_not_given() {
    let text = |source: &str| parse(source).unwrap().root().text().map(str::to_owned);
    assert_eq!(text("<a/>").as_deref(), Some(""));
    assert_eq!(text("<a>a&amp;b<![CDATA[<c>]]>&#x64;</a>").as_deref(), Some("a&b<c>d"));
    assert_eq!(text("<a>1\r\n2\r3\n4&#13;</a>").as_deref(), Some("1\n2\n3\n4\r"));
    // CVE-2017-11427 and its family: a reader of the first text node sees only "admin".
    assert_eq!(text("<a>admin<!-- -->.evil</a>"), None);
    assert_eq!(text("<a><!-- -->admin</a>"), None);
    assert_eq!(text("<a>a<b/></a>"), None);
}

#[test]
fn attribute_values_are_normalised() {
    let tree = parse("<a b='1\r\n2\t3\n4&#9;&#10;&amp;&quot;' c=\"'\"/>").unwrap();
    assert_eq!(tree.root().attribute("", "b"), Some("1 2 3 4\t\n&\""));
    assert_eq!(tree.root().attribute("", "c"), Some("'"));
}

#[test]
fn names_are_expanded_and_prefixes_declarations_and_places_are_kept() {
    let source = "<?xml version='1.0'?><p:a xmlns:p='urn:u' xmlns='urn:d' xmlns:q='urn:u' q:x='1' x='2'>\
                  <b xmlns=''><p:c xml:lang='en'>t</p:c></b><d/></p:a>";
    let tree = parse(source).unwrap();
    let a = tree.root();
    assert!(a.is("urn:u", "a") && a.prefix() == "p");
    assert_eq!(a.declarations().collect::<Vec<_>>(), [("p", "urn:u"), ("", "urn:d"), ("q", "urn:u")]);
    assert_eq!(
        (a.attribute("urn:u", "x"), a.attribute("", "x"), a.attribute("urn:d", "x")),
        (Some("1"), Some("2"), None)
    );
    let [b, d] = a.children().collect::<Vec<_>>()[..] else { panic!("two children") };
    assert!(b.is("", "b") && d.is("urn:d", "d"));
    let c = b.children().next().unwrap();
    assert_eq!(
        (c.resolve("p"), c.resolve(""), c.resolve("q"), c.resolve("z")),
        (Some("urn:u"), None, Some("urn:u"), None)
    );
    assert_eq!(c.attribute(names::XML, "lang"), Some("en"));
    assert_eq!(&tree.source()[c.span()], "<p:c xml:lang='en'>t</p:c>");
    assert_eq!(&tree.source()[d.span()], "<d/>");
    assert_eq!(&tree.source()[a.span()], &source[21..]);
    assert_eq!(c.parent(), Some(b));
    assert_eq!(tree.elements().map(Element::local).collect::<String>(), "abcd");
}

#[test]
fn one_namespace_has_one_name_however_many_there_are() {
    // More than are compared one after the other, each by two prefixes.
    let many = 3 * build::FEW / 2;
    let of = |number: usize| format!("xmlns:a{number}='urn:n{number}' xmlns:b{number}='urn:n{number}'");
    let limits = Limits { declarations: 1000, attributes: 1000, ..Limits::default() };
    let with = |attributes: &dyn Fn(usize) -> String| {
        let (declared, written): (Vec<_>, Vec<_>) = (0..many).map(|number| (of(number), attributes(number))).unzip();
        Tree::parse(format!("<e {} {}/>", declared.join(" "), written.join(" ")).as_bytes(), &limits)
    };
    let tree = with(&|number| format!("a{number}:x='{number}' b{number}:y=''")).unwrap();
    for number in 0..many {
        let value = tree.root().attribute(&format!("urn:n{number}"), "x");
        assert_eq!(value, Some(number.to_string().as_str()));
    }
    assert_eq!(tree.uris.len(), 2 + many);
    for number in 0..many {
        let twice = |other| if other == number { format!("a{other}:x='' b{other}:x=''") } else { String::new() };
        assert_eq!(with(&twice).err(), Some(Malformed::DuplicateAttribute), "{number}");
    }
}

#[test]
fn white_space_between_elements_is_not_text_among_them() {
    assert!(parse("<a>\n <b/> <!-- c --> <b/>\t</a>").unwrap().root().holds_only_elements());
    assert!(!parse("<a>x<b/></a>").unwrap().root().holds_only_elements());
    assert!(!parse("<a><b/>\u{A0}</a>").unwrap().root().holds_only_elements());
}
