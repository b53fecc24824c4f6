//! Groups: two members, two watchers, one join. A model of its own, so that the other one stays explorable.
//!
//! It begins where a member is delivered, and ends where all of them are deleted: `pipeline/group.rs` of `watcher-d` and
//! `zk/ledger/groups.rs` of `distjob-runtime`, as steps of one request each. The last member comes, and closes the group, at
//! any moment. What is decided is in [`distjob_core::group`].
//!
//! What may happen: a watcher is killed, and its session expires later; a session expires whose watcher does not know it;
//! a request is not answered, and is executed at any later moment, or never.
//!
//! What must hold: what follows the group is created once, and with its tasks; no member is deleted that the group does not
//! know to be done; and when nothing goes wrong any more, every member ends, what follows is there, and nothing is left of
//! the group.

mod watcher;

use std::collections::BTreeSet;

use distjob_core::{GroupData, QueueName, group::GroupState};
use stateright::{Checker as _, HasDiscoveries, Model, Property};

use self::watcher::{Pipeline, Request};

/// Members, and watchers.
const EACH: usize = 2;

/// How many threads explore where nothing is to be found. Where something is, one does, so that it is the same each time.
const THREADS: usize = 2;

/// So many steps are enough for everything to end when nothing goes wrong any more.
const CALM_STEPS: usize = 400;

/// A rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupMutant {
    /// The group is looked at before the member is moved to `done`, and not after.
    LookBeforeSettle,
    /// The group is said to be joined first, and what follows is created in a request of its own.
    JoinOutsideMulti,
    /// A member is deleted without the group being told.
    DeleteUntold,
    /// What was staged is taken back whenever somebody else seems to have joined.
    ForgetWhenUnclear,
    /// The group is joined whatever its version is.
    JoinAnyVersion,
}

impl GroupMutant {
    /// All of them, each with the promise that it breaks.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::LookBeforeSettle, ENDS),
        (Self::JoinOutsideMulti, ENDS),
        (Self::DeleteUntold, TOLD),
        (Self::ForgetWhenUnclear, WHOLE),
        (Self::JoinAnyVersion, ONCE),
    ];
}

const ONCE: &str = "joined once";
const WHOLE: &str = "what follows has its tasks";
const TOLD: &str = "deleted when told";
const ENDS: &str = "every group ends";

/// A watcher and the how manyth of its terms.
type Session = (usize, u8);

/// A staged list: whose, and the how manyth of that session.
type List = (Session, u8);

/// The group's znodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Group {
    data: GroupData,
    version: u8,
    pending: BTreeSet<usize>,
    done: BTreeSet<usize>,
}

/// The job that joins the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FollowUp {
    list: List,
    is_open: bool,
}

/// One state of everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The members that are there, delivered; the last one comes later.
    jobs: BTreeSet<usize>,
    last_came: bool,
    locks: [Option<Session>; EACH],
    sessions: BTreeSet<Session>,
    group: Option<Group>,
    follow_up: Option<FollowUp>,
    /// How often it was created.
    created: u8,
    lists: BTreeSet<List>,
    terms: [u8; EACH],
    pipelines: [Option<Pipeline>; EACH],
    /// Requests that nobody waits for any more.
    late: Vec<(Session, Request)>,
    crashes: u8,
    expiries: u8,
    unclear: u8,
    /// The promise that the last transition broke.
    broken: Option<&'static str>,
}

/// What may happen next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The last member is created, and closes the group.
    Last,
    /// A watcher takes up a member, or goes on with the one that it has.
    Pick(usize, usize),
    /// Its request is executed and answered.
    Go(usize),
    /// Its request is executed later, or never, and not answered.
    Unclear(usize),
    /// A late request is executed.
    Arrive(usize),
    /// A watcher is killed, and another one is started in its place.
    Crash(usize),
    /// A session ends: of a dead watcher, or of one that does not know it.
    Expire(Session),
    /// What follows ends, and is gone.
    FollowUpEnds,
}

/// The model, with a seeded bug if there is one.
#[derive(Clone, Debug)]
pub struct Groups(pub Option<GroupMutant>);

impl Groups {
    /// Explores all states. How many there are, and the promises that do not hold.
    #[must_use]
    pub fn check(mutant: Option<GroupMutant>) -> (usize, Vec<&'static str>) {
        let checker = Self(mutant)
            .checker()
            .threads(if mutant.is_none() { THREADS } else { 1 })
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let broken = checker.discoveries().into_keys().collect();
        (checker.unique_state_count(), broken)
    }

    fn has(&self, mutant: GroupMutant) -> bool {
        self.0 == Some(mutant)
    }

