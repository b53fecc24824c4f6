//! A watcher with a delivered member: it tells the group, joins it if that is due, and deletes the member.

use std::collections::BTreeSet;

use distjob_core::{
    JobId,
    group::{GroupState, GroupStep},
};

use super::{FollowUp, Group, GroupMutant, Groups, List, ONCE, Session, State, TOLD, WHOLE};

/// The way of one member through a watcher.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pipeline {
    pub(super) session: Session,
    job: usize,
    at: At,
    /// How many lists it has staged.
    staged: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum At {
    Lock,
    Settle,
    /// The reply was no success: how does the member stand now?
    LookSettled,
    /// With whether it is a member.
    Look(bool),
    Stage(Group),
    Join(Group, bool),
    /// The reply was no success: is the group as it was? With whether a reply was unclear.
    LookJoined(Group, bool),
    /// Of a seeded bug.
    Create,
    Open,
    Remove(Group),
    Delete,
    LookDeleted,
}

/// What is asked of the stores, in one call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Request {
    Lock(usize),
    Settle(usize),
    Look,
    Stage(List),
    Join(usize, Group, List),
    Create(List),
    Open,
    Remove(Group),
    Delete(usize),
}

impl Request {
    pub(super) const fn has_effect(&self) -> bool {
        !matches!(self, Self::Look)
    }
}

impl Pipeline {
    pub(super) const fn new(session: Session, job: usize) -> Self {
        Self {
            session,
            job,
            at: At::Lock,
            staged: 0,
        }
    }

    const fn list(&self) -> List {
        (self.session, self.job as u8 * 8 + self.staged)
    }

    pub(super) fn request(&self) -> Request {
        match &self.at {
            At::Lock => Request::Lock(self.job),
            At::Settle => Request::Settle(self.job),
            At::LookSettled | At::Look(_) | At::LookJoined(..) | At::LookDeleted => Request::Look,
            At::Stage(_) => Request::Stage(self.list()),
            At::Join(group, _) => Request::Join(self.job, group.clone(), self.list()),
            At::Create => Request::Create(self.list()),
            At::Open => Request::Open,
            At::Remove(group) => Request::Remove(group.clone()),
            At::Delete => Request::Delete(self.job),
        }
    }

    /// Goes on after an answer, `None` for an unclear one; nothing when it has come to its end.
    pub(super) fn after(mut self, answer: Option<bool>, state: &mut State, model: &Groups) -> Option<Self> {
        // What a read shows: it is answered when it is asked, or asked again.
        let owns = state.locks[self.job] == Some(self.session);
        let (group, list) = (state.group.clone(), self.list());
        self.at = match (self.at, answer) {
            (At::Lock, Some(true)) => first(model),
            // Taken, or unclear: it is looked whose it is.
            (At::Lock, Some(false)) if owns => first(model),
            (At::Lock, Some(false)) => return None,
            (at @ (At::Lock | At::Stage(_) | At::Open | At::Remove(_)), None) => at,
            (At::Settle, Some(true)) => after_settled(true, model),
            (At::Settle, _) => At::LookSettled,
            (At::LookSettled, Some(_)) => {
                let has = |of: fn(&Group) -> &BTreeSet<usize>| {
                    group.as_ref().is_some_and(|group| of(group).contains(&self.job))
                };
                match (has(|group| &group.pending), has(|group| &group.done)) {
                    (true, _) if !owns => return None,
                    (true, _) => At::Settle,
                    (false, is_done) => after_settled(is_done, model),
                }
            }
            (At::Look(is_member), Some(_)) => look(group, is_member, model),
            (At::Stage(group), Some(_)) => At::Join(group, false),
            (At::Join(..), Some(true)) if model.has(GroupMutant::JoinOutsideMulti) => At::Create,
            (At::Join(..), Some(true)) | (At::Create, _) => At::Look(true),
            (At::Join(group, was_unclear), answer) => At::LookJoined(group, was_unclear || answer.is_none()),
            (At::LookJoined(before, was_unclear), Some(_)) => {
                if group.as_ref() == Some(&before) {
                    if !owns {
                        return None;
                    }
                    At::Join(before, was_unclear)
                } else {
                    if !was_unclear || model.has(GroupMutant::ForgetWhenUnclear) {
                        state.forget(list);
                    }
                    At::Look(true)
                }
            }
            (At::Open, Some(_)) => match group {
                Some(group) if group.data.state == GroupState::Joined => At::Remove(group),
                _ => At::Delete,
            },
            (At::Remove(_), Some(_)) => At::Delete,
            (At::Delete, Some(true)) => return None,
            (At::Delete, _) => At::LookDeleted,
            (At::LookDeleted, Some(_)) if state.jobs.contains(&self.job) && owns => At::Delete,
            (At::LookDeleted, Some(_)) => return None,
            // A read that was not answered is asked again.
            (at, None) => at,
        };
        if matches!(self.at, At::Stage(_)) {
            self.staged += 1;
        }
        Some(self)
    }
}

