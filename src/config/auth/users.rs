//! `auth.d/users.toml`: accounts, what they prove themselves with, groups and attributes. A secret that is not hashed
//! serves digests and nothing else. Names, attributes and certificates are compared octet for octet; nothing is folded
//!

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use argon2::Params;
use cedar_policy::{Entities, EntityUid};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use zeroize::Zeroizing;

use super::authority::Authority;
use super::certificate::{Certificate, VerifyingKey};
use super::directory::Directory as DirectoryRules;
use super::hash::Hash;
use super::jwt::JwtIssuer;
use super::kerberos::Realm;
use super::partner::Partner;
use super::policy::{self, Vocabulary};
use super::verdict::Edition;
use super::vouching::AttributeRule;
use crate::config::beneath::Directory;
use crate::config::load::{ConfigError, Loaded};
use crate::wire::evidence::KeyReference;
use crate::wire::{Millis, Secret, Text};

/// Attribute names that mean something else.
const RESERVED: [&str; 2] = ["username", "groups"];

/// Octets of a secret for digests. A shorter one could be guessed by whoever has seen one digest.
const DIGEST_SECRET: RangeInclusive<usize> = 16..=256;

/// Certificates that one reference may mean, so that nobody has many keys tried.
const MOST_MEANT: usize = 8;

/// A secret for digests.
pub type DigestSecret = Secret<256>;

/// Every account.
#[derive(Debug)]
pub struct Users {
    accounts: HashMap<String, Account>,
    /// Registered certificates, each with its account's name.
    certificates: Vec<(Certificate, String)>,
    /// What claims and policies may speak of.
    pub vocabulary: Vocabulary,
    /// What an unknown user's password is compared with: no password fits it, and it costs what most hashes
    /// here cost.
    pub dummy: Hash,
    /// What the digest of an unknown user is compared with: nobody knows it, and it is as long as most are here.
    pub dummy_secret: DigestSecret,
    /// Accounts whose hash costs something else than the dummy, so that timing can tell them apart (R-T142).
    pub odd_costs: usize,
    /// What holds, and may not be what was meant.
    pub(super) doubts: Vec<ConfigError>,
}

/// One account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name.
    pub name: Text<256>,
    /// Its password, when it has one.
    pub hash: Option<Hash>,
    /// The secret its digests are made of, when it has one; then it has no password.
    pub digest_secret: Option<DigestSecret>,
    /// The certificate authority that may name it, when there is one.
    pub authority: Option<String>,
    /// The partner whose assertions may name it, when there is one.
    pub partner: Option<String>,
    /// The issuer whose JWTs may name it, when there is one.
    pub issuer: Option<String>,
    /// The realm of Kerberos whose tickets may name it, when there is one.
    pub realm: Option<String>,
    /// May it do nothing?
    pub disabled: bool,
    /// Values by attribute. `username` and `groups` are among them.
    pub attributes: BTreeMap<String, Vec<Text<4096>>>,
    /// The account as policies see it.
    pub principal: EntityUid,
    /// The account and its groups, for the policy engine.
    pub entities: Entities,
    /// Tells it from another that has had its name; none where it is found, or described, for one request.
    pub edition: Option<Edition>,
}

impl Account {
    /// An account that a directory knows, whose password was verified there. `username` is added to its attributes.
    ///
    /// # Errors
    /// What Cedar has against it, in one clause.
    pub fn found(
        name: Text<256>,
        mut attributes: BTreeMap<String, Vec<Text<4096>>>,
        vocabulary: &Vocabulary,
    ) -> Result<Self, String> {
        let username = Text::new(name.as_str()).expect("fits 256, so fits 4096");
        attributes.insert("username".to_owned(), vec![username]);
        let (principal, entities) = policy::principal(vocabulary, &name, &attributes)?;
        Ok(Self {
            name,
            hash: None,
            digest_secret: None,
            authority: None,
            partner: None,
            issuer: None,
            realm: None,
            disabled: false,
            attributes,
            principal,
            entities,
            edition: None,
        })
    }
}

