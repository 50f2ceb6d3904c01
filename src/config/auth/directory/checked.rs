//! From `[[directory]]` as it is written to directories that cannot be wrong, each and together.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use toml::Spanned;

use super::filter::Filter;
use super::names::{AccountName, Mark};
use super::{Directory, DirectoryFile};
use crate::config::auth::authority::anchors;
use crate::config::auth::password::Written;
use crate::config::auth::{Number, number};
use crate::config::beneath;
use crate::config::load::{ConfigError, Loaded};
use crate::wire::Text;

/// Directories, and things of one kind in one of them, at most.
const MOST: usize = 16;
/// Attributes for claims, at most.
const ATTRIBUTES: usize = 64;

/// Checks the directories of a file.
pub(in super::super) fn checked<T>(
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
pub(super) struct Reading<'a, T> {
    pub(super) beneath: &'a beneath::Directory,
    pub(super) file: &'a Loaded<T>,
}

impl<T> Reading<'_, T> {
    pub(super) fn refused(&self, span: Range<usize>, why: impl Display) -> ConfigError {
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
            bind_password: Written {
                key: "bind_password",
                file: written.bind_password_file.as_ref(),
                credential: written.bind_password_credential.as_ref(),
                owner: written.bind_dn.span(),
                without: "nobody searches unnamed",
            }
            .read(self.beneath, self.file)?,
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

    /// An empty name would be nobody's: a server may let nobody in without asking for more (RFC 4513, 5.1.1).
    pub(super) fn dn(&self, key: &str, written: &Spanned<String>) -> Result<String, ConfigError> {
        let text = written.get_ref();
        let good = text.contains('=') && text.len() <= 1024 && !text.chars().any(char::is_control);
        if good {
            Ok(text.clone())
        } else {
            Err(self.refused(written.span(), format!("{key}: not a distinguished name")))
        }
    }

    pub(super) fn number(
        &self,
        key: &str,
        value: &Number,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> Result<u32, ConfigError> {
        number(self.file, key, value, default, range)
    }
}
