//! Whose turn it is when more waits than the signers can do. Of nine turns five are for tokens and the answers with
//! them, which somebody has proved himself for, one for session keys in what somebody has signed, two for handshakes
//! and one for other session keys, which strangers can ask for; a turn that nobody needs is the next one's, so that no
//! session is idle. Within each the workers have turns, and an answer goes before the tokens of its worker: the token
//! in it is recorded, and lost without it. So what one worker asks for, however much, keeps the others waiting for one
//! of its own at a time.

use std::collections::{HashMap, VecDeque};

use crate::wire::Peer;

/// What a signer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::issuer) enum Kind {
    Token,
    Answer,
    Handshake,
    /// A session key that anybody may have sealed.
    Unwrap,
    /// One in what somebody has signed whom auth knows.
    Proven,
}

/// The queues: tokens with answers, handshakes, session keys, and those of them that are proven.
const QUEUES: usize = 4;
const TURNS: [usize; 9] = [0, 1, 0, 2, 0, 3, 0, 1, 0];
/// Jobs that may wait in one queue.
const MOST: usize = 4096;

impl Kind {
    fn queue(self) -> usize {
        match self {
            Self::Token | Self::Answer => 0,
            Self::Handshake => 1,
            Self::Unwrap => 2,
            Self::Proven => 3,
        }
    }
}

/// A worker's place for one job. It counts as waiting until a job comes with it, or it is given back.
#[derive(Debug)]
#[must_use]
pub(in crate::issuer) struct Place {
    pub(super) kind: Kind,
    pub(super) of: Peer,
}

/// Everything that waits.
#[derive(Debug)]
pub(super) struct Turns<J> {
    queues: [Queue<J>; QUEUES],
    next: usize,
}

#[derive(Debug)]
struct Queue<J> {
    lines: HashMap<Peer, Line<J>>,
    /// Workers with a job here, who is next first.
    order: VecDeque<Peer>,
    /// Jobs and places of all lines.
    count: usize,
}

/// What one worker has in a queue.
#[derive(Debug)]
struct Line<J> {
    /// Answers, and what comes back from a signer.
    first: VecDeque<J>,
    rest: VecDeque<J>,
    places: usize,
}

impl<J> Turns<J> {
    pub(super) fn new() -> Self {
        Self { queues: std::array::from_fn(|_| Queue::new()), next: 0 }
    }

    /// Jobs and places.
    pub(super) fn count(&self) -> usize {
        self.queues.iter().map(|queue| queue.count).sum()
    }

    /// May no more of this kind wait, whoever asks?
    pub(super) fn is_full(&self, kind: Kind) -> bool {
        self.queues[kind.queue()].count >= MOST
    }

    /// Does anything of this worker wait that goes before one more of its jobs?
    pub(super) fn has_any(&self, kind: Kind, of: Peer) -> bool {
        self.own(kind, of) > 0
    }

    fn own(&self, kind: Kind, of: Peer) -> usize {
        let line = self.queues[kind.queue()].lines.get(&of);
        line.map_or(0, |line| if kind == Kind::Answer { line.first.len() } else { line.count() })
    }

    /// How many of what waits now have their turn before one more job of this worker.
    pub(super) fn before(&self, kind: Kind, of: Peer) -> usize {
        let queue = &self.queues[kind.queue()];
        let (line, own) = (queue.lines.get(&of), self.own(kind, of));
        let workers = queue.lines.len() - usize::from(line.is_some());
        let others = (queue.count - line.map_or(0, Line::count)).min((own + 1) * workers);
        let turns = |queue| TURNS.iter().filter(|turn| **turn == queue).count();
        let elsewhere = (0..QUEUES).filter(|queue| *queue != kind.queue()).map(|other| {
            self.queues[other].count.min(((own + others + 1) * turns(other)).div_ceil(turns(kind.queue())))
        });
        own + others + elsewhere.sum::<usize>()
    }

    /// Keeps a place.
    pub(super) fn place(&mut self, kind: Kind, of: Peer) -> Place {
        let queue = &mut self.queues[kind.queue()];
        queue.lines.entry(of).or_insert_with(Line::new).places += 1;
        queue.count += 1;
        Place { kind, of }
    }

    /// A place that no job comes with.
    pub(super) fn give_back(&mut self, Place { kind, of }: Place) {
        self.queues[kind.queue()].one_place_less(of);
    }

    /// A job with its place; how it is known when it comes back.
    pub(super) fn join(&mut self, place: Place, job: J) {
        let Place { kind, of } = place;
        let queue = &mut self.queues[kind.queue()];
        queue.add(of, |line| if kind == Kind::Answer { &mut line.first } else { &mut line.rest }.push_back(job));
        queue.one_place_less(of);
    }

    /// A job that had its turn for nothing: it is the first of its worker.
    pub(super) fn join_first(&mut self, (kind, of): (Kind, Peer), job: J) {
        self.queues[kind.queue()].add(of, |line| line.first.push_front(job));
    }

