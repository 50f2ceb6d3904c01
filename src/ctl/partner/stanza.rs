//! The table of a partner in `auth.toml`, as it is and as it would be. Of one that is there the list of certificates is
//! exchanged and no other octet; what would come of it is read by auth's own code before anything is written. Files
//! with certificates are named by what they hold and never written over, so a table always names what it named before.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};

use super::verified::fingerprint;
use crate::config::auth;
use crate::config::auth::certificate::{Certificate, VerifyingKey};
use crate::config::beneath::Directory;
use crate::config::load::place;
use crate::config::signer::hex;
use crate::trust::instant;

/// The file of auth.d with the partners.
const FILE: &str = "auth.toml";
/// Where certificates go.
const FOLDER: &str = "partners";

/// What is taken of metadata.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// What it signs with.
    pub(super) certificates: Vec<Certificate>,
    /// What was not taken, in words.
    pub(super) left_out: Vec<String>,
}

/// What only the operator can say of a partner, where there is none of that name.
#[derive(Debug)]
pub(super) struct New {
    pub(super) audiences: Vec<String>,
    pub(super) subject: Option<String>,
    pub(super) capture: Option<String>,
}

impl New {
    fn says_nothing(&self) -> bool {
        self.audiences.is_empty() && self.subject.is_none()
    }
}

/// What would be written.
#[derive(Debug)]
pub(super) struct Change {
    directory: PathBuf,
    before: String,
    after: String,
    /// Certificates, by their names below the directory.
    files: BTreeMap<String, Vec<u8>>,
    difference: Vec<String>,
    /// The table, where it is new.
    stanza: Option<String>,
}

/// A certificate that a table names.
struct Named {
    path: String,
    /// None where the file holds none.
    certificate: Option<Certificate>,
}

impl Change {
    /// What would change in `auth.d` for this partner to have these keys.
    ///
    /// # Errors
    /// A clause for the operator: it is somebody else, or auth would not take it.
    pub(super) fn of(path: &Path, name: &str, issuer: &str, taken: &Taken, new: &New) -> Result<Self, String> {
        let directory = Directory::open(path).map_err(|error| error.to_string())?;
        let file = path.join(FILE);
        let before = directory.text(FILE).map_err(|error| format!("{}: {error}", file.display()))?;
        let table: toml::Table = toml::from_str(&before).map_err(|error| format!("{}: {error}", file.display()))?;
        let partners = table.get("saml_partner").and_then(toml::Value::as_array);
        let named = |partner: &toml::Value| partner.get("name").and_then(toml::Value::as_str) == Some(name);
        let index = partners.into_iter().flatten().position(named);
        let mut change = Self {
            directory: path.to_owned(),
            after: before.clone(),
            before,
            files: BTreeMap::new(),
            difference: Vec::new(),
            stanza: None,
        };
        match index.zip(partners).and_then(|(index, partners)| Some((index, partners.get(index)?))) {
            Some((index, partner)) => {
                if !new.says_nothing() {
                    return Err(format!("{name} is there: its audiences and subjects are what auth.toml says"));
                }
                let its = partner.get("issuer").and_then(toml::Value::as_str).unwrap_or_default();
                if its != issuer {
                    return Err(format!("{name} is {its:?}, and the metadata is of {issuer:?}"));
                }
                let paths = partner.get("certificates").and_then(toml::Value::as_array);
                let present = paths.into_iter().flatten().filter_map(toml::Value::as_str);
                let present = present.map(|path| held(&directory, path)).collect::<Vec<_>>();
                let index = index.to_string();
                let span = place(&change.before, &["saml_partner", &index, "certificates"]);
                change.exchange(name, present, taken, span);
            }
            None => change.add(name, issuer, taken, new)?,
        }
        change.looked_at()?;
        Ok(change)
    }

    /// The list of certificates, of which those that stay keep their files.
    fn exchange(&mut self, name: &str, present: Vec<Named>, taken: &Taken, span: Range<usize>) {
        let mut paths = Vec::new();
        for certificate in &taken.certificates {
            let there =
                present.iter().find(|one| one.certificate.as_ref().is_some_and(|its| its.der == certificate.der));
            match there {
                Some(one) => {
                    self.difference.push(format!("= {}", line(&one.path, certificate)));
                    paths.push(one.path.clone());
                }
                None => paths.push(self.file(name, certificate)),
            }
        }
        let gone = present.iter().filter(|one| !paths.contains(&one.path)).collect::<Vec<_>>();
        for one in &gone {
            self.difference.push(match &one.certificate {
                Some(certificate) => format!("- {}", line(&one.path, certificate)),
                None => format!("- {}: holds no certificate that can verify", one.path),
            });
        }
        if gone.is_empty() && self.files.is_empty() {
            return;
        }
        self.after.replace_range(span, &list(&paths));
    }

    /// A table at the end of the file.
    fn add(&mut self, name: &str, issuer: &str, taken: &Taken, new: &New) -> Result<(), String> {
        let (false, Some(subject)) = (new.audiences.is_empty(), &new.subject) else {
            return Err(format!(
                "no [[saml_partner]] is named {name:?}; a new one needs --audience, who we are to it, and --subject, what \
                 gives the account's name"
            ));
        };
        let paths: Vec<String> = taken.certificates.iter().map(|certificate| self.file(name, certificate)).collect();
        let origin = if subject == "name-id" {
            "from = \"name-id\"".to_owned()
        } else {
            format!("attribute = {}", text(subject))
        };
        let mut stanza = format!(
            "[[saml_partner]]\nname = {}\nissuer = {}\ncertificates = {}\naudiences = {}\n[[saml_partner.subject]]\n{origin}\n",
            text(name),
            text(issuer),
            list(&paths),
            list(&new.audiences),
        );
        if let Some(capture) = &new.capture {
            stanza.push_str(&format!("capture = {}\n", text(capture)));
        }
        if !self.after.is_empty() && !self.after.ends_with('\n') {
            self.after.push('\n');
        }
        self.after.push('\n');
        self.after.push_str(&stanza);
        self.stanza = Some(stanza);
        Ok(())
    }