impl Users {
    /// The account of that name, exactly.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name)
    }

    /// The account that the certificate a message refers to is registered for, and the certificate. Of several
    /// for one key, as while one is renewed, one that holds at this instant is meant; a reference that could mean
    /// two keys means none.
    #[must_use]
    pub fn signer(&self, reference: &KeyReference, now: Millis) -> Option<(&Account, &Certificate)> {
        let signers = self.signers(reference, now);
        let first = *signers.first()?;
        signers.iter().all(|(_, certificate)| certificate.key == first.1.key).then_some(first)
    }

    /// The same of each certificate that the reference could mean, those that hold first: whose key signed is to be
    /// tried. None where more hold than a few. Every authority counts from where it likes, so that those of several may
    /// have one serial number, and those for one key have one key identifier.
    #[must_use]
    pub fn signers(&self, reference: &KeyReference, now: Millis) -> Vec<(&Account, &Certificate)> {
        let meant = |certificate: &Certificate| match reference {
            KeyReference::Certificate(der) => certificate.der == **der,
            // Whoever asks takes the one that signed out of it.
            KeyReference::Path(_) => false,
            // It is for the assertion to say, and nobody's who is registered.
            KeyReference::Assertion | KeyReference::Value(_) => false,
            KeyReference::Thumbprint(thumbprint) => certificate.thumbprint == *thumbprint,
            KeyReference::KeyIdentifier(identifier) => *certificate.key_identifier == **identifier,
            KeyReference::Serial(serial) => *certificate.serial == **serial,
        };
        let meant = self.certificates.iter().filter(|(certificate, _)| meant(certificate));
        let meant = meant.filter_map(|(certificate, name)| Some((self.accounts.get(name)?, certificate)));
        let (mut signers, past): (Vec<_>, Vec<_>) = meant.partition(|(_, certificate)| certificate.holds(now));
        if signers.len() > MOST_MEANT {
            return Vec::new();
        }
        signers.extend(past);
        signers.truncate(MOST_MEANT);
        signers
    }

    /// The name of the account that a key is registered for, whatever certificate is around it.
    #[must_use]
    pub fn owner(&self, key: &VerifyingKey) -> Option<&str> {
        let mut certificates = self.certificates.iter();
        certificates.find(|(certificate, _)| certificate.key == *key).map(|(_, name)| name.as_str())
    }

    /// The name of the account that a key is registered for, by its SubjectPublicKeyInfo, DER, whose end its octets
    /// are.
    #[must_use]
    pub fn registered(&self, public_key: &[u8]) -> Option<&str> {
        let mut certificates = self.certificates.iter();
        certificates.find(|(one, _)| public_key.ends_with(one.key.parts().1)).map(|(_, name)| name.as_str())
    }

    /// Is a certificate registered for the account of that name?
    pub(super) fn has_certificate(&self, name: &str) -> bool {
        self.certificates.iter().any(|(_, owner)| owner == name)
    }

    /// Every account, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// How many accounts there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.accounts.len()
    }
}

impl Account {
    /// The account with values that somebody else says it has, for one request. What it proves itself with stays
    /// behind.
    ///
    /// # Errors
    /// A clause for the operator.
    pub fn with(&self, vocabulary: &Vocabulary, more: BTreeMap<String, Vec<Text<4096>>>) -> Result<Self, String> {
        let mut attributes = self.attributes.clone();
        attributes.extend(more);
        let (principal, entities) = policy::principal(vocabulary, &self.name, &attributes)?;
        Ok(Self {
            name: self.name.clone(),
            hash: None,
            digest_secret: None,
            authority: self.authority.clone(),
            partner: self.partner.clone(),
            issuer: self.issuer.clone(),
            realm: self.realm.clone(),
            disabled: self.disabled,
            attributes,
            principal,
            entities,
            edition: None,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Attributes that exist even if nobody has one now.
    #[serde(default)]
    attributes: Vec<Spanned<String>>,
    #[serde(default)]
    users: BTreeMap<Spanned<String>, UserFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserFile {
    password: Option<Spanned<String>>,
    digest_secret: Option<Spanned<Written>>,
    /// PEM files in `auth.d`, a certificate each.
    #[serde(default)]
    certificates: Vec<Spanned<String>>,
    certificate_authority: Option<Spanned<String>>,
    saml_partner: Option<Spanned<String>>,
    jwt_issuer: Option<Spanned<String>>,
    kerberos_realm: Option<Spanned<String>>,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    groups: Vec<Spanned<String>>,
    #[serde(default)]
    attributes: BTreeMap<Spanned<String>, Spanned<Vec<String>>>,
}

/// A secret as it is written, wiped when it was read. What is none is not repeated in the error either.
struct Written(Zeroizing<String>);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom("a secret is a string"))?;
        Ok(Self(Zeroizing::new(text)))
    }
}

/// Who may vouch for accounts.
#[derive(Clone, Copy)]
pub(super) struct Vouching<'a> {
    pub(super) authorities: &'a [Authority],
    pub(super) partners: &'a [Partner],
    pub(super) issuers: &'a [JwtIssuer],
    pub(super) realms: &'a [Realm],
}

