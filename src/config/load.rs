//! Reading a TOML file into its schema, and saying where it went wrong.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

/// The largest configuration file, octets.
const LARGEST: u64 = 1024 * 1024;

/// A configuration that cannot be used. Display is for the operator: file, line, the line itself with a
/// caret, and what is wrong.
#[derive(Debug)]
pub struct ConfigError {
    file: PathBuf,
    text: String,
}

impl ConfigError {
    /// A fault of the file as a whole.
    #[must_use]
    pub fn file(file: &Path, why: impl fmt::Display) -> Self {
        Self { file: file.to_owned(), text: format!(": {why}") }
    }

    /// A fault of the octets `span` of `source`, as `toml::Spanned` gives them.
    #[must_use]
    pub fn at(file: &Path, source: &str, span: Range<usize>, why: impl fmt::Display) -> Self {
        let start = source.get(..span.start).unwrap_or(source);
        let line = start.matches('\n').count() + 1;
        let column = start.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let shown = shown(source, line);
        let text = format!(":{line}:{column}: {why}\n  | {shown}\n  | {:>column$}", "^");
        Self { file: file.to_owned(), text }
    }

    /// The file it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.file.display(), self.text)
    }
}

impl std::error::Error for ConfigError {}

/// Everything that is wrong, the first thing of each file. Display is every error, one below the other.
#[derive(Debug, Default)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The value, or none and the error kept: what else there is can still be looked at.
    pub fn keep<T>(&mut self, result: Result<T, impl Into<Self>>) -> Option<T> {
        result.map_err(|errors| self.0.extend(errors.into().0)).ok()
    }

    /// One more.
    pub fn push(&mut self, error: ConfigError) {
        self.0.push(error);
    }

    /// The value if nothing is wrong.
    ///
    /// # Errors
    /// What is wrong.
    ///
    /// # Panics
    /// When there is no value and nothing was wrong.
    pub fn unless<T>(self, value: Option<T>) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value.expect("what is missing left an error")) } else { Err(self) }
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl IntoIterator for ConfigErrors {
    type Item = ConfigError;
    type IntoIter = std::vec::IntoIter<ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Where in `source` the value stands that these keys lead to; an item of a list goes by its number. For what
/// is not there, where the table begins that it should be in.
#[must_use]
pub fn place(source: &str, keys: &[&str]) -> Range<usize> {
    let Ok(table) = DeTable::parse(source) else { return 0..0 };
    // The span of a file is that of its first table; what is missing there is missing from the first line.
    let mut value = Spanned::new(0..0, DeValue::Table(table.into_inner()));
    for key in keys {
        let next = match key.parse::<usize>() {
            Ok(number) => value.get_ref().get(number),
            Err(_) => value.get_ref().get(*key),
        };
        match next.cloned() {
            Some(next) => value = next,
            None => break,
        }
    }
    value.span()
}

/// Keys with secrets for values. An error is read on terminals and in the log, where no secret belongs.
const SECRET_KEYS: [&str; 2] = ["digest_secret", "password"];

/// A line as it may be shown: without what follows a key that has a secret. Where such a value may go over several
/// lines, none of those below it is shown.
fn shown(source: &str, number: usize) -> String {
    let mut lines = source.lines();
    let goes_on =
        |line: &str| secret(line).is_some_and(|at| ["\"\"\"", "'''"].iter().any(|quotes| line[at..].contains(quotes)));
    if lines.by_ref().take(number - 1).any(goes_on) {
        return "…".to_owned();
    }
    let line = lines.next().unwrap_or_default();
    secret(line).map_or_else(|| line.to_owned(), |at| format!("{} …", &line[..at]))
}

/// Where a key with a secret ends in this line. A word of a list and the name of a table have no value.
fn secret(line: &str) -> Option<usize> {
    let ends = SECRET_KEYS.iter().flat_map(|key| line.match_indices(key).map(|(at, key)| at + key.len()));
    let has_value = |end: &usize| {
        let rest = line[*end..].trim_start_matches(['"', '\'', ' ', '\t']);
        !rest.is_empty() && !rest.starts_with([',', ']'])
    };
    ends.filter(has_value).min()
}

/// A parsed file with its source, so that a later check can still point at a line.
pub struct Loaded<T> {
    /// Where it was read from.
    pub path: PathBuf,
    /// The text, wiped when it is dropped: some of it may be secret.
    pub source: Zeroizing<String>,
    /// The value.
    pub value: T,
}

impl<T> Loaded<T> {
    /// An error about the octets `span` of this file.
    #[must_use]
    pub fn error(&self, span: Range<usize>, why: impl fmt::Display) -> ConfigError {
        ConfigError::at(&self.path, &self.source, span, why)
    }

    /// An error about the value these keys lead to.
    #[must_use]
    pub fn error_at(&self, keys: &[&str], why: impl fmt::Display) -> ConfigError {
        self.error(place(&self.source, keys), why)
    }
}

/// Reads one file.
///
/// # Errors
/// [`ConfigError`] when it cannot be read or does not fit the schema.
pub fn file<T: DeserializeOwned>(path: &Path) -> Result<Loaded<T>, ConfigError> {
    let size = std::fs::metadata(path).map_err(|error| ConfigError::file(path, error))?.len();
    if size > LARGEST {
        return Err(ConfigError::file(path, "larger than 1 MiB"));
    }
    let source = Zeroizing::new(std::fs::read_to_string(path).map_err(|error| ConfigError::file(path, error))?);
    match toml::from_str(&source) {
        Ok(value) => Ok(Loaded { path: path.to_owned(), source, value }),
        Err(error) => Err(ConfigError::at(path, &source, error.span().unwrap_or(0..0), error.message())),
    }
}

/// The files of a directory that hold a `T` each, by their stem, as far as they could be read.
pub type Files<T> = Vec<(String, Result<Loaded<T>, ConfigError>)>;

/// Reads every `*.toml` of a directory in order of name. A directory that does not exist holds nothing.
///
/// # Errors
/// [`ConfigError`] when the directory cannot be read.
pub fn directory<T: DeserializeOwned>(path: &Path) -> Result<Files<T>, ConfigError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ConfigError::file(path, error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| ConfigError::file(path, error))?.path();
        if entry.extension().is_some_and(|extension| extension == "toml") {
            files.push(entry);
        }
    }
    files.sort();
    files
        .into_iter()
        .map(|entry| {
            let stem = entry.file_stem().and_then(|stem| stem.to_str());
            let stem = stem.ok_or_else(|| ConfigError::file(&entry, "file name is not UTF-8"))?.to_owned();
            Ok((stem, file(&entry)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "# sessions, and a list\n[limits]\nrequests_per_source = 1\nrequests = 2\n\
                          [[endpoint]]\npath = \"/a\"\n[[endpoint]]\npath = \"/a\"\n";

    #[test]
    fn a_value_is_found_by_its_keys_and_not_by_its_looks() {
        for (keys, shown) in [(&["limits", "requests"][..], "2"), (&["endpoint", "1", "path"], "\"/a\"")] {
            let span = place(SOURCE, keys);
            assert_eq!(&SOURCE[span.clone()], shown);
            assert_eq!(span.start, SOURCE.rfind(shown).unwrap());
        }
    }

    #[test]
    fn no_secret_is_shown_beside_an_error() {
        for (source, line) in [
            ("[users.a]\ndigest_secret = \"hunter2 hunter2\"", 2),
            ("[users.a]\npassword = 'hunter2'", 2),
            ("\n\"digest_secret\"='hunter2'", 2),
            ("\ndigest_secret \"hunter2\"", 2),
            ("\nusers.a = { disabled = 1, password = 'hunter2' }", 2),
            ("digest_secret = '''\nhunter2\n'''", 2),
            ("a.digest_secret = \"\"\"x\nhunter2 \\q\"\"\"", 2),
        ] {
            let from = source.match_indices('\n').nth(line - 2).unwrap().0 + 1;
            let said = ConfigError::at(Path::new("users.toml"), source, from..from, "wrong").to_string();
            assert!(said.starts_with("users.toml:2:1: wrong\n  | ") && said.contains('^'), "{said}");
            assert!(!said.contains("hunter"), "{said}");
        }
        for line in ["credentials = [\"password\", 'digest']", "credentials = ['password' ]", "[password]", "queue = 0"]
        {
            assert_eq!(shown(&format!("password = ''\n{line}\n"), 2), line);
        }
    }

    #[test]
    fn what_is_missing_is_missing_from_its_table() {
        assert_eq!(place(SOURCE, &["tls"]), 0..0);
        let table = place(SOURCE, &["limits", "headers"]);
        assert!(SOURCE[table].starts_with("[limits]"));
    }
}
