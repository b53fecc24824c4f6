//! How pieces move between the cursor, the holders, the freed list and the results.

use super::{Meta, Model, Standing};
use crate::{
    Holder, Lease, TaskRange, Zxid,
    store::{
        Claim, ClaimRequest, Commit, CommitRequest, FREED_SCANNED_MAX, GRANT_TASKS_MAX, Grant, Isolated,
        ReleaseRequest,
    },
};

impl Model {
    /// `claim`: leases tasks, see [`ClaimRequest`].
    pub fn claim(&mut self, request: &ClaimRequest<'_>) -> Claim {
        let meta = match self.opened(request.life) {
            Ok(meta) => meta.clone(),
            Err(Standing::Stale) => return Claim::Stale,
            Err(Standing::Gone) => return Claim::Gone,
            Err(_) => return Claim::Absent,
        };
        if self.tasks.len() as u64 != meta.count {
            return Claim::Broken;
        }
        let mut mine = self.leases.get(request.holder).into_iter().flatten();
        let is_known = |lease: &Lease| request.held.iter().any(|held| held.covers(lease.range));
        if let Some(unknown) = mine.find(|lease| !is_known(lease)) {
            return Claim::Lease(self.grant(*unknown, &meta));
        }
        if meta.committed == meta.count {
            return Claim::Complete;
        }
        if request.want == 0 {
            return Claim::Audited;
        }
        match self.take(request, &meta) {
            Some(lease) => Claim::Lease(self.grant(lease, self.meta.as_ref().unwrap_or(&meta))),
            None if !self.freed.is_empty() => Claim::Isolated,
            None => self.nothing_left(&meta),
        }
    }

    /// Takes a freed range or the next one at the cursor, and books it for the holder.
    fn take(&mut self, request: &ClaimRequest<'_>, meta: &Meta) -> Option<Lease> {
        let is_suspect = |lease: &Lease| request.isolate > 0 && lease.attempts >= request.isolate;
        let takes = |lease: &Lease| request.isolated == Isolated::Take || !is_suspect(lease);
        let position = self.freed.iter().take(FREED_SCANNED_MAX).position(takes);
        let freed = position.and_then(|position| self.freed.remove(position));
        let source = freed.or_else(|| {
            Some(Lease {
                range: TaskRange::new(meta.cursor, meta.count)?,
                attempts: 0,
            })
        })?;
        let want = if is_suspect(&source) {
            1
        } else {
            request.want.min(GRANT_TASKS_MAX)
        };
        let upto = self.fitting(source.range, want, request.bytes_max);
        let lease = Lease {
            range: TaskRange::new(source.range.lo(), upto)?,
            ..source
        };
        if freed.is_none() {
            self.meta.as_mut()?.cursor = upto;
        } else if let Some(rest) = source.range.after(upto) {
            self.freed.push_front(Lease {
                range: rest,
                ..source
            });
        }
        self.leases.entry(request.holder.clone()).or_default().push(lease);
        Some(lease)
    }

    /// Where a grant of `range` ends: after `want` tasks or before the payloads exceed `bytes_max`, but after one.
    fn fitting(&self, range: TaskRange, want: u64, bytes_max: u64) -> u64 {
        let end = range.hi().min(range.lo().saturating_add(want));
        let mut bytes = 0;
        (range.lo()..end)
            .find(|index| {
                bytes += self.tasks[*index as usize].len() as u64;
                bytes > bytes_max && *index > range.lo()
            })
            .unwrap_or(end)
    }

    fn grant(&self, lease: Lease, meta: &Meta) -> Grant {
        let (lo, hi) = (lease.range.lo() as usize, lease.range.hi() as usize);
        Grant {
            lease,
            committed: meta.committed,
            failed: meta.failed,
            cursor: meta.cursor,
            count: meta.count,
            holders: self.leases.keys().cloned().collect(),
            tasks: self.tasks[lo..hi].iter().collect(),
        }
    }

    fn nothing_left(&self, meta: &Meta) -> Claim {
        let leased: u64 = self
            .leases
            .values()
            .flatten()
            .map(|lease| lease.range.len())
            .sum();
        if meta.committed + leased != meta.count {
            return Claim::Broken;
        }
        Claim::None {
            committed: meta.committed,
            count: meta.count,
            holders: self.leases.keys().cloned().collect(),
        }
    }

    /// `commit`: records outcomes while one lease of the holder covers their tasks.
    pub fn commit(&mut self, request: &CommitRequest<'_>) -> Commit {
        let range = TaskRange::new(request.lo, request.upto());
        let cut = range.and_then(|range| self.cut(request.life, request.holder, range));
        if cut.is_some() {
            self.record(request);
        }
        self.after_cut(request.life, request.holder, cut)
    }

    /// `release`: gives back tasks that one lease of the holder covers. No death is counted.
    pub fn release(&mut self, request: &ReleaseRequest<'_>) -> Commit {
        let cut = self.cut(request.life, request.holder, request.range);
        self.freed.extend(cut);
        self.after_cut(request.life, request.holder, cut)
    }

    /// Takes `range` out of the lease of the holder that covers it: the fence. What lies before and after it stays
    /// leased.
    fn cut(&mut self, life: Zxid, holder: &Holder, range: TaskRange) -> Option<Lease> {
        self.opened(life).ok()?;
        let leases = self.leases.get_mut(holder)?;
        let position = leases.iter().position(|lease| lease.range.covers(range))?;
        let whole = leases[position];
        let rests = [whole.range.before(range.lo()), whole.range.after(range.hi())];
        let rests = rests.into_iter().flatten().map(|range| Lease { range, ..whole });
        leases.splice(position..=position, rests);
        if leases.is_empty() {
            self.leases.remove(holder);
        }
        Some(Lease { range, ..whole })
    }

    fn after_cut(&self, life: Zxid, holder: &Holder, cut: Option<Lease>) -> Commit {
        match self.opened(life) {
            Ok(meta) => Commit {
                accepted: cut.is_some(),
                standing: Standing::Open,
                committed: meta.committed,
                failed: meta.failed,
                count: meta.count,
                leases: self.leases.get(holder).cloned().unwrap_or_default(),
            },
            Err(standing) => Commit {
                accepted: false,
                standing,
                committed: 0,
                failed: 0,
                count: 0,
                leases: Vec::new(),
            },
        }
    }

    fn record(&mut self, request: &CommitRequest<'_>) {
        let packed = request.outcomes.bytes().to_vec();
        self.results.insert(request.lo, (request.upto(), packed));
        if let Some(meta) = &mut self.meta {
            meta.committed += request.outcomes.count();
            meta.failed += request.outcomes.failed();
        }
    }

    /// `free`: gives back all ranges of a holder, with `deaths` (0 or 1) more on each, but the first
    /// time only: a holder dies once. How many ranges that were.
    pub fn free(&mut self, life: Zxid, holder: &Holder, deaths: u32) -> u64 {
        if self.opened(life).is_err() {
            return 0;
        }
        let leases = self.leases.remove(holder).unwrap_or_default();
        let count = leases.len() as u64;
        let counts = deaths > 0 && count > 0 && self.dead.insert(holder.clone());
        self.freed.extend(leases.into_iter().map(|lease| Lease {
            attempts: lease.attempts.saturating_add(u32::from(counts)),
            ..lease
        }));
        count
    }
}
