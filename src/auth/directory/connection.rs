//! One connection to a server of a directory: made, secured, and then one question after the other. Before TLS stands
//! nothing is said but the request to begin it, and nothing is read but the answer to that, to the octet: what a
//! stranger on the way put behind it is taken for TLS, and fails there.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ber::{self, Malformed, SEQUENCE};
use super::message::{self, Answer, Code, Entry, Search, Untaken};
use crate::config::auth::directory::{Server, Tls};

/// Octets of a message, at most.
const LARGEST: usize = 4 << 20;
/// The same, before the server has proved who it is.
const LARGEST_IN_CLEAR: usize = 4096;
/// Octets of all answers to one search, at most.
const LARGEST_SEARCH: usize = 16 << 20;
/// Attributes and values in all answers to one search, at most: ten of each of as many groups as there may be.
const VALUES: usize = 100_000;

/// Why a question was not answered.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection is closed, and was before a word of an answer: whatever was asked may be asked elsewhere.
    Closed(String),
    /// The server is not there, says nothing in time, or is not what it should be.
    Server(String),
    /// This one question has no answer here.
    Question(&'static str),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Server(error.to_string())
    }
}

impl Trouble {
    /// In words.
    pub(super) fn why(self) -> String {
        match self {
            Self::Closed(why) | Self::Server(why) => why,
            Self::Question(why) => why.to_owned(),
        }
    }

    /// That of somebody who has not heard a word.
    fn unanswered(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => Self::Closed("hung up".to_owned()),
            _ => error.into(),
        }
    }
}

impl From<Malformed> for Trouble {
    fn from(_: Malformed) -> Self {
        Self::Server("does not speak LDAP as we know it".to_owned())
    }
}

impl From<Untaken> for Trouble {
    fn from(untaken: Untaken) -> Self {
        match untaken {
            Untaken::Malformed => Malformed.into(),
            Untaken::Farewell => Self::Closed("said that it hangs up".to_owned()),
            // Another server has the same entry.
            Untaken::TooMany => Self::Question("an entry has more values than can be held"),
        }
    }
}

/// A question.
#[derive(Clone, Copy)]
pub(super) enum Question<'a> {
    /// Is this the password of that entry?
    Bind(&'a str, &'a [u8]),
    /// What is there?
    Search(&'a Search<'a>),
}

impl std::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bind(..) => "Bind",
            Self::Search(_) => "Search",
        })
    }
}

/// A secured connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    last: u32,
    patience: Duration,
}

impl Connection {
    /// Connects and secures. On that connection an answer, or a page of one, may take as long as `patience`.
    pub(super) async fn open(server: &Server, tls: &TlsConnector, patience: Duration) -> Result<Self, Trouble> {
        let mut stream = TcpStream::connect(server.address).await?;
        stream.set_nodelay(true)?;
        if server.tls == Tls::Starttls {
            stream.write_all(&message::start_tls(1)).await?;
            let octets = hear(&mut stream, LARGEST_IN_CLEAR).await?;
            match message::read(&octets, 1)? {
                Answer::Extended(Code::SUCCESS) => {}
                Answer::Extended(_) => return Err(Trouble::Server("does not begin TLS".to_owned())),
                _ => return Err(Malformed.into()),
            }
        }
        let stream = tls.connect(server.name.clone(), stream).await?;
        Ok(Self { stream, last: 1, patience })
    }

    /// Asks. Whatever was found comes with what the server said of it.
    pub(super) async fn ask(&mut self, question: Question<'_>) -> Result<(Code, Vec<Entry>), Trouble> {
        match question {
            Question::Bind(dn, password) => Ok((self.bind(dn, password).await?, Vec::new())),
            Question::Search(search) => self.search(search).await,
        }
    }

    async fn bind(&mut self, dn: &str, password: &[u8]) -> Result<Code, Trouble> {
        // Without one of them it would be no question, and a server may say yes (RFC 4513, 5.1.1 and 5.1.2).
        if dn.is_empty() || password.is_empty() {
            return Err(Trouble::Question("nobody, or no password"));
        }
        let id = self.next();
        let asked = async {
            say(&mut self.stream, &message::bind(id, dn, password)).await?;
            match message::read(&hear(&mut self.stream, LARGEST).await?, id)? {
                Answer::Bound(code) => Ok(code),
                _ => Err(Malformed.into()),
            }
        };
        in_time(self.patience, asked).await
    }

    /// One entry more than were asked for says that there are more.
    async fn search(&mut self, search: &Search<'_>) -> Result<(Code, Vec<Entry>), Trouble> {
        let mut found = Found { most: search.most as usize, entries: Vec::new(), values: 0, octets: 0 };
        let mut cookie = Vec::new();
        loop {
            let (code, next) = in_time(self.patience, self.page(search, &cookie, &mut found)).await?;
            if code != Code::SUCCESS || next.is_empty() || found.entries.len() > found.most {
                return Ok((code, found.entries));
            }
            cookie = next;
        }
    }

