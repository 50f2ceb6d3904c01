use super::Unusable;
use super::ap_req::Request;
use super::binary;
use super::checksum::{Checksum, hashed};
use super::der::{Values, number, only, written};
use super::spnego::First;

const SPNEGO: [u8; 6] = [0x2B, 6, 1, 5, 5, 2];
const KERBEROS: [u8; 9] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 1, 2, 2];
const OF_WINDOWS: [u8; 9] = [0x2A, 0x86, 0x48, 0x82, 0xF7, 0x12, 1, 2, 2];
const NTLM: [u8; 10] = [0x2B, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 10];

fn row(values: &[Vec<u8>]) -> Vec<u8> {
    written(0x30, &values.concat())
}

fn field(number: u8, value: &[u8]) -> Vec<u8> {
    written(0xA0 | number, value)
}

fn encrypted(kind: u8, cipher: &[u8]) -> Vec<u8> {
    row(&[field(0, &[2, 1, kind]), field(1, &[2, 1, 2]), field(2, &written(4, cipher))])
}

/// What an `AP-REQ` is made of.
struct Made<'a> {
    version: u8,
    options: &'a [u8],
    realm: &'a str,
    service: &'a [&'a str],
    kinds: [u8; 2],
    cipher: Vec<u8>,
}

impl Made<'_> {
    fn usual() -> Self {
        let service = &["HTTP", "sts.example.com"];
        let options = &[0, 0x20, 0, 0, 0];
        Self { version: 5, options, realm: "EXAMPLE.COM", service, kinds: [18, 18], cipher: vec![7; 300] }
    }

    fn octets(&self) -> Vec<u8> {
        let components: Vec<Vec<u8>> = self.service.iter().map(|one| written(0x1B, one.as_bytes())).collect();
        let name = row(&[field(0, &[2, 1, 2]), field(1, &row(&components))]);
        let ticket = row(&[
            field(0, &[2, 1, 5]),
            field(1, &written(0x1B, self.realm.as_bytes())),
            field(2, &name),
            field(3, &encrypted(self.kinds[0], b"a ticket")),
        ]);
        let fields = row(&[
            field(0, &[2, 1, self.version]),
            field(1, &[2, 1, 14]),
            field(2, &written(3, self.options)),
            field(3, &written(0x61, &ticket)),
            field(4, &encrypted(self.kinds[1], &self.cipher)),
        ]);
        written(0x6E, &fields)
    }
}

fn bare(request: &[u8]) -> Vec<u8> {
    written(0x60, &[&written(6, &KERBEROS)[..], &[1, 0], request].concat())
}

fn first(mechanisms: &[&[u8]], token: Option<&[u8]>) -> Vec<u8> {
    let list: Vec<Vec<u8>> = mechanisms.iter().map(|oid| written(6, oid)).collect();
    let mut fields = vec![field(0, &row(&list))];
    fields.extend(token.map(|token| field(2, &written(4, token))));
    written(0x60, &[written(6, &SPNEGO), field(0, &row(&fields))].concat())
}

#[test]
fn a_binary_token_is_what_it_is_said_to_be_and_never_negotiates() {
    let usual = Made::usual().octets();
    let (in_frame, weak) = (bare(&usual), Made { kinds: [23, 18], ..Made::usual() }.octets());
    assert_eq!(binary::framed(&in_frame).unwrap().octets, usual);
    assert_eq!(binary::bare(&usual).unwrap().octets, usual);
    let ntlm = first(&[&NTLM], Some(b"NTLMSSP\0"));
    let shape = |why| matches!(why, Unusable::Shape(_));
    assert!(shape(binary::framed(&usual).unwrap_err()) && shape(binary::bare(&in_frame).unwrap_err()));
    assert!(shape(binary::framed(&[]).unwrap_err()) && shape(binary::bare(&[]).unwrap_err()));
    for mechanism in [&KERBEROS[..], &OF_WINDOWS] {
        let negotiated = first(&[mechanism], Some(&in_frame));
        assert!(First::read(&negotiated).unwrap().is_negotiated());
        assert_eq!(binary::framed(&negotiated).unwrap_err(), Unusable::Mechanism);
        assert!(shape(binary::bare(&negotiated).unwrap_err()));
    }
    for octets in [&ntlm[..], b"NTLMSSP\0\x01"] {
        assert_eq!(binary::framed(octets).unwrap_err(), Unusable::Ntlm);
        assert_eq!(binary::bare(octets).unwrap_err(), Unusable::Ntlm);
    }
    assert_eq!(binary::framed(&bare(&weak)).unwrap_err(), Unusable::Weak);
    assert_eq!(binary::bare(&weak).unwrap_err(), Unusable::Weak);
}

