//! Messages as datagrams. A datagram is one octet of protocol version, one of what it carries, then payload:
//! whole messages, each behind its length, or a fragment of a message that is larger than one datagram. The
//! first octet of each message is the variant of the link's enum: it selects the permit row, and the row's
//! cap holds from the first fragment on. Messages that wait together go together, for a datagram costs the
//! same whatever is in it; each is judged as if it had come alone.

use std::collections::VecDeque;

use borsh::{BorshDeserialize, BorshSerialize};

use super::permit::{Link, Permit, State};

/// Goes up when an enum in `links` changes other than by appending, or a datagram.
pub const VERSION: u8 = 2;
/// Octets of the longest message that travels whole, and of each fragment but the last: a stock kernel's socket
/// buffer holds one and more.
pub const FRAGMENT: usize = 64 * 1024;
/// The largest datagram.
pub const DATAGRAM: usize = HEADER + PREFIX + FRAGMENT;
/// Messages that go together, at most: as many as a loop takes from one channel before others have their turn.
pub const TOGETHER: usize = 64;
/// Octets before the payload.
const HEADER: usize = 2;
/// Octets of a message's length, little-endian.
const PREFIX: usize = 4;
/// The payload is whole messages.
const WHOLE: u8 = 0;
/// It is a fragment, and not the last.
const MORE: u8 = 1;
/// It is the last fragment.
const LAST: u8 = 2;

/// The peer sent something that no honest peer sends. The channel is to be closed and nothing answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Shorter than its header or what it says of itself, unknown version or payload, an empty or under-full
    /// fragment, one that is out of place, too many messages.
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
    const BEFORE: usize = HEADER + PREFIX;
    let length = borsh::object_length(message).expect(SERIALISES);
    // Room for all of it at once: passwords travel here, and growing would leave copies behind.
    let mut octets = Vec::with_capacity(BEFORE + length);
    octets.extend_from_slice(&[VERSION, WHOLE]);
    octets.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    borsh::to_writer(&mut octets, message).expect(SERIALISES);
    if octets.len() <= DATAGRAM {
        return vec![octets];
    }
    let mut fragments: Vec<Vec<u8>> =
        octets[BEFORE..].chunks(FRAGMENT).map(|fragment| [&[VERSION, MORE], fragment].concat()).collect();
    if let Some(last) = fragments.last_mut() {
        last[1] = LAST;
    }
    // The datagrams are wiped when they are sent.
    zeroize::Zeroize::zeroize(&mut octets);
    fragments
}

/// How many of these datagrams can go as one, from the first on: they hold whole messages, and have room.
#[must_use]
pub fn fitting(datagrams: &VecDeque<Vec<u8>>) -> usize {
    let mut room = DATAGRAM;
    let fits = |datagram: &&Vec<u8>| {
        let length = if room == DATAGRAM { datagram.len() } else { datagram.len() - HEADER };
        let left = room.checked_sub(length).filter(|_| datagram[1] == WHOLE);
        room = left.unwrap_or(0);
        left.is_some()
    };
    datagrams.iter().take(TOGETHER).take_while(fits).count().max(1)
}

