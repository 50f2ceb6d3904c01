//! `[[directory]]` of `auth.toml`: an LDAP directory that knows users, which names are its own, where its servers
//! are and what is asked of it. Nothing is sent in clear, nothing is looked up in DNS, and no account of
//! `users.toml` may have a name that a directory has.

pub mod filter;
pub mod names;

use std::collections::HashSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{ServerName, TrustAnchor};
use serde::Deserialize;
use toml::Spanned;
use zeroize::Zeroizing;

use self::filter::Filter;
use self::names::{AccountName, Mark};
use super::Number;
use super::authority::anchors;
use crate::config::beneath;
use crate::config::load::{ConfigError, Loaded};
use crate::wire::{Secret, Text};

/// Directories, and things of one kind in one of them, at most.
const MOST: usize = 16;
/// Attributes for claims, at most.
const ATTRIBUTES: usize = 64;

/// A directory.
#[derive(Debug)]
pub struct Directory {
    /// What the log calls it.
    pub name: Text<64>,
    /// Names that are its own.
    pub marks: Vec<Mark>,
    /// Its servers, in the order in which they are tried.
    pub servers: Vec<Server>,
    /// Who may issue their certificates.
    pub anchors: Vec<TrustAnchor<'static>>,
    /// Who we are when we search.
    pub bind_dn: String,
    /// What proves that.
    pub bind_password: BindPassword,
    /// Where users are.
    pub base_dn: String,
    /// Which of them is meant.
    pub filter: Filter,
    /// The entry that is tried in the place of one that is not there.
    pub decoy_dn: String,
    /// How an entry's account is called.
    pub account: AccountName,
    /// What says that an entry may not be used.
    pub disabled: Vec<Disabled>,
    /// What claims and policies may speak of.
    pub attributes: Vec<Attribute>,
    /// Its groups.
    pub groups: Option<Groups>,
    /// Bounds.
    pub limits: Limits,
}

/// A server of a directory.
#[derive(Debug, Clone)]
pub struct Server {
    /// The name its certificate has, as it was written.
    pub host: String,
    /// The same, as TLS compares it.
    pub name: ServerName<'static>,
    /// Where it is.
    pub address: SocketAddr,
    /// When TLS begins.
    pub tls: Tls,
}

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// With the connection.
    Ldaps,
    /// When the server has agreed to it (RFC 4511, 4.14). Nothing else is said before.
    Starttls,
}

/// What proves who searches.
#[derive(Debug)]
pub enum BindPassword {
    /// Read from a file of `auth.d`.
    Read(Secret<1024>),
    /// The credential of that name, which the service manager hands to auth and to nobody else.
    Credential(String),
}

/// An attribute that says that an entry may not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disabled {
    /// It has a value.
    Present(String),
    /// It has this value, letters of ASCII compared without case.
    Value(String, String),
    /// Its number has one of these bits. Without a number it may not be used either.
    Mask(String, u32),
}

/// An attribute of an account.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// What claims and policies call it.
    pub name: String,
    /// What the directory calls it, in small letters.
    pub from: String,
    /// What its values are.
    pub form: Form,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// UTF-8.
    Text,
    /// The sixteen octets of `objectGUID`; `f81d4fae-7dec-11d0-a765-00a0c91e6bf6` as text.
    Guid,
    /// The octets of `objectSid`; `S-1-5-21-…` as text.
    Sid,
}

/// Where groups are.
#[derive(Debug)]
pub struct Groups {
    /// How they are found.
    pub from: GroupsFrom,
    /// What a group is called.
    pub form: GroupForm,
    /// Who is in more has no account: some would be left out, and one that is left out may be one that forbids.
    pub most: usize,
}

/// How groups are found.
#[derive(Debug)]
pub enum GroupsFrom {
    /// By an attribute of the user's entry that has their names.
    Attribute(String),
    /// By a search.
    Search {
        /// Where they are.
        base_dn: String,
        /// Which of them have the user for a member.
        filter: Filter,
        /// Entries of one page.
        page: u32,
    },
}