#[test]
fn an_ap_req_says_for_whom_it_is_and_what_no_other_has() {
    let octets = Made::usual().octets();
    let request = Request::read(&octets).unwrap();
    assert_eq!(request.service(), "HTTP/sts.example.com@EXAMPLE.COM");
    assert_eq!((request.authenticator, request.octets), (&[7; 300][..], &octets[..]));
}

#[test]
fn what_is_encrypted_by_less_than_aes_is_weak_whichever_part_it_is_r_w070() {
    for strong in [17, 18, 19, 20] {
        let octets = Made { kinds: [strong, strong], ..Made::usual() }.octets();
        assert!(Request::read(&octets).is_ok(), "{strong}");
    }
    for weak in [1, 3, 16, 23, 24, 25, 26, 0x80] {
        for kinds in [[weak, 18], [18, weak], [weak, weak]] {
            let octets = Made { kinds, ..Made::usual() }.octets();
            assert_eq!(Request::read(&octets).unwrap_err(), Unusable::Weak, "{kinds:?}");
        }
    }
}

#[test]
fn an_ap_req_of_another_shape_is_not_read() {
    let usual = Made::usual().octets();
    let many = ["x"; 9];
    for (what, octets) in [
        ("nothing", Vec::new()),
        ("more behind", [&usual[..], &[0]].concat()),
        ("cut", usual[..usual.len() - 1].to_vec()),
        ("another version", Made { version: 4, ..Made::usual() }.octets()),
        ("by a ticket of ours", Made { options: &[0, 0x40, 0, 0, 0], ..Made::usual() }.octets()),
        ("options cut", Made { options: &[0, 0x20], ..Made::usual() }.octets()),
        ("no realm", Made { realm: "", ..Made::usual() }.octets()),
        ("no name", Made { service: &[], ..Made::usual() }.octets()),
        ("a long name", Made { service: &many, ..Made::usual() }.octets()),
        ("a stroke in a name", Made { service: &["HTTP/sts.example.com"], ..Made::usual() }.octets()),
        ("a realm in a name", Made { service: &["HTTP", "x@EXAMPLE.COM"], ..Made::usual() }.octets()),
        ("a zero in a name", Made { service: &["HTTP", "sts\0"], ..Made::usual() }.octets()),
    ] {
        assert!(matches!(Request::read(&octets), Err(Unusable::Shape(_))), "{what}");
    }
}

#[test]
fn a_token_is_one_of_kerberos_with_spnego_around_it_or_without() {
    let request = Made::usual().octets();
    let token = bare(&request);
    for octets in [
        token.clone(),
        first(&[&KERBEROS], Some(&token)),
        first(&[&OF_WINDOWS, &KERBEROS, &NTLM], Some(&token)),
        first(&[&[&KERBEROS[..]; 16][..]].concat(), Some(&token)),
    ] {
        assert_eq!(First::read(&octets).unwrap().request.octets, request);
    }
}

#[test]
fn ntlm_other_mechanisms_and_more_rounds_are_told_apart_and_refused() {
    let token = bare(&Made::usual().octets());
    let cases = [
        (b"NTLMSSP\0\x01".to_vec(), Unusable::Ntlm),
        (first(&[&NTLM], Some(b"NTLMSSP\0\x01")), Unusable::Ntlm),
        (first(&[&KERBEROS], Some(b"NTLMSSP\0\x01")), Unusable::Ntlm),
        (first(&[&NTLM, &KERBEROS], Some(&token)), Unusable::Ntlm),
        (first(&[&KERBEROS], None), Unusable::Mechanism),
        (first(&[&[0x2B, 6, 1, 5, 2, 5], &KERBEROS], Some(&token)), Unusable::Mechanism),
        (written(0x60, &written(6, &NTLM)), Unusable::Mechanism),
        (written(0xA1, &row(&[])), Unusable::Mechanism),
    ];
    for (octets, why) in cases {
        assert_eq!(First::read(&octets).unwrap_err(), why, "{octets:x?}");
    }
    for octets in [
        Vec::new(),
        first(&[], Some(&token)),
        first(&[&[&KERBEROS[..]; 17][..]].concat(), Some(&token)),
        first(&[&KERBEROS], Some(&token[..token.len() - 1])),
        first(&[&KERBEROS], Some(&[&token[..], &[0]].concat())),
        [&token[..], &[0]].concat(),
        [&first(&[&KERBEROS], Some(&token))[..], &[0]].concat(),
        bare(&[]),
    ] {
        assert!(matches!(First::read(&octets), Err(Unusable::Shape(_))), "{octets:x?}");
    }
}