/// So many of them as one; as many as are fitting.
#[must_use]
pub fn join(datagrams: &VecDeque<Vec<u8>>, count: usize) -> Vec<u8> {
    let messages = || datagrams.iter().take(count).map(|datagram| &datagram[HEADER..]);
    let mut joined = Vec::with_capacity(HEADER + messages().map(<[u8]>::len).sum::<usize>());
    joined.extend_from_slice(&[VERSION, WHOLE]);
    messages().for_each(|message| joined.extend_from_slice(message));
    joined
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

    /// Takes one datagram, and adds what is whole now to `messages`.
    ///
    /// # Errors
    /// [`Violation`]: close the channel, and act on nothing that came in the same datagram.
    pub fn accept<M: BorshDeserialize>(
        &mut self,
        datagram: &[u8],
        messages: &mut VecDeque<M>,
    ) -> Result<(), Violation> {
        let [VERSION, carried, payload @ ..] = datagram else { return Err(Violation::Malformed) };
        match *carried {
            WHOLE if self.partial.is_empty() => {
                let mut rest = payload;
                for _ in 0..TOGETHER {
                    let message;
                    (message, rest) = split(rest).ok_or(Violation::Malformed)?;
                    let permit = self.permit(message[0], message.len())?;
                    messages.push_back(self.decode(permit, message)?);
                    if rest.is_empty() {
                        return Ok(());
                    }
                }
                Err(Violation::Malformed)
            }
            MORE if payload.len() == FRAGMENT => {
                self.grow(payload)?;
                Ok(())
            }
            LAST if !self.partial.is_empty() && (1..=FRAGMENT).contains(&payload.len()) => {
                let permit = self.grow(payload)?;
                let mut whole = std::mem::take(&mut self.partial);
                let message = self.decode(permit, &whole);
                zeroize::Zeroize::zeroize(&mut whole);
                messages.push_back(message?);
                Ok(())
            }
            _ => Err(Violation::Malformed),
        }
    }

    /// The row that lets a message that begins so be that long.
    fn permit(&self, tag: u8, length: usize) -> Result<&'static Permit, Violation> {
        let permit = Permit::find(self.link, tag).ok_or(Violation::Unpermitted)?;
        if !permit.states.contains(&self.state) {
            return Err(Violation::OutOfState);
        }
        if length > permit.cap { Err(Violation::Oversized) } else { Ok(permit) }
    }

    /// Adds a fragment, if what is there then may be that long.
    fn grow(&mut self, fragment: &[u8]) -> Result<&'static Permit, Violation> {
        let tag = *self.partial.first().unwrap_or(&fragment[0]);
        let permit = self.permit(tag, self.partial.len() + fragment.len())?;
        grow(&mut self.partial, fragment);
        Ok(permit)
    }

    fn decode<M: BorshDeserialize>(&mut self, permit: &Permit, message: &[u8]) -> Result<M, Violation> {
        let message = M::try_from_slice(message).map_err(|_| Violation::Undecodable)?;
        if let Some(next) = permit.then {
            self.state = next;
        }
        Ok(message)
    }
}

/// The first of several messages, and what is behind it.
fn split(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk::<PREFIX>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (message, rest) = rest.split_at_checked(length)?;
    (1..=FRAGMENT).contains(&length).then_some((message, rest))
}

#[cfg(test)]
mod tests {
    use super::super::bounded::{Octets, Text};
    use super::super::ids::{Correlation, Millis};
    use super::super::links::{FromAudit, IssuerToWorker, SignerReady, SignerToIssuer, WorkerToIssuer};
    use super::super::order::{Release, TokenType};
    use super::*;

    /// What one datagram has made whole, of one message at most.
    fn taken<M: BorshDeserialize>(assembler: &mut Assembler, datagram: &[u8]) -> Result<Option<M>, Violation> {
        let mut messages = VecDeque::new();
        assembler.accept(datagram, &mut messages)?;
        assert!(messages.len() < 2);
        Ok(messages.pop_front())
    }

