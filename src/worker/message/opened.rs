//! A sealed message once its parts are open: each is put where it was, and the whole is looked at again, whether it has
//! stayed there and is what may be sealed in that place.

use std::ops::Range;

use zeroize::Zeroizing;

use super::OCTETS;
use super::rejection::Problem;
use super::sealed::{invalid, parsed};
use crate::wire::Secret;
use crate::wire::unwrap::{KeyTransport, MOST_PART_OCTETS, PartCipher};
use crate::xml::chars::trim;
use crate::xml::{Element, Tree, names};

/// A piece of the source that is replaced.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) span: Range<usize>,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// The key and its list, which are not needed any more.
    Cut,
    /// The part of this number, in the order they are asked for, within the element around.
    Part { number: usize, around: Range<usize>, one: bool, of: Of, sealed: Sealed },
}

/// Where a part is.
#[derive(Debug)]
pub(super) enum Sealed {
    /// It is what the body holds.
    InBody,
    /// In the security header, by that id where it has one.
    InHeader(Option<String>),
}

/// What a part may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Whatever may be sealed there.
    Any,
    /// A SAML 2.0 assertion, for an element says so.
    Saml20,
    /// An assertion of either version.
    Assertion,
}

/// A message with its parts in their places.
pub struct Whole {
    /// As it is read.
    pub message: Zeroizing<String>,
    /// Which of it was sealed.
    pub were: Were,
    /// As it was before the body was opened, or what is signed of the header as it is sealed: what was signed may be
    /// this.
    pub earlier: Option<Zeroizing<String>>,
}

/// Puts the parts in their places and looks that they have stayed there.
pub(super) fn whole(source: &str, places: &[Place], within: &[Secret<MOST_PART_OCTETS>]) -> Result<Whole, Problem> {
    let bad = invalid("encryption: content that is not what was sealed there");
    let mut message = room(source, within);
    let mut moved = Moved::default();
    let mut done = 0;
    let mut parts = Vec::new();
    for Place { span, what } in places {
        // Neither within the other: elements that are read are of the header or the body.
        message.push_str(source.get(done..span.start).ok_or(bad)?);
        let start = message.len();
        if let What::Part { number, around, one, of, .. } = what {
            let text = std::str::from_utf8(within.get(*number).ok_or(bad)?.expose()).map_err(|_| bad)?;
            if message.len() + text.len() > OCTETS {
                return Err(invalid("encryption: too much is sealed"));
            }
            // Around an element it is nothing. Within content it is content, which a signature may cover.
            let text = if *one { trim(text) } else { text };
            message.push_str(text);
            parts.push((start..message.len(), around.clone(), *one, *of));
        }
        done = span.end;
        moved.note(span.end, message.len());
    }
    message.push_str(source.get(done..).ok_or(bad)?);
    let tree = parsed(message.as_bytes())?;
    let mut were = Were::default();
    for (span, around, one, of) in parts {
        let around = moved.to(around.start)..moved.to(around.end);
        let around = tree.elements().find(|element| element.span() == around).ok_or(bad)?;
        let mut there =
            around.children().filter(|child| span.start <= child.span().start && child.span().start < span.end);
        match (there.next(), there.next()) {
            (Some(element), None) if !one || element.span() == span => {
                may_be(element, around, of)?;
                were.note(element, around);
            }
            _ => return Err(bad),
        }
    }
    let earlier = earlier(source, places, within, &referred(&tree)).map_err(|()| bad)?;
    Ok(Whole { message, were, earlier })
}

/// Room for all of a message and its parts at once: growing would leave copies behind. And for no more than that, for
/// all of it is wiped.
fn room(source: &str, within: &[Secret<MOST_PART_OCTETS>]) -> Zeroizing<String> {
    let length = source.len() + within.iter().map(|part| part.expose().len()).sum::<usize>();
    Zeroizing::new(String::with_capacity(length))
}

/// The ids that the signature in the header refers to.
fn referred(tree: &Tree) -> Vec<&str> {
    let parent = |element: Element<'_>, uri, local| element.parent().is_some_and(|parent| parent.is(uri, local));
    let of_message = |element: &Element<'_>| {
        let signature = element.parent().and_then(|info| info.parent());
        element.is(names::DS, "Reference")
            && parent(*element, names::DS, "SignedInfo")
            && signature.is_some_and(|signature| parent(signature, names::WSSE, "Security"))
    };
    let references = tree.elements().filter(of_message);
    references.filter_map(|reference| reference.attribute("", "URI")?.strip_prefix('#')).collect()
}

/// The message as it came, but for what was sealed in its header and is not signed so; none where that is all.
fn earlier(
    source: &str,
    places: &[Place],
    within: &[Secret<MOST_PART_OCTETS>],
    signed: &[&str],
) -> Result<Option<Zeroizing<String>>, ()> {
    let stays = |sealed: &Sealed| match sealed {
        Sealed::InBody => true,
        Sealed::InHeader(id) => id.as_deref().is_some_and(|id| signed.contains(&id)),
    };
    if !places.iter().any(|place| matches!(&place.what, What::Part { sealed, .. } if stays(sealed))) {
        return Ok(None);
    }
    let mut message = room(source, within);
    let mut done = 0;
    for Place { span, what } in places {
        let What::Part { number, sealed, .. } = what else { continue };
        if stays(sealed) {
            continue;
        }
        let text = std::str::from_utf8(within.get(*number).ok_or(())?.expose()).map_err(drop)?;
        message.push_str(source.get(done..span.start).ok_or(())?);
        message.push_str(trim(text));
        done = span.end;
    }
    message.push_str(source.get(done..).ok_or(())?);
    Ok(Some(message))
}

/// Which parts of a request were sealed that an answer has, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Were {
    /// The body.
    pub body: bool,
    /// The signature.
    pub signature: bool,
    /// How.
    pub by: Option<(KeyTransport, PartCipher)>,
}

impl Were {
    fn note(&mut self, element: Element<'_>, around: Element<'_>) {
        if around.is(names::WSSE, "Security") {
            self.signature |= element.is(names::DS, "Signature");
        } else {
            self.body = true;
        }
    }
}

/// Nothing is sealed twice, and in the header only what proves a client.
fn may_be(element: Element<'_>, around: Element<'_>, of: Of) -> Result<(), Problem> {
    let new = element.is(names::SAML20, "Assertion");
    let assertion = new || element.is(names::SAML11, "Assertion");
    let proof = match of {
        Of::Any => assertion || element.is(names::WSSE, "UsernameToken") || element.is(names::DS, "Signature"),
        Of::Saml20 => new,
        Of::Assertion => assertion,
    };
    if around.is(names::WSSE, "Security") && !proof {
        return Err(invalid("encryption: sealed what need not be"));
    }
    Ok(())
}

/// Where places of the source are in the whole message.
#[derive(Debug, Default)]
struct Moved(Vec<(usize, usize)>);

impl Moved {
    fn note(&mut self, from: usize, to: usize) {
        self.0.push((from, to));
    }

    /// Of a place that is not within one that was replaced.
    fn to(&self, place: usize) -> usize {
        let (from, to) = self.0.iter().rev().find(|(from, _)| *from <= place).copied().unwrap_or_default();
        place - from + to
    }
}
