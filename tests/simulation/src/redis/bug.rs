//! Servers that are broken on purpose: who checks runs must notice.

use distjob_core::{
    JobData, Source, TaskRange, Zxid,
    store::{Claim, ClaimRequest, Commit, CommitRequest, DropReply, model::Model},
};

/// What is wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A commit takes effect whoever holds the lease.
    NoLeaseCheck,
    /// A lease that its holder does not know of does not come back.
    NoReissue,
    /// A claim on a job whose tasks all have their outcome is answered as if somebody still ran some.
    NeverComplete,
    /// A drop does not look at the life of the job.
    DropWithoutLife,
    /// A claim leaves the cursor where it was.
    CursorStays,
}

/// `claim` by a server with this bug.
pub(super) fn claim(bug: Option<Bug>, model: &mut Model, request: &ClaimRequest<'_>) -> Claim {
    let mine = model.leases.get(request.holder).into_iter().flatten();
    let all_held: Vec<TaskRange> = mine.map(|lease| lease.range).collect();
    let cursor = model.meta.as_ref().map(|meta| meta.cursor);
    let knows_all = ClaimRequest {
        held: &all_held,
        ..*request
    };
    let answer = match bug {
        Some(Bug::NoReissue) => model.claim(&knows_all),
        _ => model.claim(request),
    };
    if bug == Some(Bug::CursorStays)
        && let (Some(meta), Some(cursor)) = (&mut model.meta, cursor)
    {
        meta.cursor = cursor;
    }
    match (bug, answer, &model.meta) {
        (Some(Bug::NeverComplete), Claim::Complete, Some(meta)) => Claim::None {
            committed: meta.committed,
            count: meta.count,
            holders: Vec::new(),
        },
        (_, answer, _) => answer,
    }
}

/// `commit` by a server with this bug.
pub(super) fn commit(bug: Option<Bug>, model: &mut Model, request: &CommitRequest<'_>) -> Commit {
    let mut answer = model.commit(request);
    if bug == Some(Bug::NoLeaseCheck)
        && !answer.accepted
        && let Some(meta) = model.meta.as_mut().filter(|meta| meta.life == request.life)
        && TaskRange::new(request.lo, request.upto()).is_some_and(|range| range.hi() <= meta.count)
    {
        let packed = request.outcomes.bytes().to_vec();
        model.results.insert(request.lo, (request.upto(), packed));
        answer.accepted = true;
    }
    answer
}

/// `drop` by a server with this bug.
pub(super) fn drop_job(
    bug: Option<Bug>,
    model: &mut Model,
    life: Zxid,
    source: &Source,
    last: Option<&JobData>,
) -> DropReply {
    let known = model.meta.as_ref().map_or(life, |meta| meta.life);
    match bug {
        Some(Bug::DropWithoutLife) => model.drop_job(life.max(known), source, last),
        _ => model.drop_job(life, source, last),
    }
}
