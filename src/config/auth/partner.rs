//! `[[saml_partner]]` of `auth.toml`: whose SAML assertions prove a requestor, signed by which keys, made for whom,
//! how old, and which account one means. Our own issuer is one like any other where somebody lists it. Nothing is
//! fetched, no path is built, and a key that is not in these files verifies nothing.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::certificate::{Certificate, VerifyingKey};
use super::claims::Case;
use super::intermediary::{Intermediary, IntermediaryFile};
use super::naming::Naming;
use super::sha1::PartnerLeniency;
use super::vouching::{AttributeFile, AttributeRule, Bounds, MOST, MOST_SKEW_S, Reading, ReplayName, Says};
use crate::config::beneath::Directory;
use crate::config::load::{ConfigError, Loaded};
use crate::wire::Text;
use crate::wire::evidence::SignatureAlgorithm;

/// Certificates of one, at most: a stranger may have each of them tried.
const MOST_CERTIFICATES: usize = 4;

/// Somebody whose assertions are taken.
#[derive(Debug)]
pub struct Partner {
    /// What users name it by.
    pub name: Text<64>,
    /// What it calls itself in `Issuer`.
    pub issuer: String,
    /// With whose keys it signs.
    pub certificates: Vec<Certificate>,
    /// How. By SHA-1 where a leniency of its own says so.
    pub algorithms: Vec<SignatureAlgorithm>,
    /// May it digest by SHA-1 what it signs?
    pub reference_sha1: bool,
    /// Who we are to it: each restriction must name one of these.
    pub audiences: Vec<String>,
    /// How old an assertion may be; its `IssueInstant` says when it was made.
    pub bounds: Bounds,
    /// Is every assertion good once, and not only one that says so?
    pub once: bool,
    /// Whom an assertion means. The first rule that gives a name decides.
    pub subjects: Vec<SubjectRule>,
    /// What an assertion says of its subject besides.
    pub attributes: Vec<AttributeRule>,
    /// Who may present one that he vouches for.
    pub intermediaries: Vec<Intermediary>,
    /// How its holder may prove the key that one confirms.
    pub proofs: HolderProofs,
}

/// What proves that somebody is the holder of an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HolderProofs {
    /// His signature of the message.
    pub signature: bool,
    /// The certificate of his connection. The request is the worker's word then.
    pub tls_certificate: bool,
    /// A MAC over the message by a key that the assertion has, sealed for us. The partner knows that, too.
    pub mac: bool,
}

/// How an assertion gives the name of an account.
#[derive(Debug)]
pub struct SubjectRule {
    /// Where from.
    pub from: NameOrigin,
    /// What becomes of the value there.
    pub naming: Naming,
}

/// A place in an assertion.
#[derive(Debug, PartialEq, Eq)]
pub enum NameOrigin {
    /// `NameID` or `NameIdentifier`.
    NameId,
    /// The values of the attribute with this name; of SAML 1.1 with its namespace, a slash between them.
    Attribute(String),
}

/// `[[saml_partner]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartnerFile {
    name: Spanned<String>,
    issuer: Spanned<String>,
    certificates: Spanned<Vec<Spanned<String>>>,
    algorithms: Option<Spanned<Vec<AlgorithmName>>>,
    #[serde(default)]
    leniencies: Vec<Spanned<PartnerLeniency>>,
    audiences: Spanned<Vec<Spanned<String>>>,
    skew_s: Option<Spanned<u32>>,
    max_age_min: Option<Spanned<u32>>,
    max_session_min: Option<Spanned<u32>>,
    replay: Option<ReplayName>,
    #[serde(default)]
    subject: Vec<Spanned<SubjectFile>>,
    #[serde(default, rename = "attribute")]
    attributes: Vec<AttributeFile>,
    #[serde(default, rename = "intermediary")]
    intermediaries: Vec<IntermediaryFile>,
    holder_proofs: Option<Spanned<Vec<ProofName>>>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum ProofName {
    Signature,
    TlsCertificate,
    Mac,
}

impl PartnerFile {
    /// Where it says how old an assertion may be, or stands.
    pub(super) fn place(&self) -> Range<usize> {
        self.max_age_min.as_ref().map_or(self.name.span(), Spanned::span)
    }

    /// Its name, and who may vouch with its assertions.
    pub(super) fn intermediaries(&self) -> (&str, &[IntermediaryFile]) {
        (self.name.get_ref(), &self.intermediaries)
    }

