//! Reading a TOML file into its schema, and saying where it went wrong.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

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
        let shown = source.lines().nth(line - 1).unwrap_or("");
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

/// A parsed file with its source, so that a later check can still point at a line.
#[derive(Debug)]
pub struct Loaded<T> {
    /// Where it was read from.
    pub path: PathBuf,
    /// The text.
    pub source: String,
    /// The value.
    pub value: T,
}

impl<T> Loaded<T> {
    /// An error about the octets `span` of this file.
    #[must_use]
    pub fn error(&self, span: Range<usize>, why: impl fmt::Display) -> ConfigError {
        ConfigError::at(&self.path, &self.source, span, why)
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
    let source = std::fs::read_to_string(path).map_err(|error| ConfigError::file(path, error))?;
    match toml::from_str(&source) {
        Ok(value) => Ok(Loaded { path: path.to_owned(), source, value }),
        Err(error) => Err(ConfigError::at(path, &source, error.span().unwrap_or(0..0), error.message())),
    }
}

/// Reads every `*.toml` of a directory in order of name; the key is the file's stem. A directory that
/// does not exist holds nothing.
///
/// # Errors
/// [`ConfigError`] of the first file that cannot be used.
pub fn directory<T: DeserializeOwned>(path: &Path) -> Result<Vec<(String, Loaded<T>)>, ConfigError> {
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
            Ok((stem, file(&entry)?))
        })
        .collect()
}