/// What a group is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupForm {
    /// Its whole distinguished name, as the directory writes it.
    Dn,
    /// The value of the first part of it: the common name, as a rule.
    Rdn,
    /// The one value of this attribute, where groups are searched for.
    Attribute(String),
}

/// Bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Users verified at one time, and so connections of each kind.
    pub connections: usize,
    /// Users that may wait for one.
    pub queue: usize,
    /// How long a connection may take to be made and secured.
    pub connect: Duration,
    /// How long an answer may take.
    pub operation: Duration,
    /// How long it may take in all to verify one user.
    pub deadline: Duration,
    /// For how long a server that failed is left alone, at most.
    pub back_off: Duration,
    /// How long a connection is used.
    pub life: Duration,
    /// Refusals are given at multiples of this after the question, whatever it took to find out.
    pub refusal: Duration,
}

impl Directory {
    /// The user's own part of a name that is this directory's.
    #[must_use]
    pub fn bare<'a>(&self, name: &'a str) -> Option<&'a str> {
        self.marks.iter().find_map(|mark| mark.bare(name))
    }

    /// What stands for every spelling of a name that is this directory's, where guesses are counted.
    #[must_use]
    pub fn key(&self, bare: &str) -> String {
        self.marks.first().map_or_else(|| bare.to_lowercase(), |mark| mark.with(&bare.to_lowercase()))
    }
}

