//! Somebody who publishes a document over HTTP, with TLS or without: what he says is set octet for octet, head
//! included.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A server on a port of its own.
pub(crate) struct Publisher {
    pub(crate) address: SocketAddr,
    says: Arc<Mutex<Vec<u8>>>,
    heard: Arc<Mutex<Vec<String>>>,
    visits: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    /// Says this to whoever comes; with a certificate, only to those whom it satisfies.
    pub(crate) fn open(says: Vec<u8>, identity: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it has one");
        let says = Arc::new(Mutex::new(says));
        let (heard, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let visits = Arc::new(AtomicUsize::new(0));
        let mine = (says.clone(), heard.clone(), visits.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            let (says, heard, visits, over) = mine;
            while let Ok((stream, _)) = listener.accept() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let says: Vec<u8> = says.lock().expect("not poisoned").clone();
                let _a_visitor_may_leave = serve(stream, &says, &heard, identity.clone());
                visits.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, says, heard, visits, over, thread: Some(thread) }
    }

    /// Says that from now on.
    pub(crate) fn says(&self, what: Vec<u8>) {
        *self.says.lock().expect("not poisoned") = what;
    }

    /// How many have come so far, and are served.
    pub(crate) fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }

    /// The heads of the requests so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("not poisoned").clone()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// A document as a server sends it.
pub(crate) fn found(document: impl AsRef<[u8]>) -> Vec<u8> {
    let document = document.as_ref();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", document.len());
    [head.as_bytes(), document].concat()
}

fn serve(
    stream: TcpStream,
    says: &[u8],
    heard: &Mutex<Vec<String>>,
    identity: Option<Arc<ServerConfig>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    match identity {
        None => answer(stream, says, heard),
        Some(identity) => {
            let server = ServerConnection::new(identity).map_err(std::io::Error::other)?;
            let mut stream = StreamOwned::new(server, stream);
            answer(&mut stream, says, heard)?;
            stream.conn.send_close_notify();
            stream.flush()
        }
    }
}

fn answer(mut stream: impl Read + Write, says: &[u8], heard: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (mut head, mut octet) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        stream.read_exact(&mut octet)?;
        head.extend(octet);
    }
    heard.lock().expect("not poisoned").push(String::from_utf8_lossy(&head).into_owned());
    stream.write_all(says)?;
    stream.flush()
}
