//! A SAML 1.1 assertion by the order of its schema (saml.md 4.2). Every statement names a subject of its own; they
//! must all be the same one.

use super::read::{
    self, Assertion, Attributes, Condition, Confirmation, ConfirmationMethod, MANY, MOST_CONFIRMATIONS, Read, Subject,
    add, children, keys, moment, only, qualifiers, required, text, uri,
};
use crate::wire::Millis;
use crate::xml::{Element, names};

const BEARER: &str = "urn:oasis:names:tc:SAML:1.0:cm:bearer";
const HOLDER_OF_KEY: &str = "urn:oasis:names:tc:SAML:1.0:cm:holder-of-key";
const SENDER_VOUCHES: &str = "urn:oasis:names:tc:SAML:1.0:cm:sender-vouches";

fn is(element: Element<'_>, local: &str) -> bool {
    element.is(names::SAML11, local)
}

/// Reads one.
pub(super) fn read(root: Element<'_>) -> Read<Assertion> {
    if !is(root, "Assertion") {
        return Err("not an assertion");
    }
    only(root, &["AssertionID", "IssueInstant", "Issuer", "MajorVersion", "MinorVersion"])?;
    if (required(root, "MajorVersion")?, required(root, "MinorVersion")?) != ("1", "1") {
        return Err("another version");
    }
    let children = children(root)?;
    let [conditions, rest @ ..] = &children[..] else { return Err("not conditions first") };
    let (conditions, one_time) = read::conditions(names::SAML11, *conditions, condition)?;
    // What stands in an advice may be passed over, and is (R-S035).
    let statements = match rest {
        [advice, statements @ ..] if is(*advice, "Advice") => statements,
        statements => statements,
    };
    let (mut subject, mut authenticated, mut attributes) = (None, None, Attributes::new());
    for statement in statements {
        let about = if is(*statement, "AuthenticationStatement") {
            let (about, instant) = read_authentication(*statement)?;
            if authenticated.replace(instant).is_some() {
                return Err("two authentications");
            }
            about
        } else if is(*statement, "AttributeStatement") {
            read_attributes(*statement, &mut attributes)?
        } else {
            return Err("a statement that is not taken");
        };
        match &subject {
            None => subject = Some(about),
            Some(same) if *same == about => {}
            Some(_) => return Err("statements about two subjects"),
        }
    }
    Ok(Assertion {
        id: required(root, "AssertionID")?.to_owned(),
        issuer: required(root, "Issuer")?.to_owned(),
        issued: moment(root, "IssueInstant")?.ok_or("an attribute missing")?,
        subject: subject.ok_or("no statement")?,
        conditions,
        one_time,
        authenticated: authenticated.ok_or("no authentication")?,
        session_until: None,
        attributes,
    })
}

/// What a condition is.
fn condition(element: Element<'_>) -> Read<Condition> {
    if is(element, "AudienceRestrictionCondition") {
        Ok(Condition::Audiences)
    } else if is(element, "DoNotCacheCondition") {
        Ok(Condition::Once)
    } else {
        Err("a condition that is not known")
    }
}

fn read_subject(element: Element<'_>) -> Read<Subject> {
    if !is(element, "Subject") {
        return Err("no subject");
    }
    only(element, &[])?;
    let inside = children(element)?;
    let (name, confirmation) = match inside[..] {
        [name, confirmation] if is(name, "NameIdentifier") => (Some(name), confirmation),
        [confirmation] => (None, confirmation),
        _ => return Err("a subject without a name or a confirmation"),
    };
    if !is(confirmation, "SubjectConfirmation") {
        return Err("a subject without a name or a confirmation");
    }
    if let Some(name) = name {
        only(name, &["Format", "NameQualifier"])?;
    }
    only(confirmation, &[])?;
    let inside = children(confirmation)?;
    let methods = inside.iter().take_while(|child| is(**child, "ConfirmationMethod")).count();
    let (methods, more) = inside.split_at(methods);
    if methods.len() > MOST_CONFIRMATIONS {
        return Err(MANY);
    }
    let keys = keys(more);
    let confirmation = |method: &Element<'_>| {
        let method = match uri(*method)?.as_str() {
            BEARER => ConfirmationMethod::Bearer,
            HOLDER_OF_KEY => ConfirmationMethod::HolderOfKey,
            SENDER_VOUCHES => ConfirmationMethod::SenderVouches,
            _ => ConfirmationMethod::Other,
        };
        Ok(Confirmation::unbound(method, keys.clone()))
    };
    Ok(Subject {
        name: name.map(text).transpose()?,
        qualifiers: qualifiers(name),
        confirmations: methods.iter().map(confirmation).collect::<Read<_>>()?,
    })
}

fn read_authentication(element: Element<'_>) -> Read<(Subject, Millis)> {
    only(element, &["AuthenticationMethod", "AuthenticationInstant"])?;
    let inside = children(element)?;
    let known = |child: &Element<'_>| is(*child, "SubjectLocality");
    let [subject, rest @ ..] = &inside[..] else { return Err("no subject") };
    // An AuthorityBinding says where to fetch more.
    if rest.len() > 1 || !rest.iter().all(known) {
        return Err("more in an authentication than where it was");
    }
    Ok((read_subject(*subject)?, moment(element, "AuthenticationInstant")?.ok_or("an attribute missing")?))
}

fn read_attributes(element: Element<'_>, attributes: &mut Attributes) -> Read<Subject> {
    only(element, &[])?;
    let inside = children(element)?;
    let [subject, rest @ ..] = &inside[..] else { return Err("no subject") };
    for attribute in rest {
        if !is(*attribute, "Attribute") {
            return Err("something else than attributes");
        }
        only(*attribute, &["AttributeName", "AttributeNamespace"])?;
        let values = children(*attribute)?;
        if !values.iter().all(|value| is(*value, "AttributeValue")) {
            return Err("something else than values in an attribute");
        }
        let name = (required(*attribute, "AttributeNamespace")?, required(*attribute, "AttributeName")?);
        add(attributes, format!("{}/{}", name.0, name.1), &values);
    }
    read_subject(*subject)
}
