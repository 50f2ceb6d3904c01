//! Telling the world that the service is ready: one line for people, one file for scripts.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// What there is to tell.
#[derive(Debug, Clone)]
pub(super) struct News {
    /// `https://localhost:8443`.
    pub(super) url: String,
    /// `http://127.0.0.1:9464/metrics`.
    pub(super) metrics: String,
    /// File with the certificate to trust, where the server's is self-signed.
    pub(super) ca: Option<PathBuf>,
    /// Directory of the record.
    pub(super) record: Option<PathBuf>,
    /// Listeners besides the one of `url`, and their addresses.
    pub(super) listeners: Vec<(String, String)>,
    /// Further facts for the file, by name.
    pub(super) more: Vec<(&'static str, String)>,
}

impl News {
    /// The file's content: one JSON object.
    pub(super) fn json(&self, pids: &[(String, u32)]) -> Value {
        let mut facts = Map::new();
        facts.insert("url".into(), json!(self.url));
        facts.insert("metrics".into(), json!(self.metrics));
        if let Some(ca) = &self.ca {
            facts.insert("ca".into(), json!(ca));
        }
        if let Some(record) = &self.record {
            facts.insert("record".into(), json!(record));
        }
        for (name, value) in &self.more {
            facts.insert((*name).into(), json!(value));
        }
        if !self.listeners.is_empty() {
            let listeners = self.listeners.iter().map(|(name, address)| (name.clone(), json!(address)));
            facts.insert("listeners".into(), listeners.collect());
        }
        facts.insert("supervisor".into(), json!(std::process::id()));
        facts.insert("pids".into(), pids.iter().map(|(name, pid)| (name.clone(), json!(pid))).collect());
        Value::Object(facts)
    }

    /// The line for people.
    pub(super) fn line(&self, pids: &[(String, u32)]) -> String {
        let record = self.record.as_ref().map_or_else(String::new, |record| format!(", record {}", record.display()));
        format!("chancery is ready at {} ({} processes, metrics {}{record})", self.url, pids.len(), self.metrics)
    }
}

/// Writes a file whole or not at all: whoever sees its name sees all of it.
///
/// # Errors
/// What the file system says, with the path.
pub(super) fn write_whole(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(name);
    // A left-over of a process that had our number and died half-way.
    let _ = fs::remove_file(&beside);
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&beside);
        named(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_file_names_every_process() {
        let news = News {
            url: "https://localhost:1".into(),
            metrics: "http://127.0.0.1:2/metrics".into(),
            ca: Some("/ca.pem".into()),
            record: None,
            listeners: vec![("certificates".into(), "127.0.0.1:3".into())],
            more: vec![("user", "alice".into())],
        };
        let pids = [("worker@1".to_owned(), 7)];
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ready.json");
        write_whole(&path, news.json(&pids).to_string().as_bytes(), 0o644).unwrap();
        write_whole(&path, news.json(&pids).to_string().as_bytes(), 0o644).unwrap();
        let read: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read["pids"]["worker@1"], 7);
        assert_eq!(read["user"], "alice");
        assert_eq!(read["listeners"]["certificates"], "127.0.0.1:3");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(news.line(&pids).contains("https://localhost:1"));
    }
}
