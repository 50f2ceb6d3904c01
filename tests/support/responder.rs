//! A responder of OCSP over HTTP, whose answers a test makes, and who may be as slow as it likes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

type Answers = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// A server on a port of its own.
pub(crate) struct Responder {
    pub(crate) address: SocketAddr,
    answers: Arc<Mutex<Answers>>,
    asked: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Answers what is asked with this: a whole response of HTTP.
    pub(crate) fn open(answers: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it has one");
        let answers: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Arc::new(answers)));
        let (asked, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let mine = (answers.clone(), asked.clone(), heads.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            let (answers, asked, heads, over) = mine;
            while let Ok((stream, _)) = listener.accept() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let answers: Answers = answers.lock().expect("not poisoned").clone();
                let (asked, heads) = (asked.clone(), heads.clone());
                std::thread::spawn(move || {
                    let _a_client_may_leave = serve(stream, &*answers, &asked, &heads);
                });
            }
        });
        Self { address, answers, asked, heads, over, thread: Some(thread) }
    }

    /// Answers that from now on.
    pub(crate) fn answers(&self, answers: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) {
        *self.answers.lock().expect("not poisoned") = Arc::new(answers);
    }

    /// How many questions there were.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The heads of the requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("not poisoned").clone()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn serve(
    mut stream: TcpStream,
    answers: &(dyn Fn(&[u8]) -> Vec<u8> + Send + Sync),
    asked: &AtomicUsize,
    heads: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (mut head, mut octet) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        stream.read_exact(&mut octet)?;
        head.extend(octet);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|text| text.parse().ok());
    let mut request = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut request)?;
    asked.fetch_add(1, Ordering::SeqCst);
    heads.lock().expect("not poisoned").push(head);
    stream.write_all(&answers(&request))?;
    stream.flush()
}
