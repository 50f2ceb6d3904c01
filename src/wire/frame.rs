//! Messages as datagrams. A datagram is one octet of protocol version, one of flags, then payload; a
//! message larger than one datagram travels as consecutive datagrams, all but the last with `MORE` set.
//! The first octet of the reassembled message is the variant of the link's enum: it selects the permit
//! row, and the row's cap holds from the first fragment on.

use borsh::{BorshDeserialize, BorshSerialize};

use super::permit::{Link, Permit, State};

/// Goes up when an enum in `links` changes other than by appending.
pub const VERSION: u8 = 1;
/// Payload octets of one datagram: a stock kernel's socket buffer holds one and more.
pub const FRAGMENT: usize = 64 * 1024;
/// The largest datagram.
pub const DATAGRAM: usize = FRAGMENT + 2;
const MORE: u8 = 1;

/// The peer sent something that no honest peer sends. The channel is to be closed and nothing answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Shorter than its header, unknown version or flags, an empty or under-full fragment.
    Malformed,
    /// No permit row for this variant on this link.
    Unpermitted,
    /// The row does not allow it in this state.
    OutOfState,
    /// Larger than the row's cap.
    Oversized,
    /// The octets do not decode to exactly one message.
    Undecodable,
    /// The message decodes but breaks a rule of its process; the word says which.
    Rule(&'static str),
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed datagram",
            Self::Unpermitted => "message not permitted on this link",
            Self::OutOfState => "message out of state",
            Self::Oversized => "message larger than its cap",
            Self::Undecodable => "message does not decode",
            Self::Rule(rule) => rule,
        })
    }
}

impl std::error::Error for Violation {}

/// The message as datagrams, in order.
///
/// # Panics
/// When a bounded type of ours does not serialise, which none can.
pub fn encode(message: &impl BorshSerialize) -> Vec<Vec<u8>> {
    const SERIALISES: &str = "bounded types serialise into memory";
    // Room for all of it at once: passwords travel here, and growing would leave copies behind.
    let mut octets = Vec::with_capacity(borsh::object_length(message).expect(SERIALISES) + 2);
    octets.extend_from_slice(&[VERSION, 0]);
    borsh::to_writer(&mut octets, message).expect(SERIALISES);
    if octets.len() <= DATAGRAM {
        return vec![octets];
    }
    let mut fragments: Vec<Vec<u8>> =
        octets[2..].chunks(FRAGMENT).map(|fragment| [&[VERSION, MORE], fragment].concat()).collect();
    if let Some(last) = fragments.last_mut() {
        last[1] = 0;
    }
    // The datagrams are wiped when they are sent.
    zeroize::Zeroize::zeroize(&mut octets);
    fragments
}

/// Adds to what has come. Growing leaves no copy behind.
fn grow(partial: &mut Vec<u8>, more: &[u8]) {
    let wanted = partial.len() + more.len();
    if partial.capacity() < wanted {
        let mut larger = Vec::with_capacity(wanted * 2);
        larger.extend_from_slice(partial);
        zeroize::Zeroize::zeroize(partial);
        *partial = larger;
    }
    partial.extend_from_slice(more);
}

/// Puts one direction of one channel together again.
#[derive(Debug)]
pub struct Assembler {
    link: Link,
    state: State,
    partial: Vec<u8>,
}

impl Drop for Assembler {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.partial);
    }
}

