//! `[[certificate_authority]]` of `auth.toml`: who issues certificates that nobody registers one by one, what
//! they may be used for, how it is known which ones were taken back, and which account a certificate means. The
//! files beside it are read with it, on SIGHUP too; revocation lists may also be fetched.

use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;

use rustls_pki_types::{CertificateDer, TrustAnchor};
use serde::Deserialize;
use toml::Spanned;
use x509_parser::der_parser::asn1_rs::{Any, Oid};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::claims::Case;
use super::list::List;
use super::lists::{self, Lists};
use super::naming::Naming;
use super::responder::{Issuer, Responder, ResponderFile};
use super::source::{Fetched, Source, SourceFile, Way};
use crate::config::beneath::Directory;
use crate::config::load::{ConfigError, Loaded};
use crate::wire::{Millis, Text};

/// Authorities, files of one kind of an authority, and its rules, at most.
const MOST: usize = 64;

/// `anyPolicy`, 2.5.29.32.0, as DER has it.
pub const ANY_POLICY: &[u8] = &[0x55, 0x1d, 0x20, 0x00];

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    /// What users name it by.
    pub name: Text<64>,
    /// Where a path ends.
    pub anchors: Vec<Anchor>,
    /// What a path may lead over, DER.
    pub intermediates: Vec<(CertificateDer<'static>, Dates)>,
    /// What was taken back; none where responders are asked alone, or somebody wrote that nobody asks.
    pub lists: Option<Lists>,
    /// Who is asked about single certificates.
    pub responders: Vec<Responder>,
    /// What is enough where there are lists and responders.
    pub enough: Enough,
    /// What a certificate must be issued for.
    pub usages: Vec<Usage>,
    /// Certificate policies, object identifiers as DER has them: a path is issued under one of these, where there are
    /// any.
    pub policies: Vec<Vec<u8>>,
    /// Whom a certificate means. The first rule that gives a name decides.
    pub subjects: Vec<SubjectRule>,
    /// What is allowed here and should not stay so.
    pub doubts: Vec<ConfigError>,
}

/// A certificate that is trusted because it is configured.
#[derive(Debug)]
pub struct Anchor {
    /// Name, key and name constraints.
    pub trusted: TrustAnchor<'static>,
    /// The name of who issued it, the content of the sequence, DER.
    pub issuer: Vec<u8>,
    /// Its number there, the content of the integer.
    pub serial: Vec<u8>,
    /// How many authorities there may be below it, where it says so.
    pub path_length: Option<u32>,
    /// When it may be used.
    pub dates: Dates,
}

/// From when on a certificate may be used, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Dates {
    not_before: Millis,
    not_after: Millis,
}

impl Dates {
    /// May it be used now?
    #[must_use]
    pub fn hold(self, now: Millis) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

/// Who must say that a certificate was not taken back. That it was is believed of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enough {
    /// All there are: lists, responders, or both of them.
    All,
    /// A responder, and a list where none answers.
    Either,
}

/// An extended key usage, its object identifier as DER has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage(pub Vec<u8>);

/// How a certificate gives the name of an account.
#[derive(Debug)]
pub struct SubjectRule {
    /// Where from.
    pub from: NameSource,
    /// What becomes of the value there.
    pub naming: Naming,
}

/// A field of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameSource {
    /// `rfc822Name` of the subject's alternative names.
    SanEmail,
    /// The user principal name of Active Directory, an `otherName`.
    SanUpn,
    /// `dNSName`.
    SanDns,
    /// The common name of the subject. No name constraint that we know of bounds it.
    Cn,
}

/// `[[certificate_authority]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthorityFile {
    name: Spanned<String>,
    anchors: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    intermediates: Vec<Spanned<String>>,
    #[serde(default)]
    crls: Vec<Spanned<String>>,
    #[serde(default)]
    crl_source: Vec<SourceFile>,
    #[serde(default)]
    ocsp: Vec<ResponderFile>,
    revocation: Option<Spanned<RevocationName>>,
    extended_key_usages: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    required_policies: Vec<Spanned<String>>,
    #[serde(default)]
    subject: Vec<SubjectFile>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum RevocationName {
    None,
    Both,
    Either,
}

/// `[[certificate_authority.subject]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectFile {
    from: NameSource,
    capture: Option<Spanned<String>>,
    case: Option<Case>,
}

