//! What a watcher asks.

use super::{Model, Standing};
use crate::{
    Source, TaskRange, Zxid,
    store::{Chunk, Read, ReadRequest, STAGED_BYTES_MAX, Slice, Status},
};

impl Model {
    /// `staged`: payloads of a list that was not opened, from index `from` on, at most so many, and at least one when
    /// there is one.
    #[must_use]
    pub fn staged(&self, source: &Source, from: u64, most: u64) -> Vec<Vec<u8>> {
        let list = self.sources.get(source).map_or(&[][..], Vec::as_slice);
        let rest = list.iter().skip(from as usize).take(most as usize);
        let mut bytes = 0;
        let fitting = rest.enumerate().take_while(|(position, payload)| {
            bytes += payload.len() as u64;
            bytes <= STAGED_BYTES_MAX || *position == 0
        });
        fitting.map(|(_, payload)| payload.clone()).collect()
    }

    /// `read`: the next whole commits with their tasks.
    #[must_use]
    pub fn read(&self, request: ReadRequest) -> Read {
        let Ok(meta) = self.opened(request.life) else {
            return Read::Gone;
        };
        if self.tasks.len() as u64 != meta.count {
            return Read::Short;
        }
        let (mut next, mut bytes) = (request.from, 0);
        let mut chunks = Vec::new();
        while chunks.is_empty() || (next - request.from < request.tasks_max && bytes < request.bytes_max) {
            let Some(chunk) = self.chunk(next, meta.count) else {
                break;
            };
            next = chunk.range.hi();
            bytes += chunk.packed.len() as u64 + self.payload_bytes(chunk.range);
            chunks.push(chunk);
        }
        if chunks.is_empty() {
            return Read::Hole(request.from);
        }
        let tasks = self.tasks[request.from as usize..next as usize].iter().collect();
        Read::Slice(Slice { chunks, tasks })
    }

    fn chunk(&self, lo: u64, count: u64) -> Option<Chunk> {
        let (upto, packed) = self.results.get(&lo)?;
        let range = TaskRange::new(lo, *upto).filter(|range| range.hi() <= count)?;
        Some(Chunk {
            range,
            packed: packed.clone(),
        })
    }

    fn payload_bytes(&self, range: TaskRange) -> u64 {
        let payloads = &self.tasks[range.lo() as usize..range.hi() as usize];
        payloads.iter().map(|payload| payload.len() as u64).sum()
    }

    /// `status`: what a watcher decides by.
    #[must_use]
    pub fn status(&self, life: Zxid, count: u64, source: &Source) -> Status {
        let meta = match self.opened(life) {
            Ok(meta) => meta,
            Err(Standing::Stale) => return Status::Stale,
            Err(Standing::Gone) => return Status::Gone,
            Err(_) => return Status::None(self.source_length(source)),
        };
        let leased = self.leases.values().flatten();
        let pieces: u64 = leased.chain(&self.freed).map(|lease| lease.range.len()).sum();
        Status::Open {
            committed: meta.committed,
            failed: meta.failed,
            cursor: meta.cursor,
            whole: self.tasks.len() as u64 == meta.count
                && meta.count == count
                && meta.committed + pieces == meta.cursor,
        }
    }
}