#[test]
fn the_answer_is_in_the_terms_of_the_client_and_says_that_this_was_all() {
    let token = bare(&Made::usual().octets());
    let around = first(&[&OF_WINDOWS], Some(&token));
    let (around, bare) = (First::read(&around).unwrap(), First::read(&token).unwrap());
    assert_eq!(bare.answer(None), None);
    let reply = written(0x60, &[&written(6, &KERBEROS)[..], &[2, 0], b"reply"].concat());
    assert_eq!(bare.answer(Some(b"reply")).unwrap(), reply);
    let completed = [field(0, &[0x0A, 1, 0]), field(1, &written(6, &OF_WINDOWS))];
    assert_eq!(around.answer(None).unwrap(), written(0xA1, &row(&completed)));
    let [state, mechanism] = completed;
    let told = row(&[state, mechanism, field(2, &written(4, &reply))]);
    assert_eq!(around.answer(Some(b"reply")).unwrap(), written(0xA1, &told));
}

#[test]
fn of_a_checksum_bindings_and_flags_are_read_and_what_is_delegated_is_not() {
    let made = |length: u32, bindings: [u8; 16], flags: u32| {
        [&length.to_le_bytes()[..], &bindings, &flags.to_le_bytes()].concat()
    };
    let read = |octets: &[u8]| Checksum::read(octets).map(|read| (read.bindings, read.mutual));
    assert_eq!(read(&made(16, [0; 16], 2)), Some((None, true)));
    assert_eq!(read(&made(16, [9; 16], 0x3C)), Some((Some([9; 16]), false)));
    let delegated = [made(16, [9; 16], 3), b"\x01\0\xFF\xFF".to_vec()].concat();
    assert_eq!(read(&delegated), Some((Some([9; 16]), true)));
    assert_eq!(read(&made(15, [0; 16], 2)), None);
    assert_eq!(read(&made(16, [0; 16], 2)[..23]), None);
    assert_eq!(hashed(b"abc"), [&[0; 16][..], &[3, 0, 0, 0], b"abc"].concat());
}

#[test]
fn der_has_one_spelling() {
    let long = vec![7; 0x1234];
    for content in [&[][..], &long[..0x7F], &long[..0x80], &long[..0xFF], &long[..0x100], &long] {
        assert_eq!(only(&written(4, content), 4), Some(content));
    }
    for octets in [
        &[][..],
        &[4],
        &[4, 1],
        &[4, 0x80, 7, 0, 0],
        &[4, 0x81, 1, 7],
        &[4, 0x82, 0, 1, 7],
        &[4, 0x85, 0, 0, 0, 0, 1, 7],
        &[4, 0x84, 0xFF, 0xFF, 0xFF, 0xFF],
        &[4, 1, 7, 0],
        &[5, 1, 7],
    ] {
        assert_eq!(only(octets, 4), None, "{octets:x?}");
    }
    for (content, value) in [
        (&[0][..], Some(0)),
        (&[0xFF], Some(-1)),
        (&[0x7F], Some(127)),
        (&[0, 0x80], Some(128)),
        (&[0x80], Some(-128)),
        (&[0, 0xFF, 0xFF, 0xFF, 0xFF], Some(0xFFFF_FFFF)),
        (&[0x80, 0, 0, 0], Some(i64::from(i32::MIN))),
        (&[0xFF, 0x7F, 0, 0, 0], None),
        (&[1, 0, 0, 0, 0], None),
        (&[0, 1], None),
        (&[0xFF, 0xFF], None),
        (&[], None),
        (&[0, 0xFF, 0, 0, 0, 0], None),
    ] {
        assert_eq!(number(content), value, "{content:x?}");
    }
    assert_eq!(Values::of(&[0xA1, 9]).perhaps(0xA1), Err(()));
    assert_eq!(Values::of(&[0xA2, 0]).perhaps(0xA1), Ok(None));
}