/// Checks the authorities of a file.
pub(super) fn checked<T>(
    directory: &Directory,
    file: &Loaded<T>,
    written: &[AuthorityFile],
) -> Result<Vec<Authority>, ConfigError> {
    let mut authorities: Vec<Authority> = Vec::new();
    for one in written {
        let authority = Reading { directory, file, now: Millis::now() }.authority(one)?;
        if authorities.len() == MOST {
            return Err(file.error(one.name.span(), format!("more than {MOST} certificate authorities")));
        }
        if authorities.iter().any(|other| other.name == authority.name) {
            return Err(file.error(one.name.span(), "this certificate authority stands here twice"));
        }
        let shared = |anchor: &Anchor| {
            let owner = |other: &&Authority| other.anchors.iter().any(|its| its.trusted == anchor.trusted);
            authorities.iter().find(owner)
        };
        if let Some(owner) = authority.anchors.iter().find_map(shared) {
            let why = format!("anchors: one of these is an anchor of {} already", owner.name.as_str());
            return Err(file.error(one.anchors.span(), why));
        }
        authorities.push(authority);
    }
    Ok(authorities)
}

/// What it takes to read one authority.
struct Reading<'a, T> {
    directory: &'a Directory,
    file: &'a Loaded<T>,
    now: Millis,
}

