//! Certificate policies: a path is issued under one that is asked for, from the root to the leaf, or it leads nowhere.

use rcgen::{CertificateParams, CustomExtension};

use super::support::office::Office;
use super::support::refusals::all_refused;
use super::{Ca, PARTY, SUBJECTS, auth, bringing, numbered, pki_path};

const ONE: u8 = 1;
const TWO: u8 = 2;
const THREE: u8 = 3;
/// Stands for `anyPolicy`.
const ANY: u8 = 0;

fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()][..], content].concat()
}

/// 1.2.3.n, or any.
fn policy(number: u8) -> Vec<u8> {
    if number == ANY { vec![6, 4, 0x55, 0x1d, 0x20, 0] } else { vec![6, 3, 0x2a, 3, number] }
}

/// What a certificate says of policies: an extension of `id-ce`, and whether it is critical.
type Says = (u64, Vec<u8>, bool);

fn policies(these: &[u8]) -> Says {
    let all: Vec<u8> = these.iter().flat_map(|number| value(0x30, &policy(*number))).collect();
    (32, value(0x30, &all), false)
}

fn maps(from: u8, to: u8) -> Says {
    (33, value(0x30, &value(0x30, &[policy(from), policy(to)].concat())), false)
}

fn require_explicit(after: u8) -> Says {
    (36, value(0x30, &[0x80, 1, after]), false)
}

fn inhibit_any(after: u8) -> Says {
    (54, vec![2, 1, after], false)
}

fn critical((number, content, _): Says) -> Says {
    (number, content, true)
}

fn saying(says: Vec<Says>) -> impl FnOnce(&mut CertificateParams) {
    move |parameters| {
        for (number, content, critical) in says {
            let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, number], content);
            extension.set_criticality(critical);
            parameters.custom_extensions.push(extension);
        }
    }
}

/// Below a root: what each certificate says, the leaf's last.
type Chain = Vec<Vec<Says>>;

fn submission(root: &Ca, chain: &Chain) -> chancery::wire::evidence::Submission {
    let (leaf, between) = chain.split_last().unwrap();
    let mut authorities: Vec<Ca> = Vec::new();
    for (number, says) in between.iter().enumerate() {
        let above = authorities.last().unwrap_or(root);
        authorities.push(above.below(&format!("authority {number}"), 2, saying(says.clone())));
    }
    let client = authorities.last().unwrap_or(root).client(|parameters| {
        numbered(5)(parameters);
        saying(leaf.clone())(parameters);
    });
    let path: Vec<&str> = authorities.iter().map(|ca| &*ca.pem).chain([&*client.certificate]).collect();
    let path = pki_path(&path);
    bringing(&client, path)
}

fn office(root: &Ca, more: &str) -> Office {
    let toml = auth(&format!(
        "[[certificate_authority]]\nname = \"corporate\"\nanchors = [\"root.crt\"]\nrevocation = \"none\"\n{more}\n{SUBJECTS}"
    ));
    Office::with(&toml, "[users.sam]\ncertificate_authority = \"corporate\"\n", PARTY, &[("root.crt", &root.pem)])
}

fn holds(office: &Office, root: &Ca, chains: Vec<(&str, Chain)>) {
    for (what, chain) in chains {
        println!("{what}");
        office.worker().vouched(submission(root, &chain));
    }
}

