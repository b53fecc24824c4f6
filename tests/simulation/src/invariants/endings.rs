//! A job is said to have come to what its lines say, wherever that is said: in the manifest of each delivery, in the
//! ledger, and by the list of failed tasks, as far as that is whole.

use distjob_core::{Conclusion, JobData, JobState, Token, Zxid, conclusion::Policy, submission::Kept};

use super::{Evidence, Life};
use crate::shelf::Delivery;

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut violations = Vec::new();
    for delivery in &evidence.deliveries {
        if let Err(why) = check_manifest(delivery) {
            violations.push(format!(
                "the manifest of {} delivered by {} at {} ms {why}",
                delivery.id, delivery.by, delivery.at_ms
            ));
        }
    }
    for life in evidence.lives() {
        let uploaded = life.states.iter().flatten();
        for data in uploaded.filter(|data| data.state == JobState::Uploaded) {
            if let Err(why) = check_uploaded(evidence, &life, data) {
                violations.push(format!("job {} in its life {:x} {why}", life.id, life.born));
            }
        }
    }
    violations
}

fn failed(delivery: &Delivery) -> impl Iterator<Item = &[u8]> {
    let lines = delivery.lines.iter().filter(|line| line.outcome.is_err());
    lines.map(|line| line.task.as_slice())
}

fn concluded(count: u64, failed: u64) -> Conclusion {
    Policy::default().conclude(count, failed)
}

fn check_manifest(delivery: &Delivery) -> Result<(), String> {
    let manifest = &delivery.manifest;
    let (count, failed) = (delivery.lines.len() as u64, failed(delivery).count() as u64);
    if (&manifest.id, &manifest.queue) != (&delivery.id, &delivery.queue) {
        return Err("is that of another job".to_owned());
    }
    if (manifest.tasks, manifest.ok, manifest.failed) != (count, count - failed, failed) {
        return Err(format!(
            "counts {manifest:?} of {count} lines, {failed} of them errors"
        ));
    }
    match manifest.conclusion == concluded(count, failed) {
        true => Ok(()),
        false => Err(format!(
            "concludes {} from {failed} of {count}",
            manifest.conclusion
        )),
    }
}

/// Whether what the ledger says of a job that is uploaded is what was delivered of it at last.
fn check_uploaded(evidence: &Evidence, life: &Life, data: &JobData) -> Result<(), String> {
    let born = format!("{:016x}", life.born);
    let of_it = evidence
        .deliveries
        .iter()
        .rfind(|delivery| delivery.id == life.id && delivery.manifest.life == born);
    let Some(delivery) = of_it else {
        // That it has no file is said elsewhere.
        return Ok(());
    };
    let count = failed(delivery).count() as u64;
    if (data.failed, data.conclusion) != (Some(count), Some(concluded(data.count, count))) {
        return Err(format!(
            "has {count} errors in its file, and in the ledger it is {data}"
        ));
    }
    let listed = |token: Token| evidence.failed_lists.get(&(life.id.clone(), token));
    let Some(items) = listed(Token::of_failed(Zxid::from(life.born))) else {
        return Ok(());
    };
    let Some(kept) = Kept::parse(items)
        .filter(|kept| (&kept.queue, Some(&kept.list)) == (&data.queue, data.kept.as_ref()))
    else {
        return Err("has kept its failed tasks elsewhere than it says".to_owned());
    };
    let list = listed(kept.list).map_or(&[][..], Vec::as_slice);
    // One of another length says by itself that it is of no use.
    if list.len() as u64 != count {
        return Ok(());
    }
    match list.iter().map(Vec::as_slice).eq(failed(delivery)) {
        true => Ok(()),
        false => Err("has kept other tasks for a retry than failed".to_owned()),
    }
}