impl Assembler {
    /// For messages arriving over `link`, in [`State::Opening`].
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { link, state: State::Opening, partial: Vec::new() }
    }

    /// The state messages are judged in.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes one datagram; gives a message when it was the last of one.
    ///
    /// # Errors
    /// [`Violation`]: close the channel.
    pub fn accept<M: BorshDeserialize>(&mut self, datagram: &[u8]) -> Result<Option<M>, Violation> {
        let [VERSION, flags, payload @ ..] = datagram else { return Err(Violation::Malformed) };
        let more = match *flags {
            0 => false,
            MORE if payload.len() == FRAGMENT => true,
            _ => return Err(Violation::Malformed),
        };
        if payload.is_empty() || payload.len() > FRAGMENT {
            return Err(Violation::Malformed);
        }
        let tag = *self.partial.first().unwrap_or(&payload[0]);
        let permit = Permit::find(self.link, tag).ok_or(Violation::Unpermitted)?;
        if !permit.states.contains(&self.state) {
            return Err(Violation::OutOfState);
        }
        if self.partial.len() + payload.len() > permit.cap {
            return Err(Violation::Oversized);
        }
        if more {
            grow(&mut self.partial, payload);
            return Ok(None);
        }
        let message = if self.partial.is_empty() {
            M::try_from_slice(payload)
        } else {
            grow(&mut self.partial, payload);
            let whole = M::try_from_slice(&self.partial);
            zeroize::Zeroize::zeroize(&mut self.partial);
            whole
        };
        let message = message.map_err(|_| Violation::Undecodable)?;
        if let Some(next) = permit.then {
            self.state = next;
        }
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bounded::{Octets, Text};
    use super::super::ids::{Correlation, Millis};
    use super::super::links::{FromAudit, IssuerToWorker, SignerReady, SignerToIssuer, WorkerToIssuer};
    use super::super::order::{Release, TokenType};
    use super::*;

    fn release(size: usize) -> IssuerToWorker {
        IssuerToWorker::Released(Release {
            correlation: Correlation::random(),
            token: Octets::new(vec![7; size]).unwrap(),
            token_type: TokenType::Saml20,
            token_id: Text::new("_1").unwrap(),
            created: Millis(0),
            expires: Millis(1),
        })
    }

    #[test]
    fn a_large_message_comes_back_whole() {
        for size in [0, 1, FRAGMENT - 200, FRAGMENT, 3 * FRAGMENT + 5] {
            let mut assembler = Assembler::new(Link::IssuerToWorker);
            let mut whole = None;
            for datagram in encode(&release(size)) {
                assert!(whole.is_none());
                whole = assembler.accept::<IssuerToWorker>(&datagram).unwrap();
            }
            let Some(IssuerToWorker::Released(back)) = whole else { panic!("no message") };
            assert_eq!(back.token.len(), size);
        }
    }

    #[test]
    fn a_message_is_cut_where_it_no_longer_fits_and_nowhere_else() {
        let overhead = encode(&release(0))[0].len() - 2;
        for (octets, datagrams) in
            [(FRAGMENT - 1, 1), (FRAGMENT, 1), (FRAGMENT + 1, 2), (2 * FRAGMENT, 2), (2 * FRAGMENT + 1, 3)]
        {
            let mut assembler = Assembler::new(Link::IssuerToWorker);
            let encoded = encode(&release(octets - overhead));
            assert_eq!(encoded.len(), datagrams, "{octets}");
            let whole: Vec<_> = encoded
                .iter()
                .map(|datagram| assembler.accept::<IssuerToWorker>(datagram).unwrap().is_some())
                .collect();
            assert_eq!(whole.iter().position(|whole| *whole), Some(datagrams - 1), "{octets}");
        }
    }

    #[test]
    fn a_message_above_its_cap_is_refused_before_it_is_whole() {
        let mut assembler = Assembler::new(Link::WorkerToIssuer);
        let mut datagram = vec![VERSION, MORE, 0];
        datagram.resize(DATAGRAM, 0);
        assert_eq!(assembler.accept::<WorkerToIssuer>(&datagram).unwrap_err(), Violation::Oversized);
    }

    #[test]
    fn a_signer_says_nothing_before_it_is_ready_and_is_ready_once() {
        let mut assembler = Assembler::new(Link::SignerToIssuer);
        let signed = encode(&SignerToIssuer::Health { usable: true }).remove(0);
        assert_eq!(assembler.accept::<SignerToIssuer>(&signed).unwrap_err(), Violation::OutOfState);
        let ready = encode(&SignerToIssuer::Ready(SignerReady {
            token_serial: Text::default(),
            token_label: Text::default(),
            sessions: 1,
            keys: crate::wire::List::default(),
        }))
        .remove(0);
        assert!(assembler.accept::<SignerToIssuer>(&ready).unwrap().is_some());
        assert!(assembler.accept::<SignerToIssuer>(&signed).unwrap().is_some());
        assert_eq!(assembler.accept::<SignerToIssuer>(&ready).unwrap_err(), Violation::OutOfState);
    }

    #[test]
    fn every_row_holds_in_its_states_and_up_to_its_cap_and_no_further() {
        // A message of that many octets that decodes to nothing, up to the datagram that decides.
        let judged = |permit: &Permit, state, size: usize| {
            let mut assembler = Assembler { link: permit.link, state, partial: Vec::new() };
            let mut octets = vec![0xFF; size];
            octets[0] = permit.tag;
            let last = size.div_ceil(FRAGMENT) - 1;
            let mut fragments = octets.chunks(FRAGMENT).enumerate().map(|(index, fragment)| {
                let datagram = [&[VERSION, if index == last { 0 } else { MORE }], fragment].concat();
                assembler.accept::<[u64; 1]>(&datagram)
            });
            fragments.find_map(Result::err).expect("it does not decode")
        };
        for permit in super::super::permit::PERMITS {
            for state in [State::Opening, State::Open] {
                let (within, above) = (judged(permit, state, permit.cap), judged(permit, state, permit.cap + 1));
                if permit.states.contains(&state) {
                    assert_eq!((within, above), (Violation::Undecodable, Violation::Oversized), "{permit:?}");
                } else {
                    assert_eq!((within, above), (Violation::OutOfState, Violation::OutOfState), "{permit:?}");
                }
            }
        }
    }

    #[test]
    fn headers_nobody_writes_are_violations() {
        for datagram in [&[][..], &[VERSION], &[VERSION, 0], &[VERSION, 2, 0], &[VERSION, MORE, 0], &[9, 0, 0]] {
            let mut assembler = Assembler::new(Link::AuditToIssuer);
            assert_eq!(assembler.accept::<FromAudit>(datagram).unwrap_err(), Violation::Malformed, "{datagram:?}");
        }
        let mut assembler = Assembler::new(Link::AuditToIssuer);
        assert_eq!(assembler.accept::<FromAudit>(&[VERSION, 0, 200]).unwrap_err(), Violation::Unpermitted);
    }
}
