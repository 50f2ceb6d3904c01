//! Headers of WS-Addressing under a signature (R-W042), one by one: what stands outside is somebody else's, as far as
//! anybody knows, and a worker that hides it has its own word for it and nothing more.

use chancery::wire::evidence::{AddressingHeader, Evidence, Refusal, SignedMessage, Submission};
use chancery::wire::order::RequestIntegrity;
use chancery::wire::{List, Millis};

use super::support::signed::{Client, Part};
use super::{ADDRESS, eventually, office, parts, submission};
use AddressingHeader::{Action, From, RelatesTo, ReplyTo, To};

/// Each header there is.
fn headers() -> Vec<Part> {
    let content = |header| if header == To { ADDRESS } else { "urn:uuid:1" };
    AddressingHeader::ALL.map(|header| Part::header(header, content(header))).to_vec()
}

/// A message that has these headers and signs those parts.
fn having(client: &Client, there: &[AddressingHeader], signed: &[Part]) -> SignedMessage {
    SignedMessage { addressing: List::new(there).unwrap(), ..client.message(signed) }
}

/// The timestamp and the body, and these.
fn with(now: Millis, headers: &[Part]) -> Vec<Part> {
    let [timestamp, _, body] = parts(now);
    [&[timestamp, body], headers].concat()
}

fn all_but(left_out: AddressingHeader) -> Vec<Part> {
    headers().into_iter().filter(|part| part.id != left_out.name()).collect()
}

/// The last word in the record.
fn last(office: &super::Office) -> String {
    office.decisions().pop().unwrap().1
}

#[test]
fn each_header_that_is_left_out_of_the_signature_of_a_body_is_refused_r_w042() {
    let client = Client::new();
    let office = office(&client, "");
    let mut worker = office.worker();
    let now = Millis::now();
    for header in AddressingHeader::ALL {
        let message = having(&client, &AddressingHeader::ALL, &with(now, &all_but(header)));
        assert_eq!(worker.refused(submission(message, now)), Refusal::InvalidSecurity, "{header:?}");
        assert_eq!(last(&office), if header == To { "misaddressed" } else { "unsigned-addressing" }, "{header:?}");
    }
    worker.vouched(submission(having(&client, &AddressingHeader::ALL, &with(now, &headers())), now));
    assert_eq!(office.lodged().order.request, RequestIntegrity::Signed);
    // Nothing is missed of a message that has none but wsa:To.
    worker.vouched(submission(client.message(&with(now, &[Part::to(ADDRESS)])), now));
}

#[test]
fn a_leniency_lets_them_pass_and_no_other_does_r_w042() {
    let client = Client::new();
    let now = Millis::now();
    let unsigned = |header| submission(having(&client, &AddressingHeader::ALL, &with(now, &all_but(header))), now);
    let lenient = office(&client, "leniencies = [\"unsigned-addressing\"]");
    let mut worker = lenient.worker();
    for header in AddressingHeader::ALL.into_iter().filter(|header| *header != To) {
        worker.vouched(unsigned(header));
        assert_eq!(lenient.lodged().order.request, RequestIntegrity::Signed);
    }
    // Whom a message is for is another matter.
    assert_eq!(worker.refused(unsigned(To)), Refusal::InvalidSecurity);
    assert_eq!(last(&lenient), "misaddressed");
    let absent = office(&client, "leniencies = [\"to-absent\", \"enveloped-transform\"]");
    let mut worker = absent.worker();
    for header in AddressingHeader::ALL {
        assert_eq!(worker.refused(unsigned(header)), Refusal::InvalidSecurity, "{header:?}");
        assert_eq!(last(&absent), "unsigned-addressing", "{header:?}");
    }
    // A vCenter has no such headers, and signs none.
    worker.vouched(submission(client.message(&with(now, &[])), now));
    let both = office(&client, "leniencies = [\"to-absent\", \"unsigned-addressing\"]");
    both.worker().vouched(unsigned(To));
}