    async fn page(
        &mut self,
        search: &Search<'_>,
        cookie: &[u8],
        found: &mut Found,
    ) -> Result<(Code, Vec<u8>), Trouble> {
        let id = self.next();
        say(&mut self.stream, &message::search(id, search, cookie)).await?;
        loop {
            let heard = hear(&mut self.stream, LARGEST).await?;
            found.octets += heard.len();
            if found.octets > LARGEST_SEARCH {
                return Err(Trouble::Question("more was found than can be held"));
            }
            match message::read(&heard, id)? {
                Answer::Entry(entry) => found.add(entry)?,
                Answer::Reference => {}
                Answer::Done(code, next) => return Ok((code, next)),
                _ => return Err(Malformed.into()),
            }
        }
    }

    /// Says that nobody will ask any more.
    pub(super) async fn close(mut self) {
        let id = self.next();
        let _gone = say(&mut self.stream, &message::unbind(id)).await;
        let _gone = self.stream.shutdown().await;
    }

    fn next(&mut self) -> u32 {
        // Long before it is used up the connection is too old.
        self.last += 1;
        self.last
    }
}

/// What a search has found so far.
struct Found {
    most: usize,
    entries: Vec<Entry>,
    values: usize,
    octets: usize,
}

impl Found {
    fn add(&mut self, entry: Entry) -> Result<(), Trouble> {
        if self.entries.len() <= self.most {
            self.values += entry.count();
            if self.values > VALUES {
                return Err(Trouble::Question("more values were found than can be held"));
            }
            self.entries.push(entry);
        }
        Ok(())
    }
}

/// One round trip.
async fn in_time<T>(patience: Duration, asked: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    timeout(patience, asked).await.unwrap_or_else(|_| Err(Trouble::Server("does not answer in time".to_owned())))
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), octets: &[u8]) -> Result<(), Trouble> {
    stream.write_all(octets).await.map_err(Trouble::unanswered)?;
    stream.flush().await.map_err(Trouble::unanswered)
}

/// The inside of one message, and not an octet behind it.
async fn hear(stream: &mut (impl AsyncRead + Unpin), most: usize) -> Result<Vec<u8>, Trouble> {
    let mut head = [0; 1 + ber::LENGTH];
    let mut have = 2;
    if stream.read(&mut head[..1]).await.map_err(Trouble::unanswered)? == 0 {
        return Err(Trouble::Closed("hung up".to_owned()));
    }
    stream.read_exact(&mut head[1..have]).await?;
    if head[0] != SEQUENCE {
        return Err(Malformed.into());
    }
    let length = loop {
        if let Some((length, _)) = ber::length(&head[1..have])? {
            break length;
        }
        // A length of as many octets as fit was understood above.
        stream.read_exact(&mut head[have..=have]).await?;
        have += 1;
    };
    if length > most {
        return Err(Trouble::Question("a message is larger than can be held"));
    }
    // Room grows with what arrives, not with what is promised.
    let mut inside = Vec::new();
    stream.take(length as u64).read_to_end(&mut inside).await?;
    if inside.len() < length {
        return Err(Trouble::Server("hung up".to_owned()));
    }
    Ok(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(octets: &[u8], most: usize) -> (Result<Vec<u8>, Trouble>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut rest = octets;
        let heard = runtime.block_on(hear(&mut rest, most));
        (heard, rest.len())
    }

    #[test]
    fn a_question_does_not_print_the_password() {
        let printed = format!("{:?}", Question::Bind("cn=alice", b"AAAA"));
        assert!(!printed.contains("65") && !printed.contains("AAAA"), "{printed}");
    }

    #[test]
    fn a_message_is_read_to_its_last_octet_and_no_further() {
        for (octets, inside) in [
            (&b"\x30\x02abXY"[..], &b"ab"[..]),
            (b"\x30\x81\x02abXY", b"ab"),
            (b"\x30\x84\0\0\0\x02abXY", b"ab"),
            (b"\x30\0XY", b""),
        ] {
            let (heard, left) = heard(octets, 4096);
            assert_eq!((heard.unwrap().as_slice(), left), (inside, 2));
        }
    }

    #[test]
    fn what_is_no_message_or_too_large_a_one_is_refused() {
        for octets in [
            &b""[..],
            b"\x30",
            b"HTTP/1.1 400",
            b"\x30\x05abc",
            b"\x30\x80ab\0\0",
            b"\x30\xff",
            b"\x30\x82\x01",
            b"\x30\x84\xff\xff\xff\xffab",
            b"\x30\x83\0\x10\x01ab",
        ] {
            assert!(heard(octets, 4096).0.is_err(), "{octets:?}");
        }
    }
}