    /// Where it says that a connection proves the holder of an assertion.
    pub(super) fn by_connection(&self) -> Option<Range<usize>> {
        self.by(ProofName::TlsCertificate)
    }

    /// Does it say that a MAC does?
    pub(super) fn by_mac(&self) -> bool {
        self.by(ProofName::Mac).is_some()
    }

    fn by(&self, proof: ProofName) -> Option<Range<usize>> {
        let names = self.holder_proofs.as_ref()?;
        names.get_ref().contains(&proof).then(|| names.span())
    }

    /// Where it lets SHA-1 pass.
    pub(super) fn sha1(&self) -> impl Iterator<Item = &Spanned<PartnerLeniency>> {
        self.leniencies.iter()
    }

    /// What it says of its subjects.
    pub(super) fn says(&self) -> Says<'_> {
        Says { name: self.name.get_ref(), attributes: &self.attributes }
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum AlgorithmName {
    RsaSha256,
    RsaSha384,
    RsaSha512,
    RsaPssSha256,
    RsaPssSha384,
    RsaPssSha512,
    EcdsaSha256,
    EcdsaSha384,
    EcdsaSha512,
    Ed25519,
}

impl AlgorithmName {
    const ALL: [Self; 10] = [
        Self::RsaSha256,
        Self::RsaSha384,
        Self::RsaSha512,
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
        Self::EcdsaSha256,
        Self::EcdsaSha384,
        Self::EcdsaSha512,
        Self::Ed25519,
    ];

    fn algorithm(self) -> SignatureAlgorithm {
        match self {
            Self::RsaSha256 => SignatureAlgorithm::RsaSha256,
            Self::RsaSha384 => SignatureAlgorithm::RsaSha384,
            Self::RsaSha512 => SignatureAlgorithm::RsaSha512,
            Self::RsaPssSha256 => SignatureAlgorithm::PssSha256,
            Self::RsaPssSha384 => SignatureAlgorithm::PssSha384,
            Self::RsaPssSha512 => SignatureAlgorithm::PssSha512,
            Self::EcdsaSha256 => SignatureAlgorithm::EcdsaSha256,
            Self::EcdsaSha384 => SignatureAlgorithm::EcdsaSha384,
            Self::EcdsaSha512 => SignatureAlgorithm::EcdsaSha512,
            Self::Ed25519 => SignatureAlgorithm::Ed25519,
        }
    }
}

/// `[[saml_partner.subject]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectFile {
    from: Option<Spanned<FromName>>,
    attribute: Option<Spanned<String>>,
    capture: Option<Spanned<String>>,
    case: Option<Case>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum FromName {
    NameId,
}

/// The partner that calls itself so.
#[must_use]
pub fn find<'a>(partners: &'a [Partner], issuer: &str) -> Option<&'a Partner> {
    partners.iter().find(|partner| partner.issuer == issuer)
}

/// Checks the partners of a file.
pub(super) fn checked<T>(
    directory: &Directory,
    file: &Loaded<T>,
    written: &[PartnerFile],
) -> Result<Vec<Partner>, ConfigError> {
    let mut partners: Vec<Partner> = Vec::new();
    for one in written {
        let partner = Reading { directory, file }.partner(one)?;
        if partners.len() == MOST {
            return Err(file.error(one.name.span(), format!("more than {MOST} partners")));
        }
        if partners.iter().any(|other| other.name == partner.name) {
            return Err(file.error(one.name.span(), "this partner stands here twice"));
        }
        if let Some(other) = find(&partners, &partner.issuer) {
            let why = format!("issuer: {} calls itself so already", other.name.as_str());
            return Err(file.error(one.issuer.span(), why));
        }
        // One key says one issuer: or what one partner signs could be passed off as the other's.
        for (certificate, path) in partner.certificates.iter().zip(one.certificates.get_ref()) {
            let has = |other: &&Partner| other.certificates.iter().any(|its| its.key == certificate.key);
            if let Some(owner) = partners.iter().find(has) {
                let why = format!("certificate {}: its key is that of {} already", path.get_ref(), owner.name.as_str());
                return Err(file.error(path.span(), why));
            }
        }
        partners.push(partner);
    }
    Ok(partners)
}

