//! A SAML 2.0 assertion by the order of its schema (saml.md 4.1). What is encrypted in it is refused, and so is
//! every condition that we do not know to keep (R-S035).

use super::read::{
    self, Assertion, Attributes, Condition, Confirmation, ConfirmationMethod, MANY, MOST_CONFIRMATIONS, Read, Subject,
    add, children, keys, moment, only, qualifiers, required, text, typed,
};
use crate::wire::Millis;
use crate::xml::chars::trim;
use crate::xml::{Element, names};

const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const HOLDER_OF_KEY: &str = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key";
const SENDER_VOUCHES: &str = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches";
const ENTITY: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity";

fn is(element: Element<'_>, local: &str) -> bool {
    element.is(names::SAML20, local)
}

/// Reads one.
pub(super) fn read(root: Element<'_>) -> Read<Assertion> {
    if !is(root, "Assertion") {
        return Err("not an assertion");
    }
    only(root, &["ID", "IssueInstant", "Version"])?;
    if required(root, "Version")? != "2.0" {
        return Err("another version");
    }
    let children = children(root)?;
    let [issuer, subject, conditions, rest @ ..] = &children[..] else {
        return Err("not issuer, subject and conditions first");
    };
    let (conditions, one_time) = read::conditions(names::SAML20, *conditions, condition)?;
    // What stands in an advice may be passed over, and is (R-S035).
    let statements = match rest {
        [advice, statements @ ..] if is(*advice, "Advice") => statements,
        statements => statements,
    };
    let (mut authentication, mut attributes) = (None, Attributes::new());
    for statement in statements {
        if is(*statement, "AuthnStatement") {
            if authentication.replace(read_authentication(*statement)?).is_some() {
                return Err("two authentications");
            }
        } else if is(*statement, "AttributeStatement") {
            read_attributes(*statement, &mut attributes)?;
        } else {
            return Err("a statement that is not taken");
        }
    }
    let (authenticated, session_until) = authentication.ok_or("no authentication")?;
    Ok(Assertion {
        id: required(root, "ID")?.to_owned(),
        issuer: read_issuer(*issuer)?,
        issued: moment(root, "IssueInstant")?.ok_or("an attribute missing")?,
        subject: read_subject(*subject)?,
        conditions,
        one_time,
        authenticated,
        session_until,
        attributes,
    })
}

fn read_issuer(element: Element<'_>) -> Read<String> {
    // A name in another format, or within somebody's, is not the entity that is registered.
    only(element, &["Format"])?;
    let entity = element.attribute("", "Format").is_none_or(|format| format == ENTITY);
    if is(element, "Issuer") && entity { text(element) } else { Err("no issuer that is an entity") }
}

fn read_subject(element: Element<'_>) -> Read<Subject> {
    if !is(element, "Subject") {
        return Err("no subject");
    }
    only(element, &[])?;
    let children = children(element)?;
    let (name, confirmations) = match &children[..] {
        [name, rest @ ..] if is(*name, "NameID") => (Some(*name), rest),
        // What is no confirmation either, an encrypted name for one, is refused as one.
        rest => (None, rest),
    };
    if let Some(name) = name {
        only(name, &["Format", "NameQualifier", "SPNameQualifier", "SPProvidedID"])?;
    }
    if confirmations.len() > MOST_CONFIRMATIONS {
        return Err(MANY);
    }
    Ok(Subject {
        name: name.map(text).transpose()?,
        qualifiers: qualifiers(name),
        confirmations: confirmations
            .iter()
            .map(|confirmation| read_confirmation(*confirmation))
            .collect::<Read<_>>()?,
    })
}

fn read_confirmation(element: Element<'_>) -> Read<Confirmation> {
    if !is(element, "SubjectConfirmation") {
        return Err("something else than confirmations of a subject");
    }
    only(element, &["Method"])?;
    let method = match required(element, "Method")? {
        BEARER => ConfirmationMethod::Bearer,
        HOLDER_OF_KEY => ConfirmationMethod::HolderOfKey,
        SENDER_VOUCHES => ConfirmationMethod::SenderVouches,
        _ => ConfirmationMethod::Other,
    };
    let inside = children(element)?;
    let data = match inside[..] {
        [] => None,
        [data] if is(data, "SubjectConfirmationData") => Some(data),
        // A name here says that only somebody else may present it.
        _ => return Err("a confirmation by somebody else"),
    };
    let Some(data) = data else { return Ok(Confirmation::unbound(method, Some(Vec::new()))) };
    typed(data, &["NotBefore", "NotOnOrAfter", "Recipient", "InResponseTo", "Address"])?;
    let keys = children(data).ok().filter(|_| is_key_info(data)).and_then(|inside| keys(&inside));
    Ok(Confirmation {
        not_before: moment(data, "NotBefore")?,
        not_on_or_after: moment(data, "NotOnOrAfter")?,
        recipient: data.attribute("", "Recipient").map(|value| trim(value).to_owned()),
        address: data.attribute("", "Address").map(|value| trim(value).to_owned()),
        in_response_to: data.attribute("", "InResponseTo").is_some(),
        ..Confirmation::unbound(method, keys)
    })
}

/// Is it of the type that holds keys, where it says of which it is? What the prefix in a type stands for must have
/// been signed, too (A-04b): these octets stand alone, so one from outside stands for nothing here.
fn is_key_info(data: Element<'_>) -> bool {
    let Some(kind) = data.attribute(names::XSI, "type").map(trim) else { return true };
    let (prefix, local) = kind.split_once(':').unwrap_or(("", kind));
    local == "KeyInfoConfirmationDataType" && data.resolve(prefix) == Some(names::SAML20)
}

/// What a condition is.
fn condition(element: Element<'_>) -> Read<Condition> {
    if is(element, "AudienceRestriction") {
        Ok(Condition::Audiences)
    } else if is(element, "OneTimeUse") {
        Ok(Condition::Once)
    } else if is(element, "ProxyRestriction") {
        // What we would issue for it is what it restricts (R-S008).
        Err("a restriction on what may be issued for it")
    } else {
        Err("a condition that is not known")
    }
}

/// When its subject authenticated, and until when that counts.
fn read_authentication(element: Element<'_>) -> Read<(Millis, Option<Millis>)> {
    only(element, &["AuthnInstant", "SessionIndex", "SessionNotOnOrAfter"])?;
    let instant = moment(element, "AuthnInstant")?.ok_or("an attribute missing")?;
    Ok((instant, moment(element, "SessionNotOnOrAfter")?))
}

fn read_attributes(element: Element<'_>, attributes: &mut Attributes) -> Read<()> {
    only(element, &[])?;
    for attribute in children(element)? {
        if !is(attribute, "Attribute") {
            return Err("an attribute that is encrypted or none");
        }
        only(attribute, &["Name", "NameFormat", "FriendlyName"])?;
        let values = children(attribute)?;
        if !values.iter().all(|value| is(*value, "AttributeValue")) {
            return Err("something else than values in an attribute");
        }
        add(attributes, required(attribute, "Name")?.to_owned(), &values);
    }
    Ok(())
}