    /// The file of a certificate that is new here.
    fn file(&mut self, name: &str, certificate: &Certificate) -> String {
        let path = format!("{FOLDER}/{name}-{}.pem", short(&certificate.der));
        self.difference.push(format!("+ {}", line(&path, certificate)));
        self.files.insert(path.clone(), pem(&certificate.der).into_bytes());
        path
    }

    /// Would auth take it?
    fn looked_at(&self) -> Result<(), String> {
        let directory = Directory::open(&self.directory).map_err(|error| error.to_string())?;
        let mut instead = self.files.clone();
        instead.insert(FILE.to_owned(), self.after.clone().into_bytes());
        match auth::read(&directory.with(instead)) {
            Ok(_) => Ok(()),
            Err(errors) => Err(format!("what would come of it is refused:\n{errors}")),
        }
    }

    /// A line a certificate.
    pub(super) fn difference(&self) -> impl Iterator<Item = &str> {
        self.difference.iter().map(String::as_str)
    }

    /// Is there a certificate that the partner does not have now?
    pub(super) fn adds(&self) -> bool {
        !self.files.is_empty()
    }

    /// The table, where it is new.
    pub(super) fn stanza(&self) -> Option<&str> {
        self.stanza.as_deref()
    }

    /// Is it all there already?
    pub(super) fn is_none(&self) -> bool {
        self.before == self.after
    }

    /// Writes it, the certificates first. The file takes its name when it is whole, and keeps owner and mode.
    ///
    /// # Errors
    /// A clause for the operator. Files that nobody names may be left behind.
    pub(super) fn write(&self) -> Result<(), String> {
        let file = self.directory.join(FILE);
        if !self.files.is_empty() {
            let folder = self.directory.join(FOLDER);
            match std::fs::create_dir(&folder) {
                Ok(()) => permitted(&folder, 0o755)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(format!("{}: {error}", folder.display())),
            }
        }
        for (name, octets) in &self.files {
            let path = self.directory.join(name);
            match super::super::ceremony::write_new(&path, octets, 0o644) {
                // Whatever the umask says: auth is another user.
                Ok(()) => permitted(&path, 0o644)?,
                // Of an import that was cut short, perhaps before that was said.
                Err(_) if std::fs::read(&path).is_ok_and(|held| held == *octets) => permitted(&path, 0o644)?,
                Err(why) => return Err(why),
            }
        }
        self.replace(&file).map_err(|error| format!("{}: {error}", file.display()))
    }

    fn replace(&self, file: &Path) -> io::Result<()> {
        let metadata = std::fs::symlink_metadata(file)?;
        let beside = self.directory.join(format!(".{FILE}.new"));
        let mut new = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .map_err(|error| io::Error::other(format!("{}: {error}", beside.display())))?;
        let mut write = || {
            new.write_all(self.after.as_bytes())?;
            std::os::unix::fs::fchown(&new, Some(metadata.uid()), Some(metadata.gid()))?;
            new.set_permissions(std::fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
            new.sync_all()?;
            // Whoever wrote it meanwhile meant what he wrote.
            if std::fs::read(file)? != self.before.as_bytes() {
                return Err(io::Error::other("was changed meanwhile"));
            }
            std::fs::rename(&beside, file)?;
            std::fs::File::open(&self.directory)?.sync_all()
        };
        write().inspect_err(|_| {
            // It may have its name already.
            let _ = std::fs::remove_file(&beside);
        })
    }
}

fn permitted(path: &Path, mode: u32) -> Result<(), String> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn held(directory: &Directory, path: &str) -> Named {
    let certificate = directory.text(path).ok().and_then(|text| Certificate::from_pem(&text).ok());
    Named { path: path.to_owned(), certificate }
}

/// The first digits of a certificate's SHA-256, by which its file is named.
pub(super) fn short(der: &[u8]) -> String {
    hex(fingerprint(der).get(..8).unwrap_or_default())
}

/// A certificate, for people. Nothing of its own words: they are whatever its maker liked.
fn line(path: &str, certificate: &Certificate) -> String {
    let kind = match &certificate.key {
        VerifyingKey::Rsa(_) => "RSA",
        VerifyingKey::P256(_) => "P-256",
        VerifyingKey::P384(_) => "P-384",
        VerifyingKey::P521(_) => "P-521",
        VerifyingKey::Ed25519(_) => "Ed25519",
    };
    let (from, until) = (instant::format(certificate.not_before), instant::format(certificate.not_after));
    format!("{path}: {kind}, from {from} until {until}, SHA-256 {}", hex(&fingerprint(&certificate.der)))
}

fn pem(der: &[u8]) -> String {
    let text = Base64::encode_string(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// A text as TOML writes it.
fn text(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

fn list(values: &[String]) -> String {
    format!("[{}]", values.iter().map(|value| text(value)).collect::<Vec<_>>().join(", "))
}