    fn whole(message: &[u8]) -> Vec<u8> {
        [&[VERSION, WHOLE], u32::try_from(message.len()).unwrap().to_le_bytes().as_slice(), message].concat()
    }

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
                whole = taken::<IssuerToWorker>(&mut assembler, &datagram).unwrap();
            }
            let Some(IssuerToWorker::Released(back)) = whole else { panic!("no message") };
            assert_eq!(back.token.len(), size);
        }
    }

    #[test]
    fn a_message_is_cut_where_it_no_longer_fits_and_nowhere_else() {
        let overhead = encode(&release(0))[0].len() - HEADER - PREFIX;
        for (octets, datagrams) in
            [(FRAGMENT - 1, 1), (FRAGMENT, 1), (FRAGMENT + 1, 2), (2 * FRAGMENT, 2), (2 * FRAGMENT + 1, 3)]
        {
            let mut assembler = Assembler::new(Link::IssuerToWorker);
            let encoded = encode(&release(octets - overhead));
            assert_eq!(encoded.len(), datagrams, "{octets}");
            let whole: Vec<_> = encoded
                .iter()
                .map(|datagram| taken::<IssuerToWorker>(&mut assembler, datagram).unwrap().is_some())
                .collect();
            assert_eq!(whole.iter().position(|whole| *whole), Some(datagrams - 1), "{octets}");
        }
    }

    #[test]
    fn a_message_above_its_cap_is_refused_before_it_is_whole() {
        let mut assembler = Assembler::new(Link::WorkerToIssuer);
        let mut datagram = vec![VERSION, MORE, 0];
        datagram.resize(HEADER + FRAGMENT, 0);
        assert_eq!(taken::<WorkerToIssuer>(&mut assembler, &datagram).unwrap_err(), Violation::Oversized);
    }

    #[test]
    fn a_signer_says_nothing_before_it_is_ready_and_is_ready_once() {
        let mut assembler = Assembler::new(Link::SignerToIssuer);
        let signed = encode(&SignerToIssuer::Health { usable: true }).remove(0);
        assert_eq!(taken::<SignerToIssuer>(&mut assembler, &signed).unwrap_err(), Violation::OutOfState);
        let ready = encode(&SignerToIssuer::Ready(SignerReady {
            token_serial: Text::default(),
            token_label: Text::default(),
            sessions: 1,
            keys: crate::wire::List::default(),
        }))
        .remove(0);
        assert!(taken::<SignerToIssuer>(&mut assembler, &ready).unwrap().is_some());
        assert!(taken::<SignerToIssuer>(&mut assembler, &signed).unwrap().is_some());
        assert_eq!(taken::<SignerToIssuer>(&mut assembler, &ready).unwrap_err(), Violation::OutOfState);
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
                let datagram = match index {
                    0 if last == 0 => whole(fragment),
                    _ => [&[VERSION, if index == last { LAST } else { MORE }], fragment].concat(),
                };
                taken::<[u64; 1]>(&mut assembler, &datagram)
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
        let long = [&[VERSION, MORE][..], &[0; FRAGMENT + 1]].concat();
        let datagrams: [&[u8]; 11] = [
            &[],
            &[VERSION],
            &[VERSION, WHOLE],
            &[VERSION, 3, 0],
            &[VERSION, MORE, 0],
            &long,
            &[VERSION, LAST, 0],
            &[VERSION, WHOLE, 1, 0, 0],
            &[VERSION, WHOLE, 0, 0, 0, 0],
            &[VERSION, WHOLE, 2, 0, 0, 0, 0],
            &[1, WHOLE, 1, 0, 0, 0, 0],
        ];
        for datagram in datagrams {
            let mut assembler = Assembler::new(Link::AuditToIssuer);
            assert_eq!(taken::<FromAudit>(&mut assembler, datagram).unwrap_err(), Violation::Malformed, "{datagram:?}");
        }
        let mut assembler = Assembler::new(Link::AuditToIssuer);
        assert_eq!(taken::<FromAudit>(&mut assembler, &whole(&[200])).unwrap_err(), Violation::Unpermitted);
    }

    fn queue(messages: &[FromAudit]) -> VecDeque<Vec<u8>> {
        messages.iter().flat_map(encode).collect()
    }

    fn durable(sequence: u64) -> FromAudit {
        FromAudit::Durable { sequence }
    }

    #[test]
    fn messages_go_together_and_come_back_in_order_each_in_the_state_that_the_one_before_left() {
        let datagrams = queue(&[FromAudit::Head { entries: 3, last: None }, durable(1), durable(2)]);
        assert_eq!(fitting(&datagrams), 3);
        let mut assembler = Assembler::new(Link::AuditToIssuer);
        let mut messages = VecDeque::new();
        assembler.accept::<FromAudit>(&join(&datagrams, 3), &mut messages).unwrap();
        let [FromAudit::Head { .. }, FromAudit::Durable { sequence: 1 }, FromAudit::Durable { sequence: 2 }] =
            messages.make_contiguous()
        else {
            panic!("{messages:?}")
        };
        let mut assembler = Assembler::new(Link::AuditToIssuer);
        let datagrams = queue(&[durable(1), FromAudit::Head { entries: 3, last: None }]);
        assert_eq!(
            assembler.accept::<FromAudit>(&join(&datagrams, 2), &mut messages).unwrap_err(),
            Violation::OutOfState
        );
    }

    #[test]
    fn each_of_several_is_judged_by_its_own_row() {
        let good = encode(&durable(1)).remove(0);
        // `durable` has a kibibyte, and is not that long.
        let cases = [
            (vec![200], Violation::Unpermitted),
            (vec![1; 1025], Violation::Oversized),
            (vec![1; 10], Violation::Undecodable),
        ];
        for (bad, violation) in cases {
            for order in [[&good, &whole(&bad)], [&whole(&bad), &good]] {
                let datagrams = order.into_iter().cloned().collect();
                let mut assembler = Assembler { link: Link::AuditToIssuer, state: State::Open, partial: Vec::new() };
                let judged = assembler.accept::<FromAudit>(&join(&datagrams, 2), &mut VecDeque::new());
                assert_eq!(judged.unwrap_err(), violation);
            }
        }
    }

    #[test]
    fn as_many_go_together_as_one_datagram_and_one_turn_hold() {
        let datagrams: VecDeque<_> = (0..100).flat_map(|sequence| encode(&durable(sequence))).collect();
        assert_eq!(fitting(&datagrams), TOGETHER);
        let mut assembler = Assembler { link: Link::AuditToIssuer, state: State::Open, partial: Vec::new() };
        let mut messages = VecDeque::new();
        assembler.accept::<FromAudit>(&join(&datagrams, TOGETHER), &mut messages).unwrap();
        assert_eq!(messages.len(), TOGETHER);
        let judged = assembler.accept::<FromAudit>(&join(&datagrams, TOGETHER + 1), &mut messages);
        assert_eq!(judged.unwrap_err(), Violation::Malformed);
        // Two that fill a datagram to its last octet, and two with one octet more.
        let overhead = encode(&release(0))[0].len() - HEADER;
        for (more, together) in [(0, 2), (1, 1)] {
            let half = DATAGRAM / 2 - HEADER / 2 - overhead;
            let datagrams: VecDeque<_> =
                [half, half + more].into_iter().flat_map(|size| encode(&release(size))).collect();
            assert_eq!(fitting(&datagrams), together);
            assert!(join(&datagrams, together).len() <= DATAGRAM);
        }
        // Fragments go alone, and nothing goes with them.
        for sizes in [[1, 2 * FRAGMENT], [2 * FRAGMENT, 1]] {
            let mut datagrams: VecDeque<_> = sizes.into_iter().flat_map(|size| encode(&release(size))).collect();
            while !datagrams.is_empty() {
                assert_eq!(fitting(&datagrams), 1);
                datagrams.pop_front();
            }
        }
    }

    #[test]
    fn nothing_comes_between_the_fragments_of_a_message() {
        let fragments = encode(&release(FRAGMENT));
        let mut assembler = Assembler::new(Link::IssuerToWorker);
        assert!(taken::<IssuerToWorker>(&mut assembler, &fragments[0]).unwrap().is_none());
        let between = encode(&release(1)).remove(0);
        assert_eq!(taken::<IssuerToWorker>(&mut assembler, &between).unwrap_err(), Violation::Malformed);
    }
}
