//! `wst:RequestSecurityToken`: the rules of its grammar that hold whoever asks (R-T005 to R-T008, R-T024,
//! R-T025, R-T035 to R-T037). Elements may come in any order, each once. What would change the meaning of a
//! token and is not done here is refused, never passed over; what is only a hint for its form is passed over.

use super::fault::Fault;
use super::identifiers::{Asked, Trust};
use super::rejection::Problem;
use super::shape::Shape;
use super::{Leniency, instant};
use crate::config::worker::{Endpoint, Profile, Trust as Versions};
use crate::wire::evidence::{ClaimWish, KeyType, Lifetime, Operation, Wish};
use crate::wire::order::TokenType;
use crate::wire::{List, Text};
use crate::xml::chars::trim;
use crate::xml::{Element, names};

/// The longest `Context` that is echoed.
const LONGEST_CONTEXT: usize = 1024;
/// The largest symmetric key anybody may ask for, bits.
const LARGEST_KEY: u32 = 512;

fn invalid(reason: &'static str) -> Problem {
    Problem::new(Fault::InvalidRequest, reason)
}

fn bad(reason: &'static str) -> Problem {
    Problem::new(Fault::BadRequest, reason)
}

/// Reads the request; `action` is what the headers called it, if they did.
pub(super) fn read(
    element: Element<'_>,
    action: Option<&str>,
    endpoint: &Endpoint,
    shape: &mut Shape,
) -> Result<Wish, Problem> {
    let trust = Trust::from_namespace(element.uri()).ok_or(bad("trust: unknown version"))?;
    let offered = match endpoint.trust {
        Versions::V13 => trust == Trust::V13,
        Versions::V2005 => trust == Trust::V2005,
        Versions::Any => true,
    };
    if !offered {
        return Err(bad("trust: version not offered here"));
    }
    shape.trust = trust;
    match element.local() {
        "RequestSecurityToken" => {}
        "RequestSecurityTokenCollection" => return Err(bad("trust: batch not offered")),
        _ => return Err(invalid("trust: not a request")),
    }
    check_action(action, trust)?;
    attributes(element, endpoint, shape)?;

    let fields = Fields::read(element, trust, endpoint, shape, false)?;
    let secondary = match fields.get("SecondaryParameters") {
        Some(nested) => Fields::read(nested, trust, endpoint, shape, true)?,
        None => Fields::default(),
    };
    // What stands in the request itself wins over what was copied into it from a policy (R-T035).
    let field = |name| fields.get(name).or_else(|| secondary.get(name));

    let request_type = uri(fields.get("RequestType").ok_or(invalid("trust: no request type"))?)?;
    if request_type != trust.request_type() {
        return Err(bad("trust: request type not offered"));
    }
    let token_type = token_type(field("TokenType"), endpoint, shape)?;
    let asked_key = field("KeyType").map(|found| key_type(found, trust)).transpose()?;
    shape.key_type = asked_key.unwrap_or(endpoint.default_key_type);
    let key_size = field("KeySize").map(|found| key_size(found, shape.key_type)).transpose()?.flatten();
    let applies_to = fields.get("AppliesTo").map(applies_to).transpose()?;
    shape.applies_to = applies_to.as_deref().map(str::to_owned);
    Ok(Wish {
        operation: Operation::Issue,
        applies_to,
        token_type,
        key_type: Some(shape.key_type),
        key_size,
        claims: field("Claims").map(claims).transpose()?.unwrap_or_default(),
        lifetime: fields.get("Lifetime").map(lifetime).transpose()?,
    })
}

/// The action must be that of this very request (R-T002).
fn check_action(action: Option<&str>, trust: Trust) -> Result<(), Problem> {
    let Some(action) = action else { return Ok(()) };
    if action == trust.action() {
        Ok(())
    } else if trust.path_in(action).is_some() {
        Err(invalid("trust: action of another request"))
    } else if trust.other().path_in(action).is_some() {
        Err(bad("trust: action of another version"))
    } else {
        Err(Problem::new(Fault::ActionNotSupported, "trust: unknown action"))
    }
}

