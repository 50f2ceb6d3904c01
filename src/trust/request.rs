//! `wst:RequestSecurityToken`: the rules of its grammar that hold whoever asks (R-T005 to R-T008, R-T024,
//! R-T025, R-T035 to R-T037). Elements may come in any order, each once. What would change the meaning of a
//! token and is not done here is refused, never passed over; what is only a hint for its form is passed over.

use super::identifiers::{Asked, Trust};
use super::{Kind, Oddity, Pass, Wrong, instant, tolerate};
use crate::wire::evidence::{ClaimWish, KeyType, Lifetime, Operation, Wish};
use crate::wire::{List, Text};
use crate::xml::chars::trim;
use crate::xml::{Element, names};

/// The longest `Context` that is echoed.
const LONGEST_CONTEXT: usize = 1024;
/// The largest symmetric key anybody may ask for, bits.
const LARGEST_KEY: u32 = 512;

const fn invalid(reason: &'static str) -> Wrong {
    Wrong::new(Kind::Invalid, reason)
}

const fn bad(reason: &'static str) -> Wrong {
    Wrong::new(Kind::Unsupported, reason)
}

/// A key that nothing in the message proves.
pub const UNPROVEN: Wrong = invalid("trust: key without a proof");

/// A request.
#[derive(Debug)]
pub struct Said<'t> {
    /// `Context`, to be echoed.
    pub context: Option<&'t str>,
    /// The token type with the client's own spelling.
    pub asked: Option<Asked>,
    /// What it asks for: what the client said and no default.
    pub wish: Wish,
}

/// Is this a request for one token, and in which version?
///
/// # Errors
/// [`Wrong`] where it is not.
pub fn version(element: Element<'_>) -> Result<Trust, Wrong> {
    Trust::from_namespace(element.uri()).ok_or(bad("trust: unknown version"))
}

/// Reads the request, which must be in this version.
///
/// # Errors
/// [`Wrong`] for what is not in the grammar, and for what would ask for more than is done here.
pub fn read<'t>(element: Element<'t>, trust: Trust, pass: Pass<'_>) -> Result<Said<'t>, Wrong> {
    if element.uri() != trust.namespace() {
        return Err(bad("trust: unknown version"));
    }
    match element.local() {
        "RequestSecurityToken" => {}
        "RequestSecurityTokenCollection" => return Err(bad("trust: batch not offered")),
        _ => return Err(invalid("trust: not a request")),
    }
    let context = attributes(element, pass)?;
    let fields = Fields::read(element, trust, pass, false)?;
    let secondary = match fields.get("SecondaryParameters") {
        Some(nested) => Fields::read(nested, trust, pass, true)?,
        None => Fields::default(),
    };
    // What stands in the request itself wins over what was copied into it from a policy (R-T035).
    let field = |name| fields.get(name).or_else(|| secondary.get(name));

    let request_type = uri(fields.get("RequestType").ok_or(invalid("trust: no request type"))?)?;
    if request_type != trust.request_type() {
        return Err(bad("trust: request type not offered"));
    }
    let asked = field("TokenType").map(token_type).transpose()?;
    let asked_key = field("KeyType").map(|found| key_type(found, trust)).transpose()?;
    let key_size = field("KeySize").map(|found| key_size(found, asked_key)).transpose()?.flatten();
    let wish = Wish {
        operation: Operation::Issue,
        applies_to: fields.get("AppliesTo").map(applies_to).transpose()?,
        token_type: asked.map(|asked| asked.token_type),
        key_type: asked_key,
        key_size,
        use_key: field("UseKey").map(|found| use_key(found, asked_key)).transpose()?,
        claims: field("Claims").map(claims).transpose()?.unwrap_or_default(),
        lifetime: fields.get("Lifetime").map(lifetime).transpose()?,
    };
    Ok(Said { context, asked, wish })
}

/// Gives `Context`.
fn attributes<'t>(element: Element<'t>, pass: Pass<'_>) -> Result<Option<&'t str>, Wrong> {
    let mut context = None;
    for attribute in element.attributes() {
        match (attribute.uri, attribute.local) {
            ("", "Context") if attribute.value.len() <= LONGEST_CONTEXT => context = Some(attribute.value),
            ("", "Context") => return Err(invalid("trust: context too long")),
            ("", _) => tolerate(pass, Oddity::UnknownElement, bad("trust: unknown attribute"))?,
            // The schema leaves room for attributes of other namespaces, `wsu:Id` among them.
            _ => {}
        }
    }
    Ok(context)
}

/// The parameters of a request by local name; no two of them share one.
#[derive(Debug, Default)]
struct Fields<'t>(Vec<Element<'t>>);

