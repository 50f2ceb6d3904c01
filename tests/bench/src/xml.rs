//! What a signed request costs to read: the tree, what the signature says, and each part that it covers in canonical
//! form, digested. No process and no key has a part in it.

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use chancery::xml::signature::Signature;
use chancery::xml::{Element, Ids, Limits, Tree, names};
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::Outcome;

/// Octets of the request, at least, and its goal, µs.
const OCTETS: usize = 13 * 1024;
const GOAL_US: f64 = 150.0;
/// How often it is read; the figures are medians.
const TIMES: usize = 2_000;
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

/// Processor time of each step, µs.
#[derive(Debug, Serialize)]
pub(crate) struct Reading {
    octets: usize,
    tree_us: f64,
    signature_us: f64,
    parts_us: f64,
    all_us: f64,
}

/// Measures, and prints a line.
pub(crate) fn measure() -> Outcome<Reading> {
    let text = request();
    let mut steps = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        steps.push(one(&text)?);
    }
    let of = |step: &dyn Fn(&[Duration; 3]) -> Duration| {
        let mut all: Vec<Duration> = steps.iter().map(step).collect();
        all.sort();
        all[all.len() / 2].as_secs_f64() * 1e6
    };
    let reading = Reading {
        octets: text.len(),
        tree_us: of(&|steps| steps[0]),
        signature_us: of(&|steps| steps[1]),
        parts_us: of(&|steps| steps[2]),
        all_us: of(&|steps| steps.iter().sum()),
    };
    let Reading { octets, tree_us, signature_us, parts_us, all_us } = &reading;
    println!(
        "\nA SIGNED REQUEST of {octets} octets, processor time: tree {tree_us:.0} us, signature {signature_us:.0}, canonical \
         form and digests of 3 parts {parts_us:.0}; together {all_us:.0} us (goal {GOAL_US:.0})"
    );
    Ok(reading)
}

fn one(text: &str) -> Outcome<[Duration; 3]> {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    let begun = now()?;
    let tree = Tree::parse(text.as_bytes(), &Limits::default())?;
    let ids = Ids::of(&tree).map_err(|why| format!("{why:?}"))?;
    let parsed = now()?;
    let element = tree.elements().find(|element: &Element<'_>| element.is(names::DS, "Signature"));
    let signature = Signature::read(element.ok_or("no signature")?).map_err(|why| format!("{why:?}"))?;
    let signed = signature.signed_octets(OCTETS * 2).map_err(|why| format!("{why:?}"))?;
    black_box(digest(&SHA256, signed.as_bytes()));
    let read = now()?;
    for reference in &signature.info.references {
        let target = signature.target(reference, &ids).map_err(|why| format!("{why:?}"))?;
        let part = signature.digested(reference, target, OCTETS * 2).map_err(|why| format!("{why:?}"))?;
        black_box(digest(&SHA256, part.as_bytes()));
    }
    Ok([parsed - begun, read - parsed, now()? - read])
}

/// As clients write one: a certificate in the header, and a body with many claims. What it says is not verified here,
/// so digests and values are any.
fn request() -> String {
    let reference = |id: &str| {
        format!(
            "<ds:Reference URI=\"#{id}\"><ds:Transforms><ds:Transform Algorithm=\"{EXCLUSIVE}\"/></ds:Transforms>\
             <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/>\
             <ds:DigestValue>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</ds:DigestValue></ds:Reference>"
        )
    };
    let references: String = ["t", "to", "b"].map(reference).concat();
    let (trust, utility) = ("http://docs.oasis-open.org/ws-sx/ws-trust/200512", names::WSU);
    let head = format!(
        "<s:Envelope xmlns:s=\"{}\" xmlns:a=\"{}\" xmlns:u=\"{utility}\"><s:Header>\
         <a:Action s:mustUnderstand=\"1\">{trust}/RST/Issue</a:Action><a:MessageID>urn:uuid:1</a:MessageID>\
         <a:To s:mustUnderstand=\"1\" u:Id=\"to\">https://sts.example.com/sts</a:To>\
         <o:Security s:mustUnderstand=\"1\" xmlns:o=\"{}\"><u:Timestamp u:Id=\"t\"><u:Created>2026-01-01T00:00:00.000Z\
         </u:Created><u:Expires>2026-01-01T00:05:00.000Z</u:Expires></u:Timestamp><o:BinarySecurityToken u:Id=\"x\">{}\
         </o:BinarySecurityToken><ds:Signature xmlns:ds=\"{}\"><ds:SignedInfo><ds:CanonicalizationMethod \
         Algorithm=\"{EXCLUSIVE}\"/><ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"/>\
         {references}</ds:SignedInfo><ds:SignatureValue>{}</ds:SignatureValue><ds:KeyInfo><o:SecurityTokenReference>\
         <o:Reference URI=\"#x\"/></o:SecurityTokenReference></ds:KeyInfo></ds:Signature></o:Security></s:Header>\
         <s:Body u:Id=\"b\"><t:RequestSecurityToken xmlns:t=\"{trust}\"><t:RequestType>{trust}/Issue</t:RequestType>\
         <t:Claims xmlns:i=\"http://schemas.xmlsoap.org/ws/2005/05/identity\">",
        names::SOAP12,
        names::WSA,
        names::WSSE,
        "MIID".repeat(300),
        names::DS,
        "AAEC".repeat(86),
    );
    let tail = "</t:Claims></t:RequestSecurityToken></s:Body></s:Envelope>";
    let mut text = head;
    let mut number = 0;
    while text.len() + tail.len() < OCTETS {
        number += 1;
        text +=
            &format!("\n  <i:ClaimType Uri=\"http://schemas.example.com/claims/number/{number}\" Optional=\"true\"/>");
    }
    text + tail
}