    /// The job whose turn it is, of those that fit.
    pub(super) fn next(&mut self, fits: impl Fn(&J) -> bool) -> Option<J> {
        for turn in (self.next..).take(TURNS.len()) {
            if let Some(job) = self.queues[TURNS[turn % TURNS.len()]].next(&fits) {
                self.next = (turn + 1) % TURNS.len();
                return Some(job);
            }
        }
        None
    }

    /// Takes out what is over.
    pub(super) fn remove(&mut self, over: impl Fn(&J) -> bool) -> Vec<J> {
        self.queues.iter_mut().flat_map(|queue| queue.remove(&over)).collect()
    }
}

impl<J> Queue<J> {
    fn new() -> Self {
        Self { lines: HashMap::new(), order: VecDeque::new(), count: 0 }
    }

    fn add(&mut self, of: Peer, put: impl FnOnce(&mut Line<J>)) {
        let line = self.lines.entry(of).or_insert_with(Line::new);
        if !line.has_jobs() {
            self.order.push_back(of);
        }
        put(line);
        self.count += 1;
    }

    fn one_place_less(&mut self, of: Peer) {
        if let Some(line) = self.lines.get_mut(&of) {
            line.places -= 1;
            self.count -= 1;
            self.forget_empty(of);
        }
    }

    fn next(&mut self, fits: &impl Fn(&J) -> bool) -> Option<J> {
        for _ in 0..self.order.len() {
            let of = self.order.pop_front()?;
            let line = self.lines.get_mut(&of)?;
            let job = line.next(fits);
            if line.has_jobs() {
                self.order.push_back(of);
            }
            if job.is_some() {
                self.count -= 1;
                self.forget_empty(of);
                return job;
            }
        }
        None
    }

    fn remove(&mut self, over: &impl Fn(&J) -> bool) -> Vec<J> {
        let mut removed = Vec::new();
        for line in self.lines.values_mut() {
            for jobs in [&mut line.first, &mut line.rest] {
                for job in std::mem::take(jobs) {
                    if over(&job) { removed.push(job) } else { jobs.push_back(job) }
                }
            }
        }
        self.count -= removed.len();
        self.order.retain(|of| self.lines.get(of).is_some_and(Line::has_jobs));
        self.lines.retain(|_, line| line.count() > 0);
        removed
    }

    fn forget_empty(&mut self, of: Peer) {
        if self.lines.get(&of).is_some_and(|line| line.count() == 0) {
            self.lines.remove(&of);
        }
    }
}

impl<J> Line<J> {
    fn new() -> Self {
        Self { first: VecDeque::new(), rest: VecDeque::new(), places: 0 }
    }

    fn has_jobs(&self) -> bool {
        !self.first.is_empty() || !self.rest.is_empty()
    }

    fn count(&self) -> usize {
        self.first.len() + self.rest.len() + self.places
    }

    /// The first that fits, which is the very first unless it pauses or its key is away.
    fn next(&mut self, fits: &impl Fn(&J) -> bool) -> Option<J> {
        [&mut self.first, &mut self.rest]
            .into_iter()
            .find_map(|jobs| jobs.iter().position(fits).and_then(|at| jobs.remove(at)))
    }
}

#[cfg(test)]
mod tests {
    use Kind::{Answer, Handshake, Proven, Token, Unwrap};

    use super::*;

    const ONE: Peer = Peer(41);
    const OTHER: Peer = Peer(42);

    type Job = (Kind, Peer, u32);

    fn of(jobs: &[(Kind, Peer, u32)]) -> Turns<Job> {
        let mut turns = Turns::new();
        for (kind, of, times) in jobs {
            for number in 0..*times {
                let place = turns.place(*kind, *of);
                turns.join(place, (*kind, *of, number));
            }
        }
        turns
    }

    fn drain(turns: &mut Turns<Job>, most: usize) -> Vec<Job> {
        std::iter::from_fn(|| turns.next(|_| true)).take(most).collect()
    }

    fn count(jobs: &[Job], kind: Kind) -> usize {
        jobs.iter().filter(|job| job.0 == kind).count()
    }

    #[test]
    fn when_all_wait_tokens_have_most_turns_and_everybody_some() {
        let mut turns = of(&[(Handshake, ONE, 100), (Unwrap, ONE, 100), (Proven, ONE, 100), (Token, OTHER, 100)]);
        let done = drain(&mut turns, 90);
        assert_eq!([Token, Handshake, Unwrap, Proven].map(|kind| count(&done, kind)), [50, 20, 10, 10]);
        // A token never waits for more than one of anything else.
        assert!(done.windows(2).all(|pair| pair.iter().any(|job| job.0 == Token)));
        // What nobody needs is used.
        let rest = drain(&mut turns, 1000);
        assert_eq!((rest.len(), turns.count()), (310, 0));
        assert!(turns.queues.iter().all(|queue| queue.lines.is_empty() && queue.order.is_empty()));
    }

