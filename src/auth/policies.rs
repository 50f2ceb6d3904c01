//! Certificate policies (RFC 5280 6.1): under which rules was a path issued, and are they such as are asked for? Where
//! no authority maps one policy to another, the valid policy tree is as good as the set of its leaves, which is what is
//! kept here; a path that maps is refused where policies count. webpki refuses whatever of this is critical, and passes
//! over the rest, so requireExplicitPolicy and inhibitAnyPolicy are judged here where they are not.

use std::collections::BTreeSet;

use webpki::VerifiedPath;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::auth::authority::ANY_POLICY;

/// Policies that hold for a path so far: these, or any.
struct Valid {
    any: bool,
    these: BTreeSet<Vec<u8>>,
}

/// What a certificate says of policies.
#[derive(Default)]
struct Said {
    policies: Option<BTreeSet<Vec<u8>>>,
    maps: bool,
    require_explicit: Option<usize>,
    inhibit_any: Option<usize>,
    self_issued: bool,
}

/// Judges a path, where one of these policies is asked for, if any is.
///
/// # Errors
/// What is wrong with it.
pub(super) fn judge(required: &[Vec<u8>], path: &VerifiedPath<'_>) -> Result<(), &'static str> {
    let between: Vec<_> = path.intermediate_certificates().collect();
    let ders = between.iter().rev().map(|certificate| certificate.der()).chain([path.end_entity().der()]);
    let path = ders.map(|der| Said::read(&der)).collect::<Option<Vec<_>>>().ok_or("policies that are not read")?;
    let length = path.len();
    // From the root to the leaf, as counters: how many certificates more until it begins.
    let mut explicit = if required.is_empty() { length + 1 } else { 0 };
    let mut inhibit_any = length + 1;
    let mut valid = Valid { any: true, these: BTreeSet::new() };
    for (number, said) in path.iter().enumerate() {
        let last = number + 1 == length;
        let any_counts = inhibit_any > 0 || !last && said.self_issued;
        valid = valid.below(said.policies.as_ref(), any_counts);
        if last || !said.self_issued {
            explicit = explicit.saturating_sub(1);
            inhibit_any = inhibit_any.saturating_sub(1);
        }
        match said.require_explicit {
            Some(0) if last => explicit = 0,
            Some(more) if !last => explicit = explicit.min(more),
            _ => {}
        }
        inhibit_any = inhibit_any.min(said.inhibit_any.unwrap_or(inhibit_any));
    }
    if explicit > 0 {
        return Ok(());
    }
    if path.iter().any(|said| said.maps) {
        return Err("a path whose policies count, and which maps some to others: mappings are not followed");
    }
    // What holds for none of it holds for no more of it: that is looked at once, and here.
    if valid.is_none() {
        return Err("no policy holds for all of the path");
    }
    if !required.is_empty() && !valid.allows(required) {
        return Err("none of required_policies holds for all of the path");
    }
    Ok(())
}

impl Valid {
    /// What holds below a certificate with these policies.
    fn below(self, policies: Option<&BTreeSet<Vec<u8>>>, any_counts: bool) -> Self {
        let Some(policies) = policies else { return Self { any: false, these: BTreeSet::new() } };
        let any_said = any_counts && policies.contains(ANY_POLICY);
        let said = policies.iter().filter(|policy| *policy != ANY_POLICY);
        let mut these: BTreeSet<_> = said.filter(|policy| self.any || self.these.contains(*policy)).cloned().collect();
        if any_said {
            these.extend(self.these);
        }
        Self { any: self.any && any_said, these }
    }

    fn is_none(&self) -> bool {
        !self.any && self.these.is_empty()
    }

    fn allows(&self, required: &[Vec<u8>]) -> bool {
        self.any || required.iter().any(|policy| self.these.contains(policy))
    }
}

impl Said {
    fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let self_issued = certificate.subject().as_raw() == certificate.issuer().as_raw();
        let mut said = Self { self_issued, ..Self::default() };
        for extension in certificate.extensions() {
            let counted = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
            // Each at most once, and read to its end, or not at all.
            let again = match extension.parsed_extension() {
                ParsedExtension::CertificatePolicies(policies) => {
                    let policies = policies.iter().map(|policy| policy.policy_id.as_bytes().to_vec()).collect();
                    said.policies.replace(policies).is_some()
                }
                ParsedExtension::PolicyMappings(_) => std::mem::replace(&mut said.maps, true),
                ParsedExtension::PolicyConstraints(constraints) => {
                    let more = constraints.require_explicit_policy;
                    more.is_some_and(|more| said.require_explicit.replace(counted(more)).is_some())
                }
                ParsedExtension::InhibitAnyPolicy(inhibit) => {
                    said.inhibit_any.replace(counted(inhibit.skip_certs)).is_some()
                }
                _ => POLICIES.contains(&extension.oid.as_bytes()),
            };
            if again {
                return None;
            }
        }
        Some(said)
    }
}

/// certificatePolicies, policyMappings, policyConstraints, inhibitAnyPolicy.
const POLICIES: [&[u8]; 4] = [&[0x55, 0x1d, 0x20], &[0x55, 0x1d, 0x21], &[0x55, 0x1d, 0x24], &[0x55, 0x1d, 0x36]];
