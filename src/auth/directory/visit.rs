//! The questions about one user, one after the other. The first goes to the first server that is well, and to the next
//! one where that gives no answer; each of the others goes where the one before was answered, if it can. Who left one
//! without an answer is asked no other for this user, or a server that hangs would take all the time he has.

use std::time::Instant;

use super::connection::{Question, Trouble};
use super::message::{Code, Entry, Search};
use super::servers::{Kind, Servers};
use crate::auth::reason::Reason;

/// The servers of a directory while one user is verified.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    servers: &'a Servers,
    /// Those that gave no answer.
    tried: Vec<bool>,
    /// The one that gave the last answer.
    last: Option<usize>,
    /// Who he is, as far as is known.
    about: String,
    unanswered: bool,
}

impl<'a> Visit<'a> {
    /// To all of these, about somebody who calls himself so.
    pub(super) fn to(servers: &'a Servers, about: &str) -> Self {
        Self { servers, tried: vec![false; servers.count()], last: None, about: folded(about), unanswered: false }
    }

    /// Was a bind said to a server that did not answer? It may count there, so it counts here too.
    pub(super) fn unanswered(&self) -> bool {
        self.unanswered
    }

    /// He is who is called so, however he spelled it.
    pub(super) fn is_about(&mut self, name: &str) {
        name.clone_into(&mut self.about);
    }

    /// Does a server let this entry in with this password? Whatever it says but yes is no: a word of its own for some
    /// entries would tell that they are there, and guesses at them would be free.
    pub(super) async fn bind(&mut self, dn: &str, password: &[u8]) -> Result<bool, Reason> {
        let (code, _) = self.ask(Kind::Prove, Question::Bind(dn, password)).await?;
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
    pub(super) async fn search(&mut self, kind: Kind, search: &Search<'_>) -> Result<Vec<Entry>, Reason> {
        let (code, entries) = self.ask(kind, Question::Search(search)).await?;
        match code {
            Code::SUCCESS => Ok(entries),
            // Whoever asks for a few is told that there are more by how many he got. Pages have no limit but the
            // server's own, and what ends there is not all.
            Code::SIZE_LIMIT if search.page.is_none() && entries.len() >= search.most as usize => Ok(entries),
            Code::NO_SUCH_OBJECT if search.filter.is_none() => Ok(Vec::new()),
            code => Err(self.servers.no_answer("search", &format!("result {}", code.0))),
        }
    }

    async fn ask(&mut self, kind: Kind, question: Question<'_>) -> Result<(Code, Vec<Entry>), Reason> {
        let servers = self.servers;
        // Each server, and connections that turn out to be dead.
        for _ in 0..servers.count() + servers.connections() {
            let Some(mut chosen) = servers.choose(kind, &self.tried, self.last) else {
                return Err(Reason::DirectoryDown);
            };
            let index = chosen.index();
            let waiting = chosen.waiting.take();
            let waited = waiting.is_some();
            let opened = match waiting {
                Some(opened) => Some(opened),
                None => servers.open(&chosen).await.map(|connection| (connection, Instant::now())),
            };
            let Some((mut connection, since)) = opened else {
                self.tried[index] = true;
                continue;
            };
            // Before the first octet: whoever waits may give up any time.
            self.unanswered = kind == Kind::Prove;
            let answer = connection.ask(question).await;
            self.unanswered &= answer.is_err();
            let why = match answer {
                Ok((code, _)) if code.elsewhere() => format!("result {}", code.0),
                Ok(answer) => {
                    self.last = Some(index);
                    servers.give_back(&chosen, (connection, since));
                    return Ok(answer);
                }
                Err(Trouble::Question(why)) => return Err(servers.no_answer("question", why)),
                // A server may have hung up long ago, or been started anew.
                Err(Trouble::Closed(_)) if waited => {
                    servers.forget(&chosen);
                    continue;
                }
                // It may still be tried there, and a second time elsewhere.
                Err(Trouble::Server(why)) if kind == Kind::Prove => {
                    servers.struck(&chosen, &self.about, &why);
                    return Err(Reason::DirectoryDown);
                }
                Err(Trouble::Closed(why) | Trouble::Server(why)) => why,
            };
            servers.struck(&chosen, &self.about, &why);
            self.tried[index] = true;
        }
        Err(Reason::DirectoryDown)
    }
}

/// One name for many spellings of it, and one for all that a directory may compare in ways of its own: until somebody
/// is found, fewer are told apart than there are.
fn folded(name: &str) -> String {
    if !name.is_ascii() {
        return "another".to_owned();
    }
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