    #[test]
    fn session_keys_in_what_is_signed_do_not_wait_behind_those_of_strangers() {
        let mut turns = of(&[(Unwrap, ONE, 500)]);
        assert_eq!((turns.before(Proven, ONE), turns.has_any(Proven, ONE)), (1, false));
        let place = turns.place(Proven, ONE);
        turns.join(place, (Proven, ONE, 0));
        assert_eq!(count(&drain(&mut turns, 2), Proven), 1);
    }

    #[test]
    fn workers_have_turns_whatever_one_of_them_asks_for() {
        for kind in [Token, Handshake, Unwrap, Proven] {
            let mut turns = of(&[(kind, ONE, 500), (kind, OTHER, 3)]);
            let done = drain(&mut turns, 6);
            assert_eq!(done.iter().filter(|job| job.1 == OTHER).count(), 3, "{kind:?}");
        }
    }

    #[test]
    fn an_answer_goes_before_the_tokens_of_its_worker_and_of_nobody_else() {
        let mut turns = of(&[(Token, ONE, 3), (Token, OTHER, 3), (Answer, ONE, 2)]);
        let done = drain(&mut turns, 4);
        assert_eq!(done, [(Answer, ONE, 0), (Token, OTHER, 0), (Answer, ONE, 1), (Token, OTHER, 1)]);
    }

    #[test]
    fn what_comes_back_is_first_and_what_does_not_fit_holds_nobody_up() {
        let mut turns = of(&[(Token, ONE, 2), (Token, OTHER, 1)]);
        let first = turns.next(|_| true).unwrap();
        turns.join_first((Token, ONE), first);
        assert_eq!(turns.next(|job| *job != first), Some((Token, OTHER, 0)));
        assert_eq!(turns.next(|job| *job != first), Some((Token, ONE, 1)));
        assert_eq!(turns.next(|job| *job != first), None);
        assert_eq!(turns.next(|_| true), Some(first));
        let mut turns = of(&[(Token, ONE, 3)]);
        let first = turns.next(|_| true).unwrap();
        turns.join_first((Token, ONE), first);
        assert_eq!(turns.next(|_| true), Some(first));
    }

    #[test]
    fn it_is_known_how_many_go_before() {
        let mut turns = of(&[(Handshake, ONE, 100)]);
        assert_eq!(turns.before(Handshake, ONE), 100);
        assert_eq!((turns.before(Handshake, OTHER), turns.before(Token, OTHER)), (1, 1));
        let places: Vec<Place> = (0..10).map(|_| turns.place(Token, OTHER)).collect();
        // Ten of its own, and two fifths of eleven turns.
        assert_eq!(turns.before(Token, OTHER), 10 + 5);
        assert_eq!(turns.before(Token, ONE), 1 + 1);
        assert_eq!(turns.before(Answer, OTHER), 1);
        // All the handshakes, and every token: there are fewer than its turns.
        assert_eq!(turns.before(Handshake, ONE), 110);
        places.into_iter().for_each(|place| turns.give_back(place));
        assert_eq!((turns.before(Handshake, ONE), turns.before(Token, ONE)), (100, 1));
    }

    #[test]
    fn what_is_said_to_go_before_does() {
        let mut turns =
            of(&[(Handshake, ONE, 9), (Token, ONE, 30), (Handshake, OTHER, 40), (Unwrap, OTHER, 7), (Proven, ONE, 5)]);
        let asked =
            [(Handshake, ONE), (Token, ONE), (Token, OTHER), (Unwrap, ONE), (Handshake, OTHER), (Proven, OTHER)];
        for (kind, of) in asked {
            let said = turns.before(kind, of);
            // Wherever the turns stand.
            let before = (0..TURNS.len()).map(|next| {
                let mut trial = Turns { next, ..Turns::new() };
                for queue in &turns.queues {
                    for line in queue.lines.values() {
                        for job in &line.rest {
                            let place = trial.place(job.0, job.1);
                            trial.join(place, *job);
                        }
                    }
                }
                let place = trial.place(kind, of);
                trial.join(place, (kind, of, 999));
                drain(&mut trial, 1000).iter().position(|job| job.2 == 999).unwrap()
            });
            let most = before.max().unwrap();
            assert!(most.abs_diff(said) <= 2, "{kind:?} of {of:?}: {said} said, {most} went before");
        }
        assert_eq!(turns.remove(|job| job.0 == Handshake).len(), 49);
        assert_eq!((turns.count(), drain(&mut turns, 1000).len()), (42, 42));
    }

    #[test]
    fn a_queue_is_bounded() {
        let mut turns = Turns::<Job>::new();
        let places: Vec<Place> = (0..MOST).map(|_| turns.place(Handshake, ONE)).collect();
        assert!(turns.is_full(Handshake) && !turns.is_full(Token) && !turns.is_full(Unwrap));
        places.into_iter().for_each(|place| turns.give_back(place));
        assert!(!turns.is_full(Handshake) && turns.queues[1].lines.is_empty());
    }
}