impl Vouching<'_> {
    /// What somebody signs with this key that is taken for his word about others, and who he is.
    fn signs(&self, key: &VerifyingKey) -> Option<(&str, &'static str)> {
        let partner = self.partners.iter().find(|partner| partner.certificates.iter().any(|its| its.key == *key));
        let issuer = || self.issuers.iter().find(|issuer| issuer.keys.now().iter().any(|its| its.key == *key));
        let partner = partner.map(|partner| (partner.name.as_str(), "assertions"));
        partner.or_else(|| issuer().map(|issuer| (issuer.name.as_str(), "JWTs")))
    }
}

/// `users.toml`, its attributes known, its accounts not yet looked at.
pub(super) struct Listed {
    file: Loaded<File>,
    pub(super) vocabulary: Vocabulary,
}

/// Reads `users.toml`. Attributes of these names exist even if nobody there has one.
pub(super) fn list<'a>(directory: &Directory, elsewhere: impl Iterator<Item = &'a str>) -> Result<Listed, ConfigError> {
    let file = directory.file::<File>("users.toml")?;
    Ok(Listed { vocabulary: vocabulary(&file, elsewhere)?, file })
}

impl Listed {
    /// Checks every account. Without those who may vouch for one, whether his is among them is not looked at.
    pub(super) fn users(&self, directory: &Directory, vouching: Option<Vouching<'_>>) -> Result<Users, ConfigError> {
        let mut costs: HashMap<_, usize> = HashMap::new();
        let mut lengths: HashMap<usize, usize> = HashMap::new();
        let mut accounts = HashMap::new();
        let (mut certificates, mut doubts): (Vec<(Certificate, String)>, _) = (Vec::new(), Vec::new());
        self.secrets_apart()?;
        for (name, user) in &self.file.value.users {
            let account = account(&self.file, name, user, &self.vocabulary)?;
            self.vouched(user, vouching)?;
            if let Some(hash) = &account.hash {
                *costs.entry(hash.cost()).or_default() += 1;
            }
            if let Some(secret) = &account.digest_secret {
                *lengths.entry(secret.expose().len()).or_default() += 1;
            }
            accounts.insert(name.get_ref().clone(), account);
            for path in &user.certificates {
                let certificate = self.certificate(directory, name.get_ref(), path)?;
                let known = |(other, owner): &&(Certificate, String)| {
                    other.der == certificate.der || (other.key == certificate.key && owner != name.get_ref())
                };
                if let Some((_, owner)) = certificates.iter().find(known) {
                    let why = format!("certificate {}: its key is registered for {owner} already", path.get_ref());
                    return Err(self.file.error(path.span(), why));
                }
                if let Some((signer, what)) = vouching.as_ref().and_then(|all| all.signs(&certificate.key)) {
                    let why = format!(
                        "certificate {}: {signer} signs {what} with its key, and a key has one use",
                        path.get_ref()
                    );
                    return Err(self.file.error(path.span(), why));
                }
                let alike = |same: &dyn Fn(&Certificate) -> bool| {
                    certificates.iter().filter(|(other, _)| same(other)).count() == MOST_MEANT
                };
                for (what, many) in [
                    ("serial number", alike(&|other| other.serial == certificate.serial)),
                    ("key identifier", alike(&|other| other.key_identifier == certificate.key_identifier)),
                ] {
                    if many {
                        let (span, path) = (path.span(), path.get_ref());
                        let why = format!(
                            "certificate {path}: {MOST_MEANT} others have its {what}, and where more hold nobody is known by that"
                        );
                        doubts.push(self.file.error(span, why));
                    }
                }
                certificates.push((certificate, name.get_ref().clone()));
            }
        }
        let house =
            (Params::DEFAULT_M_COST, Params::DEFAULT_T_COST, Params::DEFAULT_P_COST, Params::DEFAULT_OUTPUT_LEN);
        // Ties go to the dearer cost, so that the choice does not depend on the order of a map.
        let (cost, most) = costs.into_iter().max_by_key(|(cost, count)| (*count, *cost)).unwrap_or((house, 0));
        let odd_costs = accounts.values().filter(|account: &&Account| account.hash.is_some()).count() - most;
        let length = lengths.into_iter().max_by_key(|(length, count)| (*count, *length)).map_or(32, |most| most.0);
        let vocabulary = self.vocabulary.clone();
        let (dummy, dummy_secret) = (Hash::dummy(cost), dummy_secret(length));
        Ok(Users { accounts, certificates, vocabulary, dummy, dummy_secret, odd_costs, doubts })
    }

