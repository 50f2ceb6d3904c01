//! What a partner's metadata says: SAML 2.0 metadata, and of WS-Federation what AD FS adds to it. This runs in the
//! reader alone. It says what stands there and trusts none of it: a stranger's document is looked at for its signature
//! ([`find`]) and for nothing else; only octets that were verified are read ([`read`]).

use super::duration;
use crate::trust::{instant, parts};
use crate::wire::metadata::{Entity, Found, LARGEST, LARGEST_CANONICAL, MOST_CERTIFICATES};
use crate::wire::{List, Millis, Octets, Text};
use crate::xml::chars::trim;
use crate::xml::signature::{Signature, base64};
use crate::xml::{Element, Ids, Limits, Tree, names};

/// Elements, texts and comments of one document, at most: a few federations fit.
const MOST_NODES: usize = 200_000;
/// The largest certificate, octets.
const LARGEST_CERTIFICATE: usize = 8 * 1024;

/// Why there is nothing to read: for the operator.
type Read<T> = Result<T, String>;

fn limits(octets: usize) -> Limits {
    Limits { octets, depth: 32, nodes: MOST_NODES, ..Limits::default() }
}

fn tree(octets: &[u8], most: usize) -> Read<Tree> {
    Tree::parse(octets, &limits(most)).map_err(|error| error.to_string())
}

/// The signature over the whole of a document, and the octets it speaks of.
///
/// # Errors
/// A clause for the operator where there is none that we would verify.
pub fn find(document: &[u8]) -> Read<Found> {
    let tree = tree(document, LARGEST)?;
    let ids = Ids::of(&tree).map_err(|_| "an id stands twice")?;
    let root = metadata(&tree)?;
    let mut signatures = tree.root().children().filter(|child| child.is(names::DS, "Signature"));
    // The schema has it first. One that stands deeper speaks of a piece, and what is around that could be anybody's.
    let signature = match (signatures.next(), signatures.next()) {
        (Some(one), None) if root.children().next() == Some(one) => one,
        (None, _) => return Err("the document as a whole is not signed".to_owned()),
        _ => return Err("the signature is not the first element, or not the only one".to_owned()),
    };
    let signature = Signature::read(signature).map_err(|error| error.to_string())?;
    let [reference] = &signature.info.references[..] else {
        return Err("the signature has more than one reference".to_owned());
    };
    if !reference.transform.enveloped || reference.transform.dereferenced {
        return Err("the signature is not an enveloped one".to_owned());
    }
    let target = signature.target(reference, &ids).map_err(|error| error.to_string())?;
    if target != root || root.attribute("", "ID") != Some(&reference.id) {
        return Err("the signature is of something else than the whole document".to_owned());
    }
    let algorithm = parts::algorithm(signature.info.method).ok_or("the signature's algorithm is not taken")?;
    let signed_info = signature.signed_octets(16 * 1024).map_err(|error| error.to_string())?;
    let octets = signature.digested(reference, target, LARGEST_CANONICAL).map_err(|error| error.to_string())?;
    Ok(Found {
        algorithm,
        signed_info: fits(signed_info.as_bytes())?,
        value: fits(&*signature.value)?,
        document: fits(octets.as_bytes())?,
    })
}

/// What verified octets say of the partner of that name, or of the only one. Where a signature means them by an id,
/// that is the id of their outermost element.
///
/// # Errors
/// A clause for the operator where there is no such partner, or two of them, or one who cannot be taken.
pub fn read(document: &[u8], id: Option<&str>, wanted: Option<&str>) -> Read<Entity> {
    let tree = tree(document, LARGEST_CANONICAL)?;
    Ids::of(&tree).map_err(|_| "an id stands twice")?;
    let root = metadata(&tree)?;
    if id.is_some_and(|id| root.attribute("", "ID") != Some(id)) {
        return Err("signed by another id than its own".to_owned());
    }
    let entity = chosen(&tree, wanted)?;
    let mut entity_says = Says::default();
    for around in std::iter::successors(Some(entity), |element| element.parent()) {
        entity_says.hear(around)?;
    }
    let mut roles = 0;
    let mut certificates: Vec<Vec<u8>> = Vec::new();
    for role in entity.children().filter(|child| issues(*child)) {
        roles += 1;
        entity_says.hear(role)?;
        for key in role.children().filter(|child| child.is(names::SAML20_METADATA, "KeyDescriptor")) {
            match key.attribute("", "use") {
                Some("encryption") => continue,
                None | Some("signing") => {}
                Some(_) => return Err("a key for something else than signing and encryption".to_owned()),
            }
            let certificate = certificate(key).ok_or("a signing key that is not one X.509 certificate")?;
            if !certificates.contains(&certificate) {
                certificates.push(certificate);
            }
        }
    }
    match (roles, certificates.is_empty()) {
        (0, _) => return Err("it is no identity provider and no Security Token Service".to_owned()),
        (_, true) => return Err("it names no key that it signs with".to_owned()),
        (_, false) => {}
    }
    let many = |_| format!("it signs with more than {MOST_CERTIFICATES} keys");
    let certificates = certificates.into_iter().map(fits).collect::<Read<Vec<_>>>()?;
    Ok(Entity {
        name: named(entity)?,
        until: entity_says.until,
        cache_ms: entity_says.cache_ms,
        certificates: List::new(certificates).map_err(many)?,
    })
}