    /// Whether everything ends when nothing goes wrong any more.
    fn ends(&self, state: &State) -> bool {
        let mut state = state.clone();
        state.late.clear();
        for step in 0..CALM_STEPS {
            if state.is_over() {
                return true;
            }
            let watcher = step % EACH;
            let dead = state
                .sessions
                .iter()
                .find(|(watcher, term)| state.terms[*watcher] != *term)
                .copied();
            let chosen = match (dead, &state.pipelines[watcher]) {
                (Some(dead), _) => Step::Expire(dead),
                (None, _) if !state.last_came => Step::Last,
                (None, Some(_)) => Step::Go(watcher),
                (None, None) => {
                    let session = (watcher, state.terms[watcher]);
                    // A late request may have taken a lock that its session does not know of.
                    let is_free = |job: &&usize| state.locks[**job].is_none_or(|owner| owner == session);
                    match state.jobs.iter().find(is_free) {
                        Some(job) => Step::Pick(watcher, *job),
                        None => continue,
                    }
                }
            };
            if let Some(next) = self.next_state(&state, chosen) {
                state = next;
            }
        }
        state.is_over()
    }
}

impl State {
    fn new() -> Self {
        let queue = QueueName::default_queue();
        Self {
            jobs: BTreeSet::from([0]),
            last_came: false,
            locks: [None; EACH],
            sessions: BTreeSet::from([(0, 1), (1, 1)]),
            group: Some(Group {
                data: GroupData::open(queue),
                version: 0,
                pending: BTreeSet::from([0]),
                done: BTreeSet::new(),
            }),
            follow_up: None,
            created: 0,
            lists: BTreeSet::new(),
            terms: [1; EACH],
            pipelines: [const { None }; EACH],
            late: Vec::new(),
            crashes: 1,
            expiries: 1,
            unclear: 1,
            broken: None,
        }
    }

    fn is_over(&self) -> bool {
        self.last_came && self.jobs.is_empty() && self.group.is_none() && self.created > 0
    }

    fn expire(&mut self, session: Session) {
        self.sessions.remove(&session);
        for lock in &mut self.locks {
            lock.take_if(|owner| *owner == session);
        }
    }
}

impl Model for Groups {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new()]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if !state.last_came {
            steps.push(Step::Last);
        }
        for watcher in 0..EACH {
            match &state.pipelines[watcher] {
                Some(_) => {
                    steps.push(Step::Go(watcher));
                    if state.unclear > 0 {
                        steps.push(Step::Unclear(watcher));
                    }
                }
                None => steps.extend(state.jobs.iter().map(|job| Step::Pick(watcher, *job))),
            }
            if state.crashes > 0 {
                steps.push(Step::Crash(watcher));
            }
        }
        for session in &state.sessions {
            if state.expiries > 0 || state.terms[session.0] != session.1 {
                steps.push(Step::Expire(*session));
            }
        }
        steps.extend((0..state.late.len()).map(Step::Arrive));
        if state.follow_up.is_some_and(|follow_up| follow_up.is_open) {
            steps.push(Step::FollowUpEnds);
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Last => {
                let group = state
                    .group
                    .as_mut()
                    .filter(|group| group.data.state == GroupState::Open)?;
                group.data = group.data.closed();
                group.version += 1;
                group.pending.insert(1);
                state.jobs.insert(1);
                state.last_came = true;
            }
            Step::Pick(watcher, job) => {
                let session = (watcher, state.terms[watcher]);
                state.pipelines[watcher] = Some(Pipeline::new(session, job));
            }
            Step::Go(watcher) => {
                let pipeline = state.pipelines[watcher].take()?;
                let answer = state.execute(pipeline.session, &pipeline.request(), self);
                if state.sessions.contains(&pipeline.session) {
                    state.pipelines[watcher] = pipeline.after(Some(answer), &mut state, self);
                } else {
                    // That is when it hears of the end of its session.
                    state.terms[watcher] += 1;
                    state.sessions.insert((watcher, state.terms[watcher]));
                }
            }
            Step::Unclear(watcher) => {
                let pipeline = state.pipelines[watcher].take()?;
                state.unclear -= 1;
                let request = pipeline.request();
                if request.has_effect() {
                    state.late.push((pipeline.session, request));
                }
                state.pipelines[watcher] = pipeline.after(None, &mut state, self);
            }
            Step::Arrive(number) => {
                let (session, request) = state.late.remove(number);
                state.execute(session, &request, self);
            }
            Step::Crash(watcher) => {
                state.crashes -= 1;
                state.pipelines[watcher] = None;
                state.terms[watcher] += 1;
                state.sessions.insert((watcher, state.terms[watcher]));
            }
            Step::Expire(session) => {
                if state.terms[session.0] == session.1 {
                    state.expiries = state.expiries.checked_sub(1)?;
                }
                state.expire(session);
            }
            Step::FollowUpEnds => state.follow_up = None,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn holds(state: &State, promise: &'static str) -> bool {
            state.broken != Some(promise)
        }
        vec![
            Property::always(ONCE, |_, state| holds(state, ONCE)),
            Property::always(WHOLE, |_, state| holds(state, WHOLE)),
            Property::always(TOLD, |_, state| holds(state, TOLD)),
            Property::always(ENDS, |model: &Self, state: &State| {
                state.broken.is_some() || model.ends(state)
            }),
        ]
    }
}