fn attributes(element: Element<'_>, endpoint: &Endpoint, shape: &mut Shape) -> Result<(), Problem> {
    for attribute in element.attributes() {
        match (attribute.uri, attribute.local) {
            ("", "Context") if attribute.value.len() <= LONGEST_CONTEXT => {
                shape.context = Some(attribute.value.to_owned());
            }
            ("", "Context") => return Err(invalid("trust: context too long")),
            ("", _) => shape.tolerate(endpoint, Leniency::UnknownRequestElement, bad("trust: unknown attribute"))?,
            // The schema leaves room for attributes of other namespaces, `wsu:Id` among them.
            _ => {}
        }
    }
    Ok(())
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
    Refuse(Problem),
    /// `Delegatable` and its like: true asks for more than we give.
    Switch,
    Unknown,
}

impl<'t> Fields<'t> {
    fn read(
        parent: Element<'t>,
        trust: Trust,
        endpoint: &Endpoint,
        shape: &mut Shape,
        secondary: bool,
    ) -> Result<Self, Problem> {
        if !parent.holds_only_elements() {
            return Err(invalid("trust: text among elements"));
        }
        let mut fields = Self::default();
        for child in parent.children() {
            match treatment(child, trust, secondary) {
                Treatment::Read | Treatment::Hint => {}
                Treatment::Refuse(problem) => return Err(problem),
                Treatment::Switch => match child.text().map(trim) {
                    Some("false" | "0") => {}
                    Some("true" | "1") => {
                        let unsupported = bad("trust: delegatable token not offered");
                        shape.tolerate(endpoint, Leniency::DelegatableIgnored, unsupported)?;
                    }
                    _ => return Err(invalid("trust: not a boolean")),
                },
                Treatment::Unknown => {
                    let unknown = bad("trust: unknown element");
                    shape.tolerate(endpoint, Leniency::UnknownRequestElement, unknown)?;
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
        "UseKey" => Treatment::Refuse(invalid("trust: key without a proof")),
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
fn uri(element: Element<'_>) -> Result<&str, Problem> {
    let text = element.text().map(trim).ok_or(invalid("trust: bad uri"))?;
    let (scheme, rest) = text.split_once(':').ok_or(invalid("trust: relative uri"))?;
    let scheme_is_one = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !scheme_is_one || rest.is_empty() || text.contains(|c: char| c.is_whitespace()) {
        return Err(invalid("trust: relative uri"));
    }
    Ok(text)
}

/// Without one, an AD FS client means SAML 1.1; elsewhere the relying party's default holds (R-T023).
fn token_type(
    element: Option<Element<'_>>,
    endpoint: &Endpoint,
    shape: &mut Shape,
) -> Result<Option<TokenType>, Problem> {
    let Some(element) = element else {
        return Ok((endpoint.profile == Profile::Adfs).then_some(TokenType::Saml11));
    };
    let asked = Asked::from_uri(uri(element)?).ok_or(bad("trust: unknown token type"))?;
    shape.asked = Some(asked);
    Ok(Some(asked.token_type))
}

fn key_type(element: Element<'_>, trust: Trust) -> Result<KeyType, Problem> {
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

/// R-T025. Zero with a bearer token means nothing, and is let pass as nothing.
fn key_size(element: Element<'_>, key_type: KeyType) -> Result<Option<u32>, Problem> {
    let text = element.text().map(trim).filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()));
    let bits: u32 = text.and_then(|text| text.parse().ok()).ok_or(invalid("trust: bad key size"))?;
    let allowed = match key_type {
        KeyType::Bearer => bits == 0,
        KeyType::Symmetric => bits > 0 && bits.is_multiple_of(8) && bits <= LARGEST_KEY,
        KeyType::Public => true,
    };
    if !allowed {
        return Err(invalid("trust: bad key size"));
    }
    Ok((bits != 0).then_some(bits))
}

/// The address of the one endpoint reference in `wsp:AppliesTo` (R-T020).
fn applies_to(element: Element<'_>) -> Result<Text<1024>, Problem> {
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
    let unknown = Problem::new(Fault::InvalidScope, "trust: bad scope");
    if address.is_empty() {
        return Err(unknown);
    }
    Text::new(address).map_err(|_| unknown)
}

/// `wst:Claims`: names of claims. A value beside a name is not even looked at.
fn claims(element: Element<'_>) -> Result<List<ClaimWish, 64>, Problem> {
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
fn lifetime(element: Element<'_>) -> Result<Lifetime, Problem> {
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
        return Err(Problem::new(Fault::InvalidTimeRange, "trust: empty lifetime"));
    }
    Ok(lifetime)
}