fn first(model: &Groups) -> At {
    match model.0 {
        Some(GroupMutant::DeleteUntold) => At::Delete,
        Some(GroupMutant::LookBeforeSettle) => At::Look(true),
        _ => At::Settle,
    }
}

fn after_settled(is_member: bool, model: &Groups) -> At {
    if model.has(GroupMutant::LookBeforeSettle) {
        At::Delete
    } else {
        At::Look(is_member)
    }
}

fn look(group: Option<Group>, is_member: bool, model: &Groups) -> At {
    let leave = if model.has(GroupMutant::LookBeforeSettle) {
        At::Settle
    } else {
        At::Delete
    };
    let Some(group) = group else {
        return leave;
    };
    match GroupStep::of(&group.data, group.pending.len()) {
        GroupStep::Join if is_member => At::Stage(group),
        GroupStep::CleanUp => At::Open,
        GroupStep::Join | GroupStep::Leave => leave,
    }
}

impl State {
    /// Executes a request as the stores do: whole or not at all. Whether it took effect.
    pub(super) fn execute(&mut self, session: Session, request: &Request, model: &Groups) -> bool {
        let is_of_ledger = !matches!(request, Request::Stage(_) | Request::Open);
        if is_of_ledger && !self.sessions.contains(&session) {
            return false;
        }
        match request {
            Request::Lock(job) => {
                let may = self.jobs.contains(job) && self.locks[*job].is_none();
                if may {
                    self.locks[*job] = Some(session);
                }
                may
            }
            Request::Settle(job) => {
                let locked = self.locks[*job].is_some();
                let group = self.group.as_mut().filter(|_| locked);
                group.is_some_and(|group| group.pending.remove(job) && group.done.insert(*job))
            }
            Request::Look => true,
            Request::Stage(list) => self.lists.insert(*list),
            Request::Join(job, before, list) => self.join(*job, before, *list, model),
            Request::Create(list) => {
                let may = self.follow_up.is_none();
                if may {
                    self.create(*list);
                }
                may
            }
            Request::Open => {
                if let Some(follow_up) = &mut self.follow_up {
                    follow_up.is_open = true;
                }
                true
            }
            Request::Remove(joined) => {
                let may = self
                    .group
                    .as_ref()
                    .is_some_and(|group| group.version == joined.version);
                if may {
                    self.group = None;
                }
                may
            }
            Request::Delete(job) => {
                let may = self.jobs.contains(job) && self.locks[*job].is_some();
                if may {
                    self.locks[*job] = None;
                    self.jobs.remove(job);
                    if self
                        .group
                        .as_ref()
                        .is_some_and(|group| group.pending.contains(job))
                    {
                        self.broken = Some(TOLD);
                    }
                }
                may
            }
        }
    }

    fn join(&mut self, job: usize, before: &Group, list: List, model: &Groups) -> bool {
        let any_version = model.has(GroupMutant::JoinAnyVersion);
        let is_same = |group: &Group| group.version == before.version && group.done.contains(&job);
        // Without a version the group is made anew, should it be gone.
        let may = any_version || (self.locks[job].is_some() && self.group.as_ref().is_some_and(is_same));
        let in_one = !model.has(GroupMutant::JoinOutsideMulti);
        if !may || (in_one && self.follow_up.is_some()) {
            return false;
        }
        let then = JobId::new("join").expect("a word is an id");
        self.group = Some(Group {
            data: before.data.joined(vec![then]),
            version: before.version + 1,
            ..before.clone()
        });
        if in_one {
            self.create(list);
        }
        true
    }

    fn create(&mut self, list: List) {
        self.created += 1;
        if self.created > 1 {
            self.broken = Some(ONCE);
        }
        self.follow_up = Some(FollowUp { list, is_open: false });
        if !self.lists.contains(&list) {
            self.broken = Some(WHOLE);
        }
    }

    /// A list is taken back: nobody needs it, unless what follows came from it and has not taken it over.
    fn forget(&mut self, list: List) {
        self.lists.remove(&list);
        if self
            .follow_up
            .is_some_and(|follow_up| follow_up.list == list && !follow_up.is_open)
        {
            self.broken = Some(WHOLE);
        }
    }
}