fn fails(office: &Office, root: &Ca, chains: Vec<(&'static str, Chain)>) {
    let cases = chains.into_iter().map(|(what, chain)| (what, submission(root, &chain), "untrusted-issuer"));
    all_refused(office, cases.collect());
}

#[test]
fn where_a_policy_is_asked_for_it_holds_from_the_root_to_the_leaf() {
    let root = Ca::root("root");
    let office = office(&root, "required_policies = [\"1.2.3.1\", \"1.2.3.2\"]");
    holds(
        &office,
        &root,
        vec![
            ("the leaf alone", vec![vec![policies(&[ONE])]]),
            ("the other one", vec![vec![policies(&[TWO])]]),
            ("one of several", vec![vec![policies(&[THREE, TWO])]]),
            ("all of the path", vec![vec![policies(&[ONE, TWO])], vec![policies(&[TWO])]]),
            ("below any", vec![vec![policies(&[ANY])], vec![policies(&[ONE])]]),
            ("any below it", vec![vec![policies(&[ONE])], vec![policies(&[ANY])]]),
            ("any all over", vec![vec![policies(&[ANY])], vec![policies(&[ANY])], vec![policies(&[ANY])]]),
            ("any that counts for one more", vec![vec![policies(&[ANY]), inhibit_any(1)], vec![policies(&[ANY])]]),
            ("any that does not count beside one that does", {
                vec![vec![policies(&[ONE]), inhibit_any(0)], vec![policies(&[ANY, ONE])]]
            }),
        ],
    );
    fails(
        &office,
        &root,
        vec![
            ("none", vec![vec![]]),
            ("another", vec![vec![policies(&[THREE])]]),
            ("not the authority", vec![vec![], vec![policies(&[ONE])]]),
            ("not the leaf", vec![vec![policies(&[ONE])], vec![]]),
            ("one above and the other below", vec![vec![policies(&[ONE])], vec![policies(&[TWO])]]),
            ("another in between", vec![vec![policies(&[ONE])], vec![policies(&[THREE])], vec![policies(&[ONE])]]),
            (
                "any in between, and another",
                vec![vec![policies(&[THREE])], vec![policies(&[ANY])], vec![policies(&[ONE])]],
            ),
            ("any that counts no more", vec![vec![policies(&[ONE]), inhibit_any(0)], vec![policies(&[ANY])]]),
            ("any that counts for one more only", {
                vec![vec![policies(&[ANY]), inhibit_any(1)], vec![policies(&[ANY])], vec![policies(&[ANY])]]
            }),
            ("mapped", vec![vec![policies(&[ONE]), maps(ONE, THREE)], vec![policies(&[THREE])]]),
            ("mapped for nothing", vec![vec![policies(&[ONE, TWO]), maps(TWO, THREE)], vec![policies(&[ONE])]]),
            ("twice", vec![vec![policies(&[ONE]), policies(&[ONE])]]),
            ("what is none", vec![vec![(32, vec![0x30, 2, 5, 0], false)]]),
            ("critical, which is not read", vec![vec![critical(policies(&[ONE]))]]),
        ],
    );
}

#[test]
fn where_none_is_asked_for_a_path_that_requires_one_has_one_and_others_are_as_before() {
    let root = Ca::root("root");
    let office = office(&root, "");
    holds(
        &office,
        &root,
        vec![
            ("none", vec![vec![], vec![]]),
            ("different ones", vec![vec![policies(&[ONE])], vec![policies(&[TWO])]]),
            ("mapped", vec![vec![policies(&[ONE]), maps(ONE, TWO)], vec![policies(&[TWO])]]),
            ("one that is required", vec![vec![policies(&[ONE]), require_explicit(0)], vec![policies(&[ONE])]]),
            ("required from further down on", vec![vec![require_explicit(2)], vec![]]),
        ],
    );
    fails(
        &office,
        &root,
        vec![
            ("required, and none", vec![vec![require_explicit(0)], vec![]]),
            ("required after one more, and none", vec![vec![require_explicit(1)], vec![]]),
            ("required by the leaf itself", vec![vec![require_explicit(0)]]),
            ("required, and different ones", {
                vec![vec![policies(&[ONE]), require_explicit(0)], vec![policies(&[TWO])]]
            }),
            ("required, and mapped", {
                vec![vec![policies(&[ONE]), require_explicit(0), maps(ONE, TWO)], vec![policies(&[ONE, TWO])]]
            }),
            ("constraints that are none", vec![vec![policies(&[ONE]), (36, vec![0x30, 3, 0x80, 1], false)]]),
            (
                "critical constraints",
                vec![vec![policies(&[ONE]), critical(require_explicit(0))], vec![policies(&[ONE])]],
            ),
            ("critical mappings", vec![vec![policies(&[ONE]), critical(maps(ONE, TWO))], vec![policies(&[TWO])]]),
            (
                "critical inhibitAnyPolicy",
                vec![vec![policies(&[ONE]), critical(inhibit_any(0))], vec![policies(&[ONE])]],
            ),
        ],
    );
}
