//! What the store answers.

use distjob_core::store::{
    Claim, Commit, DropReply, Inspection, Open, Push, Read, Status, parse_freed, parse_staged, parse_tokens,
};
use distjob_core::watcher::{Loss, Progress, each_row};

/// Between two parts of a reply in the property's input.
const SEPARATOR: u8 = b'\n';

/// No reply makes a reader panic, and what a reader takes keeps its promises: one payload for each task of a lease, and
/// slices in which each index stands once.
pub fn replies(bytes: &[u8]) {
    let reply = || {
        bytes
            .split(|byte| *byte == SEPARATOR)
            .map(<[u8]>::to_vec)
            .collect::<Vec<_>>()
    };
    let _ = (Push::parse(reply()), Open::parse(reply()), Status::parse(reply()));
    let _ = (
        DropReply::parse(reply()),
        Inspection::parse(reply()),
        parse_freed(reply()),
        parse_staged(reply()),
        parse_tokens(reply()),
    );
    match Claim::parse(reply()) {
        Ok(Claim::Lease(grant)) => {
            assert_eq!(grant.tasks.len() as u64, grant.lease.range.len());
            assert!(grant.holders.is_sorted());
        }
        Ok(Claim::None { holders, .. }) => assert!(holders.is_sorted()),
        _ => {}
    }
    if let Ok(commit) = Commit::parse(reply()) {
        assert!(
            commit
                .leases
                .iter()
                .all(|lease| lease.range.lo() < lease.range.hi())
        );
    }
    for from in [0, 3, u64::MAX - 1] {
        slices(Read::parse(reply(), from), from);
    }
}

fn slices<E>(read: Result<Read, E>, from: u64) {
    let Ok(Read::Slice(slice)) = read else { return };
    let mut next = from;
    for chunk in &slice.chunks {
        assert_eq!(chunk.range.lo(), next, "a gap, or something twice");
        next = chunk.range.hi();
    }
    assert_eq!((slice.upto(), slice.tasks.len() as u64), (next, next - from));
    let mut index = from;
    let rows = each_row(&slice, |row| {
        assert_eq!(row.index, index);
        index += 1;
        Ok::<_, Loss>(())
    });
    assert!(
        rows.is_err() || index == next,
        "it ended at {index} without a word"
    );
    let mut progress = Progress::new(slice.upto());
    if from == 0 {
        assert_eq!(progress.advance(&slice), Ok(()));
        assert!(progress.is_complete());
    }
}