/// What is done with a child of a request.
enum Treatment {
    /// Read it.
    Read,
    /// It asks for a form of token or key that we choose ourselves (R-T034), or describes material that a
    /// bearer token has no use for (R-T051).
    Hint,
    /// It would change what the token means, or needs a proof that we cannot check.
    Refuse(Wrong),
    /// `Delegatable` and its like: true asks for more than we give.
    Switch,
    Unknown,
}

impl<'t> Fields<'t> {
    fn read(parent: Element<'t>, trust: Trust, pass: Pass<'_>, secondary: bool) -> Result<Self, Wrong> {
        if !parent.holds_only_elements() {
            return Err(invalid("trust: text among elements"));
        }
        let mut fields = Self::default();
        for child in parent.children() {
            match treatment(child, trust, secondary) {
                Treatment::Read | Treatment::Hint => {}
                Treatment::Refuse(wrong) => return Err(wrong),
                Treatment::Switch => match child.text().map(trim) {
                    Some("false" | "0") => {}
                    Some("true" | "1") => {
                        tolerate(pass, Oddity::Delegatable, bad("trust: delegatable token not offered"))?;
                    }
                    _ => return Err(invalid("trust: not a boolean")),
                },
                Treatment::Unknown => {
                    tolerate(pass, Oddity::UnknownElement, bad("trust: unknown element"))?;
                    continue;
                }
            }
            if fields.get(child.local()).is_some() {
                return Err(invalid("trust: element twice"));
            }
            fields.0.push(child);
        }
        Ok(fields)
    }

    fn get(&self, local: &str) -> Option<Element<'t>> {
        self.0.iter().find(|element| element.local() == local).copied()
    }
}

fn treatment(child: Element<'_>, trust: Trust, secondary: bool) -> Treatment {
    let uri = child.uri();
    if matches!(uri, names::WSP04 | names::WSP15) && child.local() == "AppliesTo" && !secondary {
        return Treatment::Read;
    }
    if uri == names::WST14 && child.local() == "ActAs" {
        return Treatment::Refuse(bad("trust: delegation not offered"));
    }
    if uri == trust.other().namespace() || uri == names::WST14 {
        return Treatment::Refuse(bad("trust: two versions"));
    }
    if uri != trust.namespace() {
        return Treatment::Unknown;
    }
    match child.local() {
        "TokenType" | "KeyType" | "KeySize" | "Claims" => Treatment::Read,
        "UseKey" if !secondary => Treatment::Read,
        "RequestType" | "Lifetime" if !secondary => Treatment::Read,
        "SecondaryParameters" if !secondary && trust == Trust::V13 => Treatment::Read,
        "SecondaryParameters" => Treatment::Refuse(invalid("trust: nested secondary parameters")),
        "SignatureAlgorithm"
        | "EncryptionAlgorithm"
        | "CanonicalizationAlgorithm"
        | "KeyWrapAlgorithm"
        | "SignWith"
        | "EncryptWith"
        | "ComputedKeyAlgorithm"
        | "Entropy"
        | "Renewing"
        | "AllowPostdating"
        | "Forwardable" => Treatment::Hint,
        "Delegatable" => Treatment::Switch,
        "UseKey" => Treatment::Refuse(UNPROVEN),
        "OnBehalfOf" | "DelegateTo" => Treatment::Refuse(bad("trust: delegation not offered")),
        "Issuer" => Treatment::Refuse(bad("trust: another issuer")),
        "Participants" => Treatment::Refuse(bad("trust: participants not offered")),
        "RenewTarget" | "CancelTarget" | "ValidateTarget" => {
            Treatment::Refuse(invalid("trust: target without its operation"))
        }
        _ => Treatment::Refuse(bad("trust: element not offered")),
    }
}

/// An absolute URI as text, trimmed (R-T008).
fn uri(element: Element<'_>) -> Result<&str, Wrong> {
    let text = element.text().map(trim).ok_or(invalid("trust: bad uri"))?;
    let (scheme, rest) = text.split_once(':').ok_or(invalid("trust: relative uri"))?;
    let scheme_is_one = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !scheme_is_one || rest.is_empty() || text.contains(|c: char| c.is_whitespace()) {
        return Err(invalid("trust: relative uri"));
    }
    Ok(text)
}

fn token_type(element: Element<'_>) -> Result<Asked, Wrong> {
    Asked::from_uri(uri(element)?).ok_or(bad("trust: unknown token type"))
}

fn key_type(element: Element<'_>, trust: Trust) -> Result<KeyType, Wrong> {
    let uri = uri(element)?;
    if let Some(key_type) = trust.key_type(uri) {
        return Ok(key_type);
    }
    // A key type of the other version is a mixed message (namespaces.md 1.4).
    Err(match trust.other().key_type(uri) {
        Some(_) => bad("trust: key type of another version"),
        None => invalid("trust: unknown key type"),
    })
}