/// `[[directory]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DirectoryFile {
    name: Spanned<String>,
    names: Spanned<Vec<Spanned<String>>>,
    servers: Spanned<Vec<ServerFile>>,
    anchors: Spanned<Vec<Spanned<String>>>,
    bind_dn: Spanned<String>,
    bind_password_file: Option<Spanned<String>>,
    bind_password_credential: Option<Spanned<String>>,
    base_dn: Spanned<String>,
    filter: Spanned<String>,
    decoy_dn: Spanned<String>,
    account: Spanned<String>,
    #[serde(default)]
    disabled: Vec<DisabledFile>,
    #[serde(rename = "attribute", default)]
    attributes: Vec<AttributeFile>,
    groups: Option<Spanned<GroupsFile>>,
    connections: Number,
    queue: Number,
    connect_timeout_ms: Number,
    operation_timeout_ms: Number,
    deadline_ms: Number,
    back_off_s: Number,
    connection_life_s: Number,
    refusal_ms: Number,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerFile {
    host: Spanned<String>,
    address: Spanned<String>,
    tls: Tls,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DisabledFile {
    attribute: Spanned<String>,
    mask: Option<Spanned<u32>>,
    value: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeFile {
    name: Spanned<String>,
    from: Spanned<String>,
    form: Option<Form>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupsFile {
    from: Option<Spanned<String>>,
    base_dn: Option<Spanned<String>>,
    filter: Option<Spanned<String>>,
    page: Number,
    name: Option<Spanned<String>>,
    most: Number,
}

/// Names of attributes for claims, with where they stand.
pub(super) fn vocabulary(written: &[DirectoryFile]) -> impl Iterator<Item = &Spanned<String>> {
    written.iter().flat_map(|directory| directory.attributes.iter().map(|attribute| &attribute.name))
}

/// Checks the directories of a file.
pub(super) fn checked<T>(
    beneath: &beneath::Directory,
    file: &Loaded<T>,
    written: &[DirectoryFile],
) -> Result<Vec<Arc<Directory>>, ConfigError> {
    let mut directories: Vec<Arc<Directory>> = Vec::new();
    for one in written {
        let directory = Reading { beneath, file }.directory(one)?;
        if directories.len() == MOST {
            return Err(file.error(one.name.span(), format!("more than {MOST} directories")));
        }
        if directories.iter().any(|other| other.name == directory.name) {
            return Err(file.error(one.name.span(), "this directory stands here twice"));
        }
        for (mark, written) in directory.marks.iter().zip(one.names.get_ref()) {
            if let Some(owner) = directories.iter().find(|other| other.marks.contains(mark)) {
                let why = format!("names: {} belongs to {} already", written.get_ref(), owner.name.as_str());
                return Err(file.error(written.span(), why));
            }
        }
        directories.push(Arc::new(directory));
    }
    Ok(directories)
}

/// What it takes to read one directory.
struct Reading<'a, T> {
    beneath: &'a beneath::Directory,
    file: &'a Loaded<T>,
}

impl<T> Reading<'_, T> {
    fn refused(&self, span: Range<usize>, why: impl Display) -> ConfigError {
        self.file.error(span, why)
    }

    fn directory(&self, written: &DirectoryFile) -> Result<Directory, ConfigError> {
        let name = written.name.get_ref();
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"_-.".contains(&c);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            let why = "the name of a directory is 1 to 64 ASCII letters, digits, '_', '-' or '.'";
            return Err(self.refused(written.name.span(), why));
        }
        let counts = [
            ("names", written.names.get_ref().len(), written.names.span()),
            ("servers", written.servers.get_ref().len(), written.servers.span()),
            ("anchors", written.anchors.get_ref().len(), written.anchors.span()),
        ];
        for (key, count, span) in counts {
            if !(1..=MOST).contains(&count) {
                return Err(self.refused(span, format!("{key}: {name} has from 1 to {MOST} of them")));
            }
        }
        if written.disabled.len() > MOST || written.attributes.len() > ATTRIBUTES {
            let why =
                format!("{name}: more than {MOST} [[directory.disabled]] or {ATTRIBUTES} [[directory.attribute]]");
            return Err(self.refused(written.name.span(), why));
        }
        let marks = self.marks(written.names.get_ref())?;
        let mut trusted = Vec::new();
        for path in written.anchors.get_ref() {
            let certificates = anchors(self.beneath, path.get_ref());
            trusted.extend(
                certificates.map_err(|why| {
                    self.refused(path.span(), format!("anchors: certificate {}: {why}", path.get_ref()))
                })?,
            );
        }
        let account = AccountName::parse(written.account.get_ref(), &marks)
            .map_err(|why| self.refused(written.account.span(), why))?;
        let filter = Filter::parse(written.filter.get_ref(), "{user}")
            .map_err(|why| self.refused(written.filter.span(), format!("filter: {why}")))?;
        Ok(Directory {
            name: Text::new(name.clone()).expect("64 octets at most"),
            marks,
            servers: written.servers.get_ref().iter().map(|server| self.server(server)).collect::<Result<_, _>>()?,
            anchors: trusted,
            bind_dn: self.dn("bind_dn", &written.bind_dn)?,
            bind_password: self.bind_password(written)?,
            base_dn: self.dn("base_dn", &written.base_dn)?,
            filter,
            decoy_dn: self.dn("decoy_dn", &written.decoy_dn)?,
            account,
            disabled: written.disabled.iter().map(|rule| self.disabled(rule)).collect::<Result<_, _>>()?,
            attributes: self.attributes(&written.attributes)?,
            groups: written.groups.as_ref().map(|groups| self.groups(groups)).transpose()?,
            limits: self.limits(written)?,
        })
    }

    fn marks(&self, written: &[Spanned<String>]) -> Result<Vec<Mark>, ConfigError> {
        let mut marks = Vec::new();
        for text in written {
            let mark = Mark::parse(text.get_ref()).map_err(|why| self.refused(text.span(), why))?;
            if marks.contains(&mark) {
                return Err(self.refused(text.span(), format!("names: {} stands here twice", text.get_ref())));
            }
            marks.push(mark);
        }
        Ok(marks)
    }

    fn server(&self, written: &ServerFile) -> Result<Server, ConfigError> {
        let host = written.host.get_ref();
        let name = ServerName::try_from(host.clone()).map_err(|_| {
            let why = format!("host {host:?}: neither a DNS name nor an address, as a certificate has it");
            self.refused(written.host.span(), why)
        })?;
        let address = written.address.get_ref();
        let address: SocketAddr = address.parse().map_err(|_| {
            let why = format!(
                "address {address:?}: a number and a port, as 192.0.2.21:636 or [2001:db8::21]:636: auth asks no resolver"
            );
            self.refused(written.address.span(), why)
        })?;
        if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
            return Err(self.refused(written.address.span(), format!("address {address} is nobody's")));
        }
        Ok(Server { host: host.clone(), name, address, tls: written.tls })
    }

    /// An empty name would be nobody's: a server may let nobody in without asking for more (RFC 4513, 5.1.1).
    fn dn(&self, key: &str, written: &Spanned<String>) -> Result<String, ConfigError> {
        let text = written.get_ref();
        let good = text.contains('=') && text.len() <= 1024 && !text.chars().any(char::is_control);
        if good {
            Ok(text.clone())
        } else {
            Err(self.refused(written.span(), format!("{key}: not a distinguished name")))
        }
    }

    fn bind_password(&self, written: &DirectoryFile) -> Result<BindPassword, ConfigError> {
        let (path, credential) = (&written.bind_password_file, &written.bind_password_credential);
        match (path, credential) {
            (Some(path), None) => {
                let refused = |why: &dyn Display| {
                    self.refused(path.span(), format!("bind_password_file {}: {why}", path.get_ref()))
                };
                let octets = Zeroizing::new(self.beneath.octets(path.get_ref()).map_err(|error| refused(&error))?);
                password(&octets).map(BindPassword::Read).map_err(|why| refused(&why))
            }
            (None, Some(name)) => {
                let plain = |c: u8| c.is_ascii_alphanumeric() || b"_-.".contains(&c);
                let text = name.get_ref();
                if text.is_empty() || text.len() > 128 || text.starts_with('.') || !text.bytes().all(plain) {
                    return Err(self.refused(name.span(), "bind_password_credential: not the name of a credential"));
                }
                Ok(BindPassword::Credential(text.clone()))
            }
            (Some(_), Some(credential)) => {
                let why = "bind_password_file and bind_password_credential exclude each other";
                Err(self.refused(credential.span(), why))
            }
            (None, None) => {
                let why = "bind_password_file or bind_password_credential is missing: nobody searches unnamed";
                Err(self.refused(written.bind_dn.span(), why))
            }
        }
    }

    fn attribute(&self, key: &str, written: &Spanned<String>) -> Result<String, ConfigError> {
        attribute(written.get_ref()).map_err(|why| self.refused(written.span(), format!("{key}: {why}")))?;
        Ok(written.get_ref().to_ascii_lowercase())
    }

    fn disabled(&self, written: &DisabledFile) -> Result<Disabled, ConfigError> {
        let attribute = self.attribute("attribute", &written.attribute)?;
        match (&written.mask, &written.value) {
            (None, None) => Ok(Disabled::Present(attribute)),
            (None, Some(value)) => Ok(Disabled::Value(attribute, value.get_ref().clone())),
            (Some(mask), None) if *mask.get_ref() != 0 => Ok(Disabled::Mask(attribute, *mask.get_ref())),
            (Some(mask), None) => Err(self.refused(mask.span(), "mask: no bit would ever disable anybody")),
            (Some(mask), Some(_)) => Err(self.refused(mask.span(), "mask and value exclude each other")),
        }
    }

    fn attributes(&self, written: &[AttributeFile]) -> Result<Vec<Attribute>, ConfigError> {
        let mut names = HashSet::new();
        let mut attributes = Vec::new();
        for one in written {
            if !names.insert(one.name.get_ref()) {
                let why = format!("attribute {:?} stands here twice", one.name.get_ref());
                return Err(self.refused(one.name.span(), why));
            }
            super::users::attribute_name(one.name.get_ref()).map_err(|why| self.refused(one.name.span(), why))?;
            let from = self.attribute("from", &one.from)?;
            let form = one.form.unwrap_or(Form::Text);
            attributes.push(Attribute { name: one.name.get_ref().clone(), from, form });
        }
        Ok(attributes)
    }

    fn groups(&self, written: &Spanned<GroupsFile>) -> Result<Groups, ConfigError> {
        let GroupsFile { from, base_dn, filter, page, name, most } = written.get_ref();
        let form = match name.as_ref().map(|name| (name, name.get_ref().as_str())) {
            None | Some((_, "dn")) => GroupForm::Dn,
            Some((_, "rdn")) => GroupForm::Rdn,
            Some((name, _)) if from.is_some() => {
                return Err(self.refused(name.span(), "name: of an attribute's values it is \"dn\" or \"rdn\""));
            }
            Some((name, _)) => GroupForm::Attribute(self.attribute("name", name)?),
        };
        let from = match (from, base_dn, filter) {
            (Some(from), None, None) => GroupsFrom::Attribute(self.attribute("from", from)?),
            (None, Some(base_dn), Some(filter)) => {
                let base_dn = self.dn("base_dn", base_dn)?;
                let parsed = Filter::parse(filter.get_ref(), "{dn}")
                    .map_err(|why| self.refused(filter.span(), format!("filter: {why}")))?;
                GroupsFrom::Search { base_dn, filter: parsed, page: self.number("groups.page", page, 500, 1..=5000)? }
            }
            _ => {
                let why = "groups are found either by from or by base_dn and filter";
                return Err(self.refused(written.span(), why));
            }
        };
        Ok(Groups { from, form, most: self.number("groups.most", most, 1000, 1..=10_000)? as usize })
    }

    fn limits(&self, written: &DirectoryFile) -> Result<Limits, ConfigError> {
        let ms = |key, value, default, range| self.number(key, value, default, range).map(milliseconds);
        let s =
            |key, value, default, range| self.number(key, value, default, range).map(|s| Duration::from_secs(s.into()));
        let limits = Limits {
            connections: self.number("connections", &written.connections, 8, 1..=64)? as usize,
            queue: self.number("queue", &written.queue, 128, 1..=4096)? as usize,
            connect: ms("connect_timeout_ms", &written.connect_timeout_ms, 1000, 50..=10_000)?,
            operation: ms("operation_timeout_ms", &written.operation_timeout_ms, 2000, 50..=10_000)?,
            deadline: ms("deadline_ms", &written.deadline_ms, 6000, 100..=30_000)?,
            back_off: s("back_off_s", &written.back_off_s, 15, 1..=3600)?,
            life: s("connection_life_s", &written.connection_life_s, 300, 1..=86_400)?,
            refusal: ms("refusal_ms", &written.refusal_ms, 250, 10..=5000)?,
        };
        // Or the time is over before a server that hangs is known to, and the next one is never asked.
        let (deadline, connect) = (written.deadline_ms.as_ref(), written.connect_timeout_ms.as_ref());
        if limits.deadline < limits.connect + 2 * limits.operation
            && let Some(at) = deadline.or(connect).or(written.operation_timeout_ms.as_ref())
        {
            let why = "deadline_ms is shorter than connect_timeout_ms and twice operation_timeout_ms";
            return Err(self.refused(at.span(), why));
        }
        Ok(limits)
    }

    fn number(&self, key: &str, value: &Number, default: u32, range: RangeInclusive<u32>) -> Result<u32, ConfigError> {
        match value {
            None => Ok(default),
            Some(value) if range.contains(value.get_ref()) => Ok(*value.get_ref()),
            Some(value) => Err(self.refused(value.span(), super::between(key, &range))),
        }
    }
}

fn milliseconds(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

/// The password of a file or a credential, without the end of the line that editors add.
///
/// # Errors
/// A clause for the operator. An empty password would be no proof at all (RFC 4513, 5.1.2).
pub fn password(octets: &[u8]) -> Result<Secret<1024>, &'static str> {
    let octets = octets.strip_suffix(b"\n").unwrap_or(octets);
    let octets = octets.strip_suffix(b"\r").unwrap_or(octets);
    match std::str::from_utf8(octets) {
        Ok("") => Err("is empty"),
        Ok(text) if text.chars().any(char::is_control) => Err("is not one line of text"),
        Ok(_) => Secret::new(octets).map_err(|_| "is longer than 1024 octets"),
        Err(_) => Err("is not UTF-8"),
    }
}

/// Is this the name of an attribute of a directory (RFC 4512, 1.4), without options?
fn attribute(name: &str) -> Result<(), &'static str> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-.".contains(&c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let good = begins && name.len() <= 128 && name.bytes().all(plain);
    if good { Ok(()) } else { Err("not the name of an attribute of a directory") }
}