impl<T> Reading<'_, T> {
    fn authority(&self, written: &AuthorityFile) -> Result<Authority, ConfigError> {
        let refused = |span: Range<usize>, why: &dyn Display| self.file.error(span, why);
        let name = written.name.get_ref();
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"_-.".contains(&c);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            let why = "the name of a certificate authority is 1 to 64 ASCII letters, digits, '_', '-' or '.'";
            return Err(refused(written.name.span(), &why));
        }
        let span = written.name.span();
        let lengths = [written.anchors.get_ref().len(), written.intermediates.len(), written.subject.len()];
        if lengths
            .into_iter()
            .chain([written.crls.len() + written.crl_source.len(), written.ocsp.len(), written.required_policies.len()])
            .any(|length| length > MOST)
        {
            return Err(refused(span, &format!("{name}: more than {MOST} files or rules of one kind")));
        }
        if written.anchors.get_ref().is_empty() {
            return Err(refused(written.anchors.span(), &"anchors: no path would end anywhere"));
        }
        if written.subject.is_empty() {
            let why = format!("{name} has no [[certificate_authority.subject]]: its certificates would mean nobody");
            return Err(refused(span, &why));
        }
        let mut doubts = Vec::new();
        self.judging(written, &mut doubts)?;
        let mut anchors = Vec::new();
        for path in written.anchors.get_ref() {
            anchors.extend(self.certificates(path, &mut doubts)?);
        }
        let mut intermediates = Vec::new();
        for path in &written.intermediates {
            intermediates.extend(self.certificates(path, &mut doubts)?);
        }
        if anchors.len() > MOST || intermediates.len() > MOST {
            return Err(refused(span, &format!("{name}: more than {MOST} certificates of one kind")));
        }
        let has_lists = !written.crls.is_empty() || !written.crl_source.is_empty();
        let lists = has_lists.then(|| self.lists(written, &anchors, &intermediates, &mut doubts)).transpose()?;
        let responders = self.responders(&written.ocsp)?;
        let either = written.revocation.as_ref().is_some_and(|word| *word.get_ref() == RevocationName::Either);
        let usages = match &written.extended_key_usages {
            None => vec![usage("client-auth").expect("one of the names")],
            Some(names) => names.iter().map(|name| self.usage(name)).collect::<Result<_, _>>()?,
        };
        let policies = written.required_policies.iter().map(|name| self.policy(name)).collect::<Result<_, _>>()?;
        let subjects = written.subject.iter().map(|rule| {
            Ok(SubjectRule { from: rule.from, naming: Naming::read(self.file, rule.capture.as_ref(), rule.case)? })
        });
        Ok(Authority {
            name: Text::new(name.clone()).expect("64 octets at most"),
            anchors: anchors.into_iter().map(|(_, anchor)| anchor).collect(),
            intermediates: intermediates.into_iter().map(|(der, anchor)| (der, anchor.dates)).collect(),
            lists,
            responders,
            enough: if either { Enough::Either } else { Enough::All },
            usages,
            policies,
            subjects: subjects.collect::<Result<_, _>>()?,
            doubts,
        })
    }

    /// Is it said who is asked, and is that who is there?
    fn judging(&self, written: &AuthorityFile, doubts: &mut Vec<ConfigError>) -> Result<(), ConfigError> {
        let name = written.name.get_ref();
        let lists = !written.crls.is_empty() || !written.crl_source.is_empty();
        let (asked, both) = (lists || !written.ocsp.is_empty(), lists && !written.ocsp.is_empty());
        let Some(word) = &written.revocation else {
            let why =
                || format!("{name}: crls are missing, and ocsp is; revocation = \"none\" says that nobody is to ask");
            return if asked { Ok(()) } else { Err(self.file.error(written.name.span(), why())) };
        };
        let why = match word.get_ref() {
            RevocationName::None if asked => "revocation = \"none\" and crls or ocsp exclude each other",
            RevocationName::Both | RevocationName::Either if !both => {
                "there is one to ask: both and either are for crls with ocsp"
            }
            RevocationName::None => {
                let why = format!("a certificate that {name} took back is good until it expires");
                doubts.push(self.file.error(word.span(), why));
                return Ok(());
            }
            RevocationName::Both | RevocationName::Either => return Ok(()),
        };
        Err(self.file.error(word.span(), why))
    }

    /// The lists of an authority.
    fn lists(
        &self,
        written: &AuthorityFile,
        anchors: &[(CertificateDer<'static>, Anchor)],
        intermediates: &[(CertificateDer<'static>, Anchor)],
        doubts: &mut Vec<ConfigError>,
    ) -> Result<Lists, ConfigError> {
        let refused = |span: Range<usize>, why: &dyn Display| self.file.error(span, why);
        let mut lists: Vec<Arc<List>> = Vec::new();
        for path in &written.crls {
            let list = self.list(path)?;
            let same = |other: &&Arc<List>| other.issuer() == list.issuer();
            if lists.iter().filter(same).any(|other| !other.is_for_the_same(&list)) {
                let why =
                    format!("crl {}: not for the same certificates as another list of its issuer", path.get_ref());
                return Err(refused(path.span(), &why));
            }
            if list.is_past(self.now) {
                let why = "its nextUpdate is past: whom it is about is refused";
                doubts.push(refused(path.span(), &why));
            }
            lists.push(Arc::new(list));
        }
        for list in &lists {
            for (_, anchor) in anchors.iter().chain(intermediates) {
                if *anchor.trusted.subject == *list.issuer() {
                    list.verify(&webpki::spki_for_anchor(&anchor.trusted));
                }
            }
        }
        Ok(Lists::new(lists, self.sources(&written.crl_source)?))
    }

    /// Who is asked about single certificates.
    fn responders(&self, written: &[ResponderFile]) -> Result<Vec<Responder>, ConfigError> {
        let mut responders: Vec<Responder> = Vec::new();
        for one in written {
            let responder = Responder::read(self.directory, self.file, one, self.issuer(one.issuer.as_ref())?)?;
            let same = |other: &Responder| {
                other.source.url == responder.source.url
                    && other.source.address == responder.source.address
                    && other.issuer == responder.issuer
            };
            if responders.iter().any(same) {
                return Err(self.file.error(one.url.span(), "url: this responder stands here twice"));
            }
            responders.push(responder);
        }
        Ok(responders)
    }

    /// Name and key in the one certificate of a file.
    fn issuer(&self, path: Option<&Spanned<String>>) -> Result<Option<Issuer>, ConfigError> {
        let Some(path) = path else { return Ok(None) };
        let refused = |why: String| self.file.error(path.span(), format!("certificate {}: {why}", path.get_ref()));
        let certificates = certificates(self.directory, path.get_ref()).map_err(refused)?;
        let [(_, anchor)] = &certificates[..] else { return Err(refused("holds more than one".to_owned())) };
        let trusted = &anchor.trusted;
        let (name, key) = (trusted.subject.to_vec(), webpki::spki_for_anchor(trusted).to_vec());
        Ok(Some(Issuer { name, key }))
    }

    /// The certificates of a PEM file, each that of an authority.
    fn certificates(
        &self,
        path: &Spanned<String>,
        doubts: &mut Vec<ConfigError>,
    ) -> Result<Vec<(CertificateDer<'static>, Anchor)>, ConfigError> {
        let refused = |why: String| self.file.error(path.span(), format!("certificate {}: {why}", path.get_ref()));
        let certificates = certificates(self.directory, path.get_ref()).map_err(refused)?;
        for (_, anchor) in &certificates {
            if anchor.dates.not_after < self.now {
                doubts.push(refused("its notAfter is past: no path ends at it or leads over it".to_owned()));
            }
        }
        Ok(certificates)
    }

    /// A list, DER or PEM.
    fn list(&self, path: &Spanned<String>) -> Result<List, ConfigError> {
        let refused = |why: String| self.file.error(path.span(), format!("crl {}: {why}", path.get_ref()));
        let octets = self.directory.octets(path.get_ref()).map_err(|error| refused(error.to_string()))?;
        lists::read(octets).map_err(refused)
    }

    /// Where lists are fetched from.
    fn sources(&self, written: &[SourceFile]) -> Result<Vec<Fetched<List>>, ConfigError> {
        let mut sources: Vec<Fetched<List>> = Vec::new();
        for one in written {
            let source = Source::read(self.directory, self.file, one, Way::Any)?;
            if sources.iter().any(|other| other.source.url == source.url) {
                return Err(self.file.error(one.url.span(), "url: this source stands here twice"));
            }
            sources.push(Fetched::new(source));
        }
        Ok(sources)
    }

    fn policy(&self, name: &Spanned<String>) -> Result<Vec<u8>, ConfigError> {
        let refused = |why: &str| self.file.error(name.span(), why);
        let oid = name.get_ref().parse::<Oid<'_>>();
        let oid = oid.map_err(|_| refused("a policy is an object identifier in dots, as 2.16.840.1.101.3.2.1.3.13"))?;
        match oid.as_bytes() {
            ANY_POLICY => Err(refused("anyPolicy is none that could be asked for: leave required_policies out")),
            oid => Ok(oid.to_vec()),
        }
    }

    fn usage(&self, name: &Spanned<String>) -> Result<Usage, ConfigError> {
        usage(name.get_ref()).ok_or_else(|| {
            let why = "an extended key usage is client-auth, email-protection, smart-card-logon or an object \
                       identifier in dots";
            self.file.error(name.span(), why)
        })
    }
}

fn usage(name: &str) -> Option<Usage> {
    let dots = match name {
        "client-auth" => "1.3.6.1.5.5.7.3.2",
        "email-protection" => "1.3.6.1.5.5.7.3.4",
        "smart-card-logon" => "1.3.6.1.4.1.311.20.2.2",
        dots => dots,
    };
    dots.parse::<Oid<'_>>().ok().map(|oid| Usage(oid.as_bytes().to_vec()))
}

/// May whoever has this certificate issue others now? Whether an authority we trust says so is another question.
#[must_use]
pub fn may_issue(der: &[u8], now: Millis) -> bool {
    anchor(der).is_ok_and(|anchor| anchor.dates.hold(now))
}

/// Where paths end that lead to one of the certificates of this PEM file.
///
/// # Errors
/// A clause for the operator.
pub(super) fn anchors(directory: &Directory, path: &str) -> Result<Vec<TrustAnchor<'static>>, String> {
    Ok(certificates(directory, path)?.into_iter().map(|(_, anchor)| anchor.trusted).collect())
}

/// The certificates of a PEM file, each that of an authority.
fn certificates(directory: &Directory, path: &str) -> Result<Vec<(CertificateDer<'static>, Anchor)>, String> {
    let octets = directory.octets(path).map_err(|error| error.to_string())?;
    let mut certificates = Vec::new();
    for pem in Pem::iter_from_buffer(&octets) {
        let pem = pem.map_err(|error| format!("not PEM: {error}"))?;
        if pem.label != "CERTIFICATE" {
            return Err(format!("holds a {:?}, not a certificate", pem.label));
        }
        let anchor = anchor(&pem.contents)?;
        certificates.push((CertificateDer::from(pem.contents), anchor));
    }
    if certificates.is_empty() { Err("holds no certificate in PEM form".to_owned()) } else { Ok(certificates) }
}

/// Reads the certificate of an authority, which may issue others.
fn anchor(der: &[u8]) -> Result<Anchor, String> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err("octets after the certificate".to_owned());
    }
    let constraints = certificate.basic_constraints().map_err(|error| error.to_string())?;
    let constraints = constraints.filter(|constraints| constraints.value.ca).ok_or("not that of an authority")?;
    let usage = certificate.key_usage().map_err(|error| error.to_string())?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err("its key usage does not allow it to issue certificates".to_owned());
    }
    let unusable = |error| format!("not usable: {error:?}");
    let validity = certificate.validity();
    Ok(Anchor {
        trusted: webpki::anchor_from_trusted_cert(&CertificateDer::from(der)).map_err(unusable)?.to_owned(),
        issuer: inside(certificate.issuer().as_raw())?,
        serial: certificate.raw_serial().to_vec(),
        path_length: constraints.value.path_len_constraint,
        dates: Dates {
            not_before: Millis(validity.not_before.timestamp().saturating_mul(1000)),
            not_after: Millis(validity.not_after.timestamp().saturating_mul(1000)),
        },
    })
}

/// The content of a value of DER.
fn inside(der: &[u8]) -> Result<Vec<u8>, String> {
    Any::from_der(der).map(|(_, value)| value.data.to_vec()).map_err(|error| error.to_string())
}