    /// Is nobody here called as somebody in one of the directories is?
    pub(super) fn apart(&self, directories: &[Arc<DirectoryRules>]) -> Result<(), ConfigError> {
        for name in self.file.value.users.keys() {
            if let Some(owner) = directories.iter().find(|owner| owner.bare(name.get_ref()).is_some()) {
                let why = format!(
                    "{}: names like this belong to [[directory]] {}, and a name has one source",
                    name.get_ref(),
                    owner.name.as_str()
                );
                return Err(self.file.error(name.span(), why));
            }
        }
        Ok(())
    }

    /// An account that has this attribute of its own.
    pub(super) fn owner_of(&self, attribute: &str) -> Option<&str> {
        let mut users = self.file.value.users.iter();
        let has = |user: &UserFile| user.attributes.keys().any(|name| name.get_ref() == attribute);
        users.find_map(|(name, user)| has(user).then_some(name.get_ref().as_str()))
    }

    /// Whoever has the secret of two accounts is both of them.
    fn secrets_apart(&self) -> Result<(), ConfigError> {
        let with = self.file.value.users.iter().filter_map(|(name, user)| Some((name, user.digest_secret.as_ref()?)));
        let mut in_order: Vec<_> = with.collect();
        in_order.sort_by_key(|(_, secret)| secret.span().start);
        let mut owners = HashMap::new();
        for (name, secret) in in_order {
            if let Some(owner) = owners.insert(secret.get_ref().0.as_bytes(), name.get_ref()) {
                let why = format!("digest_secret of {}: {owner} has the same one", name.get_ref());
                return Err(self.file.error(secret.span(), why));
            }
        }
        Ok(())
    }

    /// Is there who is said to vouch for this account?
    fn vouched(&self, user: &UserFile, vouching: Option<Vouching<'_>>) -> Result<(), ConfigError> {
        let Some(Vouching { authorities, partners, issuers, realms }) = vouching else { return Ok(()) };
        let unknown = |named: &Spanned<String>, list: &str| {
            self.file.error(named.span(), format!("no [[{list}]] of auth.toml is called {:?}", named.get_ref()))
        };
        if let Some(named) = &user.certificate_authority
            && !authorities.iter().any(|authority| authority.name.as_str() == named.get_ref())
        {
            return Err(unknown(named, "certificate_authority"));
        }
        if let Some(named) = &user.saml_partner {
            let partner = partners.iter().find(|partner| partner.name.as_str() == named.get_ref());
            let partner = partner.ok_or_else(|| unknown(named, "saml_partner"))?;
            self.says_alone(user, named, &partner.attributes)?;
        }
        if let Some(named) = &user.jwt_issuer {
            let issuer = issuers.iter().find(|issuer| issuer.name.as_str() == named.get_ref());
            let issuer = issuer.ok_or_else(|| unknown(named, "jwt_issuer"))?;
            self.says_alone(user, named, &issuer.attributes)?;
        }
        if let Some(named) = &user.kerberos_realm
            && !realms.iter().any(|realm| realm.name.as_str() == named.get_ref())
        {
            return Err(unknown(named, "kerberos_realm"));
        }
        Ok(())
    }

    /// An attribute has one source: or nobody could say whose word a policy goes by.
    fn says_alone(&self, user: &UserFile, who: &Spanned<String>, rules: &[AttributeRule]) -> Result<(), ConfigError> {
        let says = |name: &str| rules.iter().any(|rule| rule.to == name);
        if let Some(name) = user.attributes.keys().find(|name| says(name.get_ref())) {
            let why = format!("{} says what {:?} of this account is", who.get_ref(), name.get_ref());
            return Err(self.file.error(name.span(), why));
        }
        Ok(())
    }

    fn certificate(
        &self,
        directory: &Directory,
        owner: &str,
        path: &Spanned<String>,
    ) -> Result<Certificate, ConfigError> {
        let read = directory.text(path.get_ref()).map_err(|error| error.to_string());
        read.and_then(|text| Certificate::from_pem(&text))
            .map_err(|why| self.file.error(path.span(), format!("certificate {} of {owner}: {why}", path.get_ref())))
    }
}

/// A secret of that many octets that nobody knows.
fn dummy_secret(length: usize) -> DigestSecret {
    let mut octets = vec![0; length];
    getrandom::fill(&mut octets).expect("the kernel's random number generator answers");
    Secret::new(octets).expect("as long as a secret that was taken")
}