/// R-T025. Zero with a bearer token means nothing, and is let pass as nothing; so does no key type here.
fn key_size(element: Element<'_>, key_type: Option<KeyType>) -> Result<Option<u32>, Wrong> {
    let text = element.text().map(trim).filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()));
    let bits: u32 = text.and_then(|text| text.parse().ok()).ok_or(invalid("trust: bad key size"))?;
    let allowed = match key_type {
        None | Some(KeyType::Bearer) => bits == 0,
        Some(KeyType::Symmetric) => bits > 0 && bits.is_multiple_of(8) && bits <= LARGEST_KEY,
        Some(KeyType::Public) => true,
    };
    if !allowed {
        return Err(invalid("trust: bad key size"));
    }
    Ok((bits != 0).then_some(bits))
}

/// R-T031: a key is proven by the signature it is said to have made, whose id stands here, with a `#` or without.
/// One that is brought along instead is not.
fn use_key(element: Element<'_>, key_type: Option<KeyType>) -> Result<Text<256>, Wrong> {
    if key_type != Some(KeyType::Public) {
        return Err(invalid("trust: key for no purpose"));
    }
    let id = element.attribute("", "Sig").map(trim).ok_or(UNPROVEN)?;
    let id = id.strip_prefix('#').unwrap_or(id);
    let empty = element.children().next().is_none() && element.holds_only_elements();
    if id.is_empty() || !empty { Err(UNPROVEN) } else { Text::new(id).map_err(|_| UNPROVEN) }
}

/// The address of the one endpoint reference in `wsp:AppliesTo` (R-T020).
fn applies_to(element: Element<'_>) -> Result<Text<1024>, Wrong> {
    let wrong = invalid("trust: bad applies-to");
    let mut children = element.children();
    let (Some(reference), None) = (children.next(), children.next()) else { return Err(wrong) };
    let namespace = reference.uri();
    if reference.local() != "EndpointReference" || !matches!(namespace, names::WSA | names::WSA04) {
        return Err(wrong);
    }
    // Other children, a wsid:Identity for one, describe the service; the address alone names it.
    let mut addresses = reference.children().filter(|child| child.is(namespace, "Address"));
    let (Some(address), None) = (addresses.next(), addresses.next()) else { return Err(wrong) };
    let address = address.text().map(trim).ok_or(wrong)?;
    let unknown = Wrong::new(Kind::Scope, "trust: bad scope");
    if address.is_empty() {
        return Err(unknown);
    }
    Text::new(address).map_err(|_| unknown)
}

/// `wst:Claims`: names of claims. A value beside a name is not even looked at.
fn claims(element: Element<'_>) -> Result<List<ClaimWish, 64>, Wrong> {
    let wrong = invalid("trust: bad claims");
    match element.attribute("", "Dialect").map(trim) {
        None
        | Some("http://schemas.xmlsoap.org/ws/2005/05/identity")
        | Some("http://docs.oasis-open.org/wsfed/authorization/200706/authclaims")
        | Some("http://schemas.xmlsoap.org/ws/2005/05/IdentityClaims") => {}
        Some(_) => return Err(bad("trust: unknown claims dialect")),
    }
    let mut wishes = Vec::new();
    for child in element.children() {
        if child.local() != "ClaimType" || !matches!(child.uri(), names::IDENTITY | names::AUTH) {
            return Err(wrong);
        }
        let uri = child.attribute("", "Uri").map(trim).filter(|uri| !uri.is_empty()).ok_or(wrong)?;
        let optional = match child.attribute("", "Optional").map(trim) {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(_) => return Err(wrong),
        };
        wishes.push(ClaimWish { uri: Text::new(uri).map_err(|_| wrong)?, optional });
    }
    List::new(wishes).map_err(|_| wrong)
}

/// `wst:Lifetime` (R-T026). Whether it lies in the future is auth's to say; an empty span never is one.
fn lifetime(element: Element<'_>) -> Result<Lifetime, Wrong> {
    let wrong = invalid("trust: bad lifetime");
    let mut lifetime = Lifetime { created: None, expires: None };
    for child in element.children() {
        let moment = child.text().map(trim).and_then(instant::parse).ok_or(wrong)?;
        let place = match (child.uri(), child.local()) {
            (names::WSU, "Created") => &mut lifetime.created,
            (names::WSU, "Expires") => &mut lifetime.expires,
            _ => return Err(wrong),
        };
        if place.replace(moment).is_some() {
            return Err(wrong);
        }
    }
    if let (Some(created), Some(expires)) = (lifetime.created, lifetime.expires)
        && expires <= created
    {
        return Err(Wrong::new(Kind::TimeRange, "trust: empty lifetime"));
    }
    Ok(lifetime)
}