fn fits<const N: usize>(octets: impl Into<Vec<u8>>) -> Read<Octets<N>> {
    Octets::new(octets).map_err(|error| error.to_string())
}

/// The outermost element, where it is one of metadata.
fn metadata(tree: &Tree) -> Read<Element<'_>> {
    let root = tree.root();
    if is_entity(root) || is_group(root) { Ok(root) } else { Err(format!("{root:?} is not SAML metadata")) }
}

fn is_entity(element: Element<'_>) -> bool {
    element.is(names::SAML20_METADATA, "EntityDescriptor")
}

fn is_group(element: Element<'_>) -> bool {
    element.is(names::SAML20_METADATA, "EntitiesDescriptor")
}

fn named(entity: Element<'_>) -> Read<Text<1024>> {
    let name = entity.attribute("", "entityID").filter(|name| !name.is_empty()).ok_or("a partner without entityID")?;
    // A URI. What else a name holds would only look like another on a terminal.
    let plain = name.bytes().all(|octet| octet.is_ascii_graphic());
    Text::new(name).ok().filter(|_| plain).ok_or_else(|| "an entityID that is no URI of 1 to 1024 octets".to_owned())
}

/// The one who is meant: the document's only one, or the one of that name. Descriptors that stand elsewhere than in
/// groups, in somebody's extensions, are nobody.
fn chosen<'t>(tree: &'t Tree, wanted: Option<&str>) -> Read<Element<'t>> {
    let stands = |entity: &Element<'t>| {
        let around = std::iter::successors(entity.parent(), |element| element.parent());
        around.into_iter().all(is_group)
    };
    let mut entities = tree.elements().filter(|element| is_entity(*element)).filter(stands);
    let Some(wanted) = wanted else {
        return match (entities.next(), entities.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err("nobody is described".to_owned()),
            (Some(_), Some(_)) => Err("several are described: which one is said by --entity".to_owned()),
        };
    };
    let mut entities = entities.filter(|entity| entity.attribute("", "entityID") == Some(wanted));
    match (entities.next(), entities.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err("nobody of that entityID is described".to_owned()),
        (Some(_), Some(_)) => Err("that entityID is described twice".to_owned()),
    }
}

/// Is this the role of somebody who issues assertions?
fn issues(role: Element<'_>) -> bool {
    if role.is(names::SAML20_METADATA, "IDPSSODescriptor") {
        return true;
    }
    let Some(kind) = role.attribute(names::XSI, "type").map(trim) else { return false };
    let (prefix, kind) = kind.split_once(':').unwrap_or(("", kind));
    // Exclusive canonical form leaves out the declaration of a prefix that only a value uses, as this one: what it
    // stands for was not signed. Where it stands for something, that counts.
    role.is(names::SAML20_METADATA, "RoleDescriptor")
        && kind == "SecurityTokenServiceType"
        && role.resolve(prefix).is_none_or(|uri| uri == names::FEDERATION)
}

/// The certificate of a `KeyDescriptor`, where it has exactly one.
fn certificate(descriptor: Element<'_>) -> Option<Vec<u8>> {
    let mut infos = descriptor.children().filter(|child| child.is(names::DS, "KeyInfo"));
    let (Some(info), None) = (infos.next(), infos.next()) else { return None };
    let [data] = signatures(info, "X509Data")[..] else { return None };
    let [certificate] = signatures(data, "X509Certificate")[..] else { return None };
    base64(certificate.text()?, LARGEST_CERTIFICATE)
}

/// The children of that name, of XML signatures.
fn signatures<'t>(element: Element<'t>, local: &str) -> Vec<Element<'t>> {
    element.children().filter(|child| child.is(names::DS, local)).collect()
}

/// How long it all holds: what is said nearest to now.
#[derive(Default)]
struct Says {
    until: Option<Millis>,
    cache_ms: Option<i64>,
}

impl Says {
    fn hear(&mut self, element: Element<'_>) -> Read<()> {
        if let Some(until) = element.attribute("", "validUntil") {
            let until = instant::parse(trim(until)).ok_or("a validUntil that is no instant in UTC")?;
            self.until = Some(self.until.map_or(until, |before| before.min(until)));
        }
        if let Some(cache) = element.attribute("", "cacheDuration") {
            let cache = duration::parse(trim(cache)).ok_or("a cacheDuration that is no duration")?;
            self.cache_ms = Some(self.cache_ms.map_or(cache, |before| before.min(cache)));
        }
        Ok(())
    }
}
