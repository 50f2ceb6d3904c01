//! The questions about one user, one after the other. Each goes to the first server that is well, and to the next one
//! where that gives no answer. Who left one question without an answer is asked no other for this user, or a server
//! that hangs would take all the time he has.

use std::time::Instant;

use super::connection::{Question, Trouble};
use super::message::{Code, Entry, Search};
use super::servers::Servers;
use crate::auth::reason::Reason;

/// The servers of a directory while one user is verified.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    servers: &'a Servers,
    /// Those that gave no answer.
    tried: Vec<bool>,
    unanswered: bool,
}

impl<'a> Visit<'a> {
    /// To all of these.
    pub(super) fn to(servers: &'a Servers) -> Self {
        Self { servers, tried: vec![false; servers.count()], unanswered: false }
    }

    /// Was a bind said to a server that did not answer? It may count there, so it counts here too.
    pub(super) fn unanswered(&self) -> bool {
        self.unanswered
    }

    /// Does a server let this entry in with this password? Whatever it says but yes is no: a word of its own for some
    /// entries would tell that they are there, and guesses at them would be free.
    pub(super) async fn bind(&mut self, dn: &str, password: &[u8]) -> Result<bool, Reason> {
        let (code, _) = self.ask(Question::Bind(dn, password)).await?;
        match code {
            Code::SUCCESS => Ok(true),
            code if code.refuses() => Ok(false),
            code => {
                self.servers.no_answer("bind", &format!("result {}", code.0));
                Ok(false)
            }
        }
    }

    /// What a search finds, one entry more than asked for where there are more.
    pub(super) async fn search(&mut self, search: &Search<'_>) -> Result<Vec<Entry>, Reason> {
        let (code, entries) = self.ask(Question::Search(search)).await?;
        match code {
            Code::SUCCESS => Ok(entries),
            // Whoever asks for a few is told that there are more by how many he got. Pages have no limit but the server's
            // own, and what ends there is not all.
            Code::SIZE_LIMIT if search.page.is_none() && entries.len() >= search.most as usize => Ok(entries),
            Code::NO_SUCH_OBJECT if search.filter.is_none() => Ok(Vec::new()),
            code => Err(self.servers.no_answer("search", &format!("result {}", code.0))),
        }
    }

    async fn ask(&mut self, question: Question<'_>) -> Result<(Code, Vec<Entry>), Reason> {
        let servers = self.servers;
        // Each server, and connections that turn out to be dead.
        for _ in 0..servers.count() + servers.connections() {
            let Some((index, waiting)) = servers.choose(&question, &self.tried) else {
                return Err(Reason::DirectoryDown);
            };
            let waited = waiting.is_some();
            let opened = match waiting {
                Some((connection, since)) => Ok((connection, since)),
                None => servers.open(index, &question).await.map(|connection| (connection, Instant::now())),
            };
            let (mut connection, since) = match opened {
                Ok(opened) => opened,
                Err(why) => {
                    servers.failed(index, &why);
                    self.tried[index] = true;
                    continue;
                }
            };
            let bind = matches!(question, Question::Bind(..));
            // Before the first octet: whoever waits may give up any time.
            self.unanswered = bind;
            let answer = connection.ask(question).await;
            self.unanswered &= answer.is_err();
            let why = match answer {
                Ok((code, _)) if code.elsewhere() => format!("result {}", code.0),
                Ok(answer) => {
                    servers.give_back(index, &question, connection, since);
                    return Ok(answer);
                }
                Err(Trouble::Question(why)) => return Err(servers.no_answer("question", why)),
                // A server may have hung up long ago, or been started anew.
                Err(Trouble::Closed(_)) if waited => {
                    servers.forget(index);
                    continue;
                }
                // It may still be tried there, and a second time elsewhere.
                Err(Trouble::Server(why)) if bind => {
                    servers.struck(index, &why);
                    return Err(Reason::DirectoryDown);
                }
                Err(Trouble::Closed(why) | Trouble::Server(why)) => why,
            };
            servers.struck(index, &why);
            self.tried[index] = true;
        }
        Err(Reason::DirectoryDown)
    }
}