impl<T> Reading<'_, T> {
    fn partner(&self, written: &PartnerFile) -> Result<Partner, ConfigError> {
        let name = self.name("a partner", &written.name)?;
        let lengths = [written.audiences.get_ref().len(), written.subject.len(), written.attributes.len()];
        if lengths.into_iter().any(|length| length > MOST) {
            return Err(self.refused(written.name.span(), format!("{name}: more than {MOST} audiences or rules")));
        }
        if written.subject.is_empty() {
            let why = format!("{name} has no [[saml_partner.subject]]: its assertions would mean nobody");
            return Err(self.refused(written.name.span(), why));
        }
        if written.audiences.get_ref().is_empty() {
            let why = "audiences: an assertion that may be for anybody is refused, so this partner's would all be";
            return Err(self.refused(written.audiences.span(), why));
        }
        let certificates = self.certificates(&written.certificates)?;
        let mut algorithms = self.algorithms(written.algorithms.as_ref())?;
        let lenient = |leniency| written.leniencies.iter().find(|named| *named.get_ref() == leniency);
        if let Some(named) = lenient(PartnerLeniency::RsaSha1) {
            if !certificates.iter().any(|certificate| matches!(certificate.key, VerifyingKey::Rsa(_))) {
                let why = "leniencies names \"rsa-sha1\", and none of its certificates has an RSA key";
                return Err(self.refused(named.span(), why));
            }
            algorithms.push(SignatureAlgorithm::RsaSha1);
        }
        Ok(Partner {
            name,
            issuer: self.identifier("issuer", &written.issuer)?,
            algorithms,
            reference_sha1: lenient(PartnerLeniency::ReferenceSha1).is_some(),
            certificates,
            audiences: self.audiences(&written.audiences)?,
            bounds: self.bounds([&written.skew_s, &written.max_age_min, &written.max_session_min], MOST_SKEW_S)?,
            once: matches!(written.replay, Some(ReplayName::Once)),
            subjects: written.subject.iter().map(|rule| self.subject(rule)).collect::<Result<_, _>>()?,
            attributes: written.attributes.iter().map(|rule| self.attribute(rule)).collect::<Result<_, _>>()?,
            intermediaries: self.intermediaries(&written.intermediaries)?,
            proofs: self.proofs(written.holder_proofs.as_ref())?,
        })
    }

    fn proofs(&self, names: Option<&Spanned<Vec<ProofName>>>) -> Result<HolderProofs, ConfigError> {
        let Some(names) = names else { return Ok(HolderProofs { signature: true, ..HolderProofs::default() }) };
        let named = |name| names.get_ref().contains(&name);
        if names.get_ref().is_empty() {
            let why = "holder_proofs: nobody could present an assertion that is for the holder of a key";
            return Err(self.refused(names.span(), why));
        }
        Ok(HolderProofs {
            signature: named(ProofName::Signature),
            tls_certificate: named(ProofName::TlsCertificate),
            mac: named(ProofName::Mac),
        })
    }

    fn certificates(&self, paths: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<Certificate>, ConfigError> {
        let count = paths.get_ref().len();
        if count == 0 || count > MOST_CERTIFICATES {
            return Err(self.refused(paths.span(), format!("certificates: 1 to {MOST_CERTIFICATES} PEM files")));
        }
        let read = |path: &Spanned<String>| {
            let text = self.directory.text(path.get_ref()).map_err(|error| error.to_string());
            text.and_then(|text| Certificate::from_pem(&text))
                .map_err(|why| self.refused(path.span(), format!("certificate {}: {why}", path.get_ref())))
        };
        paths.get_ref().iter().map(read).collect()
    }

    fn algorithms(&self, names: Option<&Spanned<Vec<AlgorithmName>>>) -> Result<Vec<SignatureAlgorithm>, ConfigError> {
        let Some(names) = names else { return Ok(AlgorithmName::ALL.map(AlgorithmName::algorithm).to_vec()) };
        if names.get_ref().is_empty() {
            return Err(self.refused(names.span(), "algorithms: nothing would be taken"));
        }
        Ok(names.get_ref().iter().map(|name| name.algorithm()).collect())
    }

    fn subject(&self, rule: &Spanned<SubjectFile>) -> Result<SubjectRule, ConfigError> {
        let written = rule.get_ref();
        let from = match (&written.from, &written.attribute) {
            (Some(from), None) => match from.get_ref() {
                FromName::NameId => NameOrigin::NameId,
            },
            (None, Some(attribute)) => NameOrigin::Attribute(self.identifier("attribute", attribute)?),
            (Some(_), Some(attribute)) => {
                return Err(self.refused(attribute.span(), "from and attribute exclude each other"));
            }
            (None, None) => return Err(self.refused(rule.span(), "a rule needs from or attribute")),
        };
        Ok(SubjectRule { from, naming: Naming::read(self.file, written.capture.as_ref(), written.case)? })
    }
}