fn vocabulary<'a>(file: &Loaded<File>, elsewhere: impl Iterator<Item = &'a str>) -> Result<Vocabulary, ConfigError> {
    // Those that cannot be used are told of where they stand.
    let mut names: BTreeSet<_> = elsewhere.filter(|name| attribute_name(name).is_ok()).map(ToOwned::to_owned).collect();
    let given = file.value.users.values().flat_map(|user| user.attributes.keys());
    for name in file.value.attributes.iter().chain(given) {
        let text = name.get_ref();
        attribute_name(text).map_err(|why| file.error(name.span(), why))?;
        names.insert(text.clone());
    }
    Vocabulary::new(names).map_err(|why| file.error_at(&["attributes"], why))
}

/// May claims and policies speak of this?
///
/// # Errors
/// A clause for the operator.
pub(super) fn attribute_name(name: &str) -> Result<(), String> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"_-.".contains(&c);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        return Err("an attribute's name is 1 to 64 ASCII letters, digits, '_', '-' or '.'".to_owned());
    }
    if RESERVED.contains(&name) {
        return Err(format!("every account has {name:?} of itself"));
    }
    Ok(())
}

fn account(
    file: &Loaded<File>,
    name: &Spanned<String>,
    user: &UserFile,
    vocabulary: &Vocabulary,
) -> Result<Account, ConfigError> {
    let shown = name.get_ref();
    let text = Text::<256>::new(shown.clone()).map_err(|why| file.error(name.span(), format!("user name {why}")))?;
    if text.is_empty() {
        return Err(file.error(name.span(), "a user's name is not empty"));
    }
    let proven = user.password.is_some()
        || user.digest_secret.is_some()
        || !user.certificates.is_empty()
        || user.certificate_authority.is_some()
        || user.saml_partner.is_some()
        || user.jwt_issuer.is_some()
        || user.kerberos_realm.is_some();
    if !proven {
        let why = format!(
            "{shown} has neither password nor digest_secret nor certificates nor a certificate authority nor a partner \
             nor an issuer nor a realm: nothing would prove who he is"
        );
        return Err(file.error(name.span(), why));
    }
    let hash = user.password.as_ref().map(|password| {
        Hash::parse(password.get_ref())
            .map_err(|why| file.error(password.span(), format!("password of {shown}: {why}")))
    });
    let hash = hash.transpose()?;
    let digest_secret = user.digest_secret.as_ref().map(|given| digest_secret(file, shown, given, hash.is_some()));
    let digest_secret = digest_secret.transpose()?;
    let mut attributes = BTreeMap::new();
    for (attribute, values) in &user.attributes {
        if values.get_ref().len() > 256 {
            return Err(file.error(values.span(), "more than 256 values"));
        }
        let values: Result<Vec<_>, _> = values.get_ref().iter().cloned().map(Text::<4096>::new).collect();
        let values = values.map_err(|why| {
            file.error(attribute.span(), format!("a value of {:?} of {shown} {why}", attribute.get_ref()))
        })?;
        attributes.insert(attribute.get_ref().clone(), values);
    }
    let mut groups = Vec::new();
    for group in &user.groups {
        let text = Text::<4096>::new(group.get_ref().clone());
        groups.push(text.map_err(|why| file.error(group.span(), format!("group {why}")))?);
    }
    attributes.insert("username".to_owned(), vec![Text::new(shown.clone()).expect("fits 256, so fits 4096")]);
    attributes.insert("groups".to_owned(), groups);
    let (principal, entities) = policy::principal(vocabulary, shown, &attributes)
        .map_err(|why| file.error(name.span(), format!("account {shown}: {why}")))?;
    let authority = user.certificate_authority.as_ref().map(|name| name.get_ref().clone());
    let partner = user.saml_partner.as_ref().map(|name| name.get_ref().clone());
    let issuer = user.jwt_issuer.as_ref().map(|name| name.get_ref().clone());
    let realm = user.kerberos_realm.as_ref().map(|name| name.get_ref().clone());
    let disabled = user.disabled;
    Ok(Account {
        name: text,
        hash,
        digest_secret,
        authority,
        partner,
        issuer,
        realm,
        disabled,
        attributes,
        principal,
        entities,
        edition: Some(Edition::default()),
    })
}

/// A secret stands where no hash does: beside one it would undo what the hash is for.
fn digest_secret(
    file: &Loaded<File>,
    owner: &str,
    given: &Spanned<Written>,
    hashed: bool,
) -> Result<DigestSecret, ConfigError> {
    let refused = |why: &str| file.error(given.span(), format!("digest_secret of {owner}: {why}"));
    if hashed {
        return Err(refused("digest_secret and password exclude each other"));
    }
    let octets = given.get_ref().0.as_bytes();
    if !DIGEST_SECRET.contains(&octets.len()) {
        return Err(refused("must have 16 to 256 octets"));
    }
    Secret::new(octets).map_err(|_| refused("must have 16 to 256 octets"))
}