#[test]
fn a_second_header_beside_one_that_is_signed_is_refused_whatever_is_let_pass_r_w042() {
    let client = Client::new();
    let now = Millis::now();
    let one = Part::header(RelatesTo, "urn:uuid:1");
    let other = Part { id: "RelatesTo2", octets: one.octets.replace("\"RelatesTo\"", "\"RelatesTo2\"") };
    let twice = [RelatesTo, To, RelatesTo];
    let [timestamp, to, body] = parts(now);
    let whole = [timestamp.clone(), to.clone(), body];
    let endorsed = [timestamp, to];
    for more in ["", "leniencies = [\"to-absent\", \"unsigned-addressing\"]"] {
        let office = office(&client, more);
        let mut worker = office.worker();
        // Whether the body is signed or not.
        for signed in [&whole[..], &endorsed] {
            let beside = [signed, std::slice::from_ref(&one)].concat();
            let refused = worker.refused(submission(having(&client, &twice, &beside), now));
            assert_eq!((refused, last(&office).as_str()), (Refusal::InvalidSecurity, "unsigned-addressing"), "{more}");
        }
        // Two references to one of them are not two, and no signature has those.
        let counted_twice = [&whole[..], &[one.clone(), one.clone()]].concat();
        let counted_twice = submission(having(&client, &twice, &counted_twice), now);
        assert_eq!(worker.refused(counted_twice), Refusal::InvalidSecurity, "{more}");
        // Nor to one by another of its ids.
        let octets =
            one.octets.replace(" u:Id=", " u:Id=\"RelatesTo\" xml:id=").replace("xml:id=\"RelatesTo\"", "xml:id=\"r\"");
        let two_ids = [Part { octets: octets.clone(), ..one.clone() }, Part { id: "r", octets }];
        let by_both = having(&client, &[RelatesTo, To], &[&whole[..], &two_ids].concat());
        assert_eq!(worker.refused(submission(by_both, now)), Refusal::InvalidSecurity, "{more}");
        worker.vouched(submission(client.message(&[&whole[..], &[one.clone(), other.clone()]].concat()), now));
    }
    // Of any other there is one.
    let second = Part { id: "From2", octets: Part::header(From, "urn:1").octets.replace("\"From\"", "\"From2\"") };
    let from = client.message(&[&whole[..], &[Part::header(From, "urn:1"), second]].concat());
    let strict = office(&client, "");
    assert_eq!(strict.worker().refused(submission(from, now)), Refusal::InvalidSecurity);
    assert_eq!(last(&strict), "unreadable-signature");
}

#[test]
fn a_signature_that_endorses_over_tls_covers_time_and_address_and_leaves_other_headers_to_tls_r_w043() {
    let client = Client::new();
    let office = office(&client, "");
    let now = Millis::now();
    let [timestamp, to, _] = parts(now);
    office.worker().vouched(submission(having(&client, &AddressingHeader::ALL, &[timestamp.clone(), to]), now));
    assert_eq!(office.lodged().order.request, RequestIntegrity::Transport);
    let nowhere = having(&client, &AddressingHeader::ALL, &[timestamp]);
    assert_eq!(office.worker().refused(submission(nowhere, now)), Refusal::InvalidSecurity);
    assert_eq!(last(&office), "misaddressed");
}

#[test]
fn a_worker_that_leaves_out_a_header_that_is_signed_loses_its_channel() {
    let client = Client::new();
    let office = office(&client, "leniencies = [\"unsigned-addressing\"]");
    let now = Millis::now();
    for (who, said) in [("urn:one", &[][..]), ("urn:two", &[To, ReplyTo, Action])] {
        let mut worker = office.worker();
        let signed = with(now, &[all_but(From), vec![Part::header(From, who)]].concat());
        worker.submit(submission(having(&client, said, &signed), now));
        eventually("auth hangs up", || match worker.duplex.receive() {
            Err(_) => Some(()),
            Ok(None) => None,
            Ok(Some(answer)) => panic!("answered: {answer:?}"),
        });
        assert_eq!(last(&office), "contradicted");
    }
}

#[test]
fn a_worker_that_hides_one_that_is_not_signed_gets_what_it_would_without_it() {
    let client = Client::new();
    let office = office(&client, "");
    let now = Millis::now();
    let signed = with(now, &[Part::to(ADDRESS)]);
    let sent: Submission = submission(having(&client, &[To], &signed), now);
    let Evidence::Signature(message) = &sent.evidence else { panic!("a signature") };
    assert_eq!(message.addressing.len(), 1, "whatever there was in the message");
    office.worker().vouched(sent);
    let order = office.lodged().order;
    assert_eq!((order.subject.account.as_str(), order.request), ("sam", RequestIntegrity::Signed));
}
