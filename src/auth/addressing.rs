//! Which headers of WS-Addressing a signature or a MAC covers (R-W042). Where it covers the body, the message is its
//! client's own words, and whoever adds a header to it on its way has to be seen; so each must be covered. Where it
//! covers time and address alone (R-W043), TLS keeps the rest, these headers among it.
//!
//! What is covered auth has verified; which headers there are is the worker's word, for auth parses nothing that was
//! not. A worker that was taken over may say that there are none, and gains nothing: auth acts on `wsa:To` alone, and
//! on that as it was signed; what the others do, to be echoed and compared, they do in the worker. Of one that is
//! signed it cannot say that it is not there.

use super::reason::Reason;
use super::signature::Unproven;
use crate::config::auth::endpoint::Endpoint;
use crate::wire::evidence::AddressingHeader;

/// What is covered of the headers that a message is said to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Coverage {
    /// All of them.
    Whole,
    /// None of this name, at least.
    Outside(AddressingHeader),
    /// One of this name, and not another of it: which of them somebody acts on would be for whoever added it to choose.
    Beside(AddressingHeader),
    /// One of this name that is not said to be there.
    LeftOut,
}

impl Coverage {
    /// Of those that are said to be there, when these are covered. What is worst is said.
    pub(super) fn of(said: &[AddressingHeader], covered: &[AddressingHeader]) -> Self {
        let mut worst = Self::Whole;
        for header in AddressingHeader::ALL {
            let count = |all: &[AddressingHeader]| all.iter().filter(|one| **one == header).count();
            match (count(said), count(covered)) {
                (there, signed) if signed > there => return Self::LeftOut,
                (there, signed) if signed == there => {}
                (_, 0) if worst == Self::Whole => worst = Self::Outside(header),
                (_, 0) => {}
                _ => worst = Self::Beside(header),
            }
        }
        worst
    }

    /// May it be so at this endpoint, of a message whose body is covered or is not? True where a leniency lets it be.
    ///
    /// # Errors
    /// [`Reason::UnsignedAddressing`], and which header it is.
    pub(super) fn judge(self, endpoint: &Endpoint, body: bool) -> Result<bool, Unproven> {
        let refused = |which: &str, header: AddressingHeader| {
            Err(Unproven::by(Reason::UnsignedAddressing, &format!("{which}wsa:{} is not signed", header.name())))
        };
        match self {
            Self::Beside(header) => refused("another ", header),
            Self::Outside(header) if body && !endpoint.unsigned_addressing => refused("", header),
            Self::Outside(_) => Ok(body),
            Self::Whole | Self::LeftOut => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AddressingHeader::{Action, MessageId, RelatesTo, To};

    #[test]
    fn each_header_that_is_there_is_covered_or_named_r_w042() {
        assert_eq!(Coverage::of(&[], &[]), Coverage::Whole);
        assert_eq!(Coverage::of(&AddressingHeader::ALL, &AddressingHeader::ALL), Coverage::Whole);
        for missing in AddressingHeader::ALL {
            let covered: Vec<_> = AddressingHeader::ALL.into_iter().filter(|header| *header != missing).collect();
            assert_eq!(Coverage::of(&AddressingHeader::ALL, &covered), Coverage::Outside(missing));
            assert_eq!(Coverage::of(&covered, &AddressingHeader::ALL), Coverage::LeftOut);
        }
    }

    #[test]
    fn one_beside_another_of_its_name_is_worse_than_one_outside_and_one_left_out_worse_than_both() {
        let said = [To, Action, RelatesTo, RelatesTo];
        assert_eq!(Coverage::of(&said, &[To, Action, RelatesTo]), Coverage::Beside(RelatesTo));
        assert_eq!(Coverage::of(&said, &[RelatesTo, RelatesTo]), Coverage::Outside(To));
        assert_eq!(Coverage::of(&said, &[RelatesTo]), Coverage::Beside(RelatesTo));
        assert_eq!(Coverage::of(&said, &[RelatesTo, RelatesTo, MessageId]), Coverage::LeftOut);
    }
}
