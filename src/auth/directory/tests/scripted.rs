//! A server of a directory that does what a test says: it takes TLS, reads questions, and answers, or does not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto};
use tokio_rustls::server::TlsStream;

use super::super::ber::{self, ENUMERATED, INTEGER, OCTETS, Reader, SEQUENCE, SET};

/// What a server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// To let this entry in by this password.
    Bind(String, String),
    /// For entries: whatever stands in the question.
    Search(String),
}

/// What it does then.
pub(super) enum Does {
    /// It says this: operations, with controls behind them.
    Says(Vec<(Vec<u8>, Vec<u8>)>),
    /// The same, after a while.
    Later(Duration, Vec<(Vec<u8>, Vec<u8>)>),
    /// The same, and then that it hangs up, and it does.
    Last(Vec<(Vec<u8>, Vec<u8>)>),
    /// It says these octets.
    Octets(&'static [u8]),
    /// Nothing, and it keeps the connection.
    Hangs,
    /// It closes the connection.
    HangsUp,
}

type Script = Box<dyn FnMut(&Asked) -> Does + Send>;

/// The server, for as long as its runtime runs.
pub(super) struct Scripted {
    pub(super) port: u16,
    script: Arc<Mutex<Script>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// Who certifies servers.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["ldap.corp.test".to_owned()]).unwrap();
        let chain = vec![leaf.signed_by(&key, &self.issuer).unwrap().der().clone()];
        let config = ServerConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, rustls_pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Scripted {
    /// Starts one.
    pub(super) async fn start(authority: &Authority, script: impl FnMut(&Asked) -> Does + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (script, asked): (Arc<Mutex<Script>>, Arc<Mutex<Vec<Asked>>>) =
            (Arc::new(Mutex::new(Box::new(script))), Arc::default());
        let server = Self { port, script: script.clone(), asked: asked.clone() };
        let acceptor = authority.acceptor();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, script, asked) = (acceptor.clone(), script.clone(), asked.clone());
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.ok()?;
                    while let Some((id, question)) = heard(&mut stream).await {
                        asked.lock().unwrap().push(question.clone());
                        let does = script.lock().unwrap()(&question);
                        done(&mut stream, id, does).await?;
                    }
                    Some(())
                });
            }
        });
        server
    }

    /// From now on it does this.
    pub(super) fn does(&self, script: impl FnMut(&Asked) -> Does + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// How many such questions it heard.
    pub(super) fn heard(&self, such: impl Fn(&Asked) -> bool) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| such(asked)).count()
    }
}

async fn done(stream: &mut TlsStream<TcpStream>, id: u32, does: Does) -> Option<()> {
    let (says, last) = match does {
        Does::Says(says) => (says, false),
        Does::Last(says) => (says, true),
        Does::Later(after, says) => {
            tokio::time::sleep(after).await;
            (says, false)
        }
        Does::Octets(octets) => {
            stream.write_all(octets).await.ok()?;
            (Vec::new(), false)
        }
        Does::Hangs => std::future::pending().await,
        Does::HangsUp => {
            stream.shutdown().await.ok()?;
            return None;
        }
    };
    for (operation, controls) in says {
        let message = ber::value(SEQUENCE, &[&ber::number(INTEGER, id), &operation, &controls]);
        stream.write_all(&message).await.ok()?;
    }
    if last {
        stream.write_all(&ber::value(SEQUENCE, &[&ber::number(INTEGER, 0), &result(0x78, 52).0])).await.ok()?;
        stream.shutdown().await.ok()?;
        return None;
    }
    stream.flush().await.ok()
}

/// The next question, if it is one.
async fn heard(stream: &mut TlsStream<TcpStream>) -> Option<(u32, Asked)> {
    let mut octets = Vec::new();
    let inside = loop {
        octets.push(stream.read_u8().await.ok()?);
        if let Ok(inside) = Reader::new(&octets).expect(SEQUENCE) {
            break inside;
        }
    };
    let mut message = Reader::new(inside);
    let id = message.number(INTEGER).unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    match message.any().unwrap() {
        (0x60, operation) => {
            let mut bind = Reader::new(operation);
            bind.number(INTEGER).unwrap();
            let dn = text(bind.expect(OCTETS).unwrap());
            Some((id, Asked::Bind(dn, text(bind.expect(0x80).unwrap()))))
        }
        (0x63, operation) => Some((id, Asked::Search(text(operation)))),
        _ => None,
    }
}

/// The end of something, without controls.
pub(super) fn result(tag: u8, code: u32) -> (Vec<u8>, Vec<u8>) {
    let nothing = ber::value(OCTETS, &[]);
    (ber::value(tag, &[&ber::number(ENUMERATED, code), &nothing, &nothing]), Vec::new())
}

/// The answer to a bind.
pub(super) fn bound(code: u32) -> Does {
    Does::Says(vec![result(0x61, code)])
}

/// An entry with one attribute that has these values.
pub(super) fn entry(dn: &str, attribute: &str, values: &[&str]) -> (Vec<u8>, Vec<u8>) {
    let values: Vec<u8> = values.iter().flat_map(|value| ber::value(OCTETS, &[value.as_bytes()])).collect();
    let name = ber::value(OCTETS, &[attribute.as_bytes()]);
    let attribute = ber::value(SEQUENCE, &[&name, &ber::value(SET, &[&values])]);
    let parts = [&ber::value(OCTETS, &[dn.as_bytes()])[..], &ber::value(SEQUENCE, &[&attribute])];
    (ber::value(0x64, &parts), Vec::new())
}

/// The end of a page, after which there are more unless it is the last.
pub(super) fn page(last: bool) -> (Vec<u8>, Vec<u8>) {
    let cookie = if last { &b""[..] } else { b"more" };
    let value = ber::value(SEQUENCE, &[&ber::number(INTEGER, 0), &ber::value(OCTETS, &[cookie])]);
    let control = [ber::value(OCTETS, &[b"1.2.840.113556.1.4.319"]), ber::value(OCTETS, &[&value])].concat();
    (result(0x65, 0).0, ber::value(0xa0, &[&ber::value(SEQUENCE, &[&control])]))
}
