//! Where a document of somebody else's is fetched from: a revocation list, a key set. What is fetched is judged like a
//! file of the operator's, and more strictly, for others write it and, over plain HTTP, whoever is on the way. A host
//! is one of the configuration, and its address a number, for auth asks no resolver and follows nobody elsewhere.

use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use hyper::Uri;
use rustls_pki_types::{ServerName, TrustAnchor};
use serde::Deserialize;
use tokio::sync::Notify;
use toml::Spanned;

use super::authority::anchors;
use super::place::address;
use crate::config::beneath::Directory;
use crate::config::load::{ConfigError, Loaded};

/// Seconds between two visits.
const EVERY_S: RangeInclusive<u32> = 60..=604_800;
const USUAL_S: u32 = 3600;

/// Where a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As it was written.
    pub url: String,
    /// Host and port, as a request names them.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// Where the host is.
    pub address: SocketAddr,
    /// Who must be there, and who may say so. Without it, nobody has to prove anything.
    pub tls: Option<(ServerName<'static>, Vec<TrustAnchor<'static>>)>,
    /// How long a document is used before the next visit.
    pub every: Duration,
}

/// How a source is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceFile {
    pub(super) url: Spanned<String>,
    address: Spanned<String>,
    anchors: Option<Spanned<String>>,
    refresh_s: Option<Spanned<u32>>,
}

impl SourceFile {
    /// One that is visited when there is something to ask.
    pub(super) fn of(url: &Spanned<String>, address: &Spanned<String>, anchors: Option<&Spanned<String>>) -> Self {
        let (url, address, anchors) = (url.clone(), address.clone(), anchors.cloned());
        Self { url, address, anchors, refresh_s: None }
    }
}

/// May a document come from anybody on the way?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It is signed, and the signature is what counts.
    Any,
    /// Nothing else says who wrote it.
    Secured,
}

impl Source {
    /// Is what the other one gave as good as what this one gives: the same place, and the same who may say so?
    #[must_use]
    pub fn is_as_good_as(&self, other: &Self) -> bool {
        (&self.url, self.address, &self.tls) == (&other.url, other.address, &other.tls)
    }

    pub(super) fn read<T>(
        directory: &Directory,
        file: &Loaded<T>,
        written: &SourceFile,
        way: Way,
    ) -> Result<Self, ConfigError> {
        let refused = |span: Range<usize>, why: String| Err(file.error(span, why));
        let url = written.url.get_ref();
        let Some((secured, authority, path)) = apart(url) else {
            let why = format!("url {url:?}: an absolute http or https URL without user and fragment");
            return refused(written.url.span(), why);
        };
        if way == Way::Secured && !secured {
            let why = format!("url {url:?}: https, for nothing but TLS says whose document it is");
            return refused(written.url.span(), why);
        }
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let tls = match (secured, &written.anchors) {
            (false, None) => None,
            (false, Some(anchors)) => {
                return refused(anchors.span(), "anchors: nobody proves anything over plain http".to_owned());
            }
            (true, None) => {
                return refused(
                    written.url.span(),
                    "anchors are missing: who may say that this is the host?".to_owned(),
                );
            }
            (true, Some(path)) => {
                let Ok(name) = ServerName::try_from(host.to_owned()) else {
                    let why = format!("url {url:?}: its host is neither a DNS name nor an address");
                    return refused(written.url.span(), why);
                };
                let why = |why| file.error(path.span(), format!("certificate {}: {why}", path.get_ref()));
                Some((name, anchors(directory, path.get_ref()).map_err(why)?))
            }
        };
        let every = written.refresh_s.as_ref().map_or(USUAL_S, |value| *value.get_ref());
        if let Some(span) = written.refresh_s.as_ref().filter(|_| !EVERY_S.contains(&every)).map(Spanned::span) {
            return refused(span, format!("refresh_s must be from {} to {}", EVERY_S.start(), EVERY_S.end()));
        }
        Ok(Self {
            url: url.clone(),
            authority: authority.to_string(),
            path,
            address: address(file, &written.address)?,
            tls,
            every: Duration::from_secs(every.into()),
        })
    }
}

/// Is it secured; host and port; path and query.
fn apart(url: &str) -> Option<(bool, hyper::http::uri::Authority, String)> {
    let uri: Uri = url.parse().ok()?;
    let secured = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?.clone();
    let plain = url.len() <= 1024 && !url.contains('#') && !authority.host().is_empty();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    plain.then(|| (secured, authority, path.to_owned()))
}

/// What a source last gave that could be used, and since when. Nothing at first.
#[derive(Debug)]
pub struct Fetched<T> {
    /// Where it comes from.
    pub source: Source,
    held: RwLock<Option<(Arc<T>, Instant)>>,
    /// Somebody would like a newer one.
    pub asked: Arc<Notify>,
}

impl<T> Fetched<T> {
    pub(super) fn new(source: Source) -> Self {
        Self { source, held: RwLock::default(), asked: Arc::default() }
    }

    /// What it gave.
    #[must_use]
    pub fn held(&self) -> Option<Arc<T>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(held, _)| held.clone())
    }

    /// For how long nothing newer came.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, since)| since.elapsed())
    }

    /// Holds this from now on, as of that instant.
    pub fn hold(&self, document: Arc<T>, since: Instant) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let before = held.replace((document, since));
        drop(held);
        // A large one takes a while, and requests do not wait for it.
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_absolute_and_names_nobody_but_a_host() {
        for (url, parts) in [
            ("http://pki.example.com/a.crl", Some((false, "pki.example.com", "/a.crl"))),
            ("https://[2001:db8::1]:8443/a?b=c", Some((true, "[2001:db8::1]:8443", "/a?b=c"))),
            ("https://keys.example.com", Some((true, "keys.example.com", "/"))),
            ("ldap://pki.example.com/a.crl", None),
            ("/a.crl", None),
            ("http:///a.crl", None),
            ("http://me@pki.example.com/a.crl", None),
            ("http://pki.example.com/a.crl#b", None),
            ("http://pki.example.com/a b", None),
        ] {
            let read = apart(url);
            let read = read.as_ref().map(|(secured, authority, path)| (*secured, authority.as_str(), path.as_str()));
            assert_eq!(read, parts, "{url}");
        }
    }
}
