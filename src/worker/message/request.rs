//! The request for a token in the body: whether this endpoint offers it, under that action, and what the reply
//! has to remember of it. The grammar is `trust::request`'s.

use super::Leniency;
use super::fault::Fault;
use super::rejection::Problem;
use super::shape::Shape;
use crate::config::worker::{Endpoint, Trust as Versions};
use crate::trust::identifiers::Trust;
use crate::trust::{Oddity, request};
use crate::wire::evidence::{KeyType, Wish};
use crate::xml::Element;

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
    let trust = request::version(element)?;
    let offered = match endpoint.trust {
        Versions::V13 => trust == Trust::V13,
        Versions::V2005 => trust == Trust::V2005,
        Versions::Any => true,
    };
    if !offered {
        return Err(bad("trust: version not offered here"));
    }
    shape.trust = trust;
    check_action(action, trust)?;
    let said = request::read(element, trust, &mut |oddity| shape.passes(endpoint, oddity))?;
    shape.context = said.context.map(str::to_owned);
    shape.asked = said.asked;
    shape.applies_to = said.wish.applies_to.as_deref().map(str::to_owned);
    shape.key_type = said.wish.key_type.unwrap_or(KeyType::Bearer);
    Ok(said.wish)
}

/// The action must be that of this very request (R-T002).
fn check_action(action: Option<&str>, trust: Trust) -> Result<(), Problem> {
    let Some(action) = action else { return Ok(()) };
    if action == trust.action() {
        Ok(())
    } else if trust.path_in(action).is_some() {
        Err(Problem::new(Fault::InvalidRequest, "trust: action of another request"))
    } else if trust.other().path_in(action).is_some() {
        Err(bad("trust: action of another version"))
    } else {
        Err(Problem::new(Fault::ActionNotSupported, "trust: unknown action"))
    }
}

impl Shape {
    /// Is this client bug tolerated here? Then it is noted.
    pub(super) fn passes(&mut self, endpoint: &Endpoint, oddity: Oddity) -> bool {
        let leniency = match oddity {
            Oddity::UnknownElement => Leniency::UnknownRequestElement,
            Oddity::Delegatable => Leniency::DelegatableIgnored,
            Oddity::UnqualifiedTimestampId => Leniency::TimestampIdUnqualified,
        };
        let tolerated = endpoint.tolerates(leniency);
        if tolerated {
            self.note(leniency);
        }
        tolerated
    }
}
