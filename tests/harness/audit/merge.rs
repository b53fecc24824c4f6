//! One history out of what several servers logged.

use std::collections::BTreeMap;

use super::transactions::{Change, Log, Transaction};

/// The transactions of an ensemble, from those that each of its servers logged, in order.
///
/// No server need have logged all: one that was away for long is sent a snapshot. What a majority logged took effect. What
/// fewer logged may never have, for a leader can be cut off with proposals that nobody else has, or die with them; such a
/// transaction is left out when another server went on without it, or when what happened to the same znode or session
/// next could not have come after it.
#[must_use]
pub fn merge(servers: &[Log]) -> Vec<Transaction> {
    let mut all = BTreeMap::<i64, (usize, &Transaction)>::new();
    for transaction in servers.iter().flat_map(|log| log.iter()) {
        all.entry(transaction.zxid).or_insert((0, transaction)).0 += 1;
    }
    let is_sure = |count: usize| count * 2 > servers.len();
    let sure: Vec<&Transaction> = all
        .values()
        .filter(|(count, _)| is_sure(*count))
        .map(|(_, transaction)| *transaction)
        .collect();
    let may_be = |transaction: &Transaction| {
        !servers.iter().any(|log| log.denies(transaction.zxid)) && may_precede(transaction, &sure)
    };
    all.values()
        .filter(|(count, transaction)| is_sure(*count) || may_be(transaction))
        .map(|(_, transaction)| (*transaction).clone())
        .collect()
}

/// Whether `doubtful` can have taken effect, given what surely did.
fn may_precede(doubtful: &Transaction, sure: &[&Transaction]) -> bool {
    let later = &sure[sure.partition_point(|transaction| transaction.zxid < doubtful.zxid)..];
    doubtful.changes.iter().all(|change| match change {
        Change::CloseSession => later
            .iter()
            .all(|transaction| transaction.session != doubtful.session),
        Change::Create { path, .. } => match next_change(later, path) {
            Some(Change::Create { .. }) => false,
            Some(Change::Set { version, .. }) => *version == 1,
            _ => true,
        },
        Change::Set { path, version, .. } => match next_change(later, path) {
            Some(Change::Create { .. }) => false,
            Some(Change::Set { version: next, .. }) => *next == version + 1,
            _ => true,
        },
        Change::Delete { path } => {
            matches!(next_change(later, path), None | Some(Change::Create { .. }))
        }
    })
}

/// The first of the changes that names this znode.
fn next_change<'a>(later: &[&'a Transaction], path: &str) -> Option<&'a Change> {
    later
        .iter()
        .flat_map(|transaction| &transaction.changes)
        .find(|change| change.path() == Some(path))
}

impl Log {
    /// Whether the server went on beyond `zxid` without it. One that had been away for long may have been sent a snapshot
    /// that has it.
    fn denies(&self, zxid: i64) -> bool {
        let next = self.partition_point(|transaction| transaction.zxid < zxid);
        self.get(next).is_some_and(|next| {
            let is_covered = |last: &i64| (zxid..next.zxid).contains(last);
            next.zxid != zxid && !self.snapshots.iter().any(is_covered)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(zxid: i64, changes: impl IntoIterator<Item = Change>) -> Transaction {
        Transaction {
            session: 1,
            zxid,
            changes: changes.into_iter().collect(),
        }
    }

    fn set(zxid: i64, version: i32) -> Transaction {
        let change = Change::Set {
            path: "/a".to_owned(),
            data: Vec::new(),
            version,
        };
        transaction(zxid, [change])
    }

    fn zxids(merged: &[Transaction]) -> Vec<i64> {
        merged.iter().map(|transaction| transaction.zxid).collect()
    }

    fn logs(servers: [&[Transaction]; 3]) -> [Log; 3] {
        servers.map(|transactions| Log::new(transactions.to_vec(), vec![0]))
    }

    #[test]
    fn what_a_server_missed_is_taken_from_the_others() {
        let whole = [set(1, 1), set(2, 2), set(3, 3)];
        let late = [set(1, 1), set(3, 3)];
        assert_eq!(merge(&logs([&late, &whole, &whole])), whole);
        // Even what only one has, when the others were sent it in a snapshot.
        let mut logs = logs([&late, &whole, &late]);
        logs[0].snapshots.push(2);
        logs[2].snapshots.push(2);
        assert_eq!(merge(&logs), whole);
    }

    #[test]
    fn what_the_others_went_on_without_is_left_out() {
        let create = Change::Create {
            path: "/b".to_owned(),
            data: Vec::new(),
        };
        let cut_off = [set(1, 1), transaction(2, [create]), set(0x1_0000_0002, 3)];
        let others = [set(1, 1), set(0x1_0000_0001, 2), set(0x1_0000_0002, 3)];
        let mut logs = logs([&cut_off, &others, &others]);
        // It came back by a snapshot.
        logs[0].snapshots.push(0x1_0000_0001);
        assert_eq!(merge(&logs), others);
    }

    #[test]
    fn what_a_server_logged_twice_counts_once() {
        let twice = [set(1, 1), set(2, 2), set(2, 2)];
        let others = [set(1, 1), set(3, 2)];
        assert_eq!(merge(&logs([&twice, &others, &others])), others);
    }

    #[test]
    fn a_proposal_that_died_with_its_leader_is_left_out() {
        let orphan = [set(1, 1), set(2, 2)];
        // The next leader had been sent a snapshot of another line.
        let others = [set(1, 1), set(0x1_0000_0001, 2)];
        let mut logs = logs([&orphan, &others, &others]);
        logs[1].snapshots.push(0x1_0000_0000);
        logs[2].snapshots.push(0x1_0000_0000);
        assert_eq!(zxids(&merge(&logs)), [1, 0x1_0000_0001]);
    }

    #[test]
    fn an_end_of_a_session_that_went_on_is_left_out() {
        let orphan = [set(1, 1), transaction(2, [Change::CloseSession])];
        let others = [set(1, 1), set(0x1_0000_0001, 2)];
        let mut logs = logs([&orphan, &others, &others]);
        logs[1].snapshots.push(0x1_0000_0000);
        logs[2].snapshots.push(0x1_0000_0000);
        assert_eq!(zxids(&merge(&logs)), [1, 0x1_0000_0001]);
    }

    #[test]
    fn one_server_tells_all_there_is() {
        let alone = Log::new(vec![set(1, 1), set(2, 2)], Vec::new());
        assert_eq!(merge(std::slice::from_ref(&alone)), *alone);
    }
}
