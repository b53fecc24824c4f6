//! Lines a second from a pipe to a job that exists: the submitter alone.

use anyhow::{Result, ensure};
use harness::AppendOnly;

use crate::{
    bench::Bench,
    floors::pipe::{feed, redis_cli, write_pushes},
    rate::{each_us, per_second},
    report::{Report, Row},
    stage::Stage,
};

/// How many lines a command of the floor pushes: one, as anybody writes it down, and about as many as the submitter does.
const IN_EACH: [(usize, &str); 2] = [
    (1, "redis-cli --pipe, a line a command"),
    (15_000, "redis-cli --pipe, lines by 15,000"),
];
/// The list that the floor pushes to.
const LIST: &str = "floor";

/// Submits lines with nobody there to run them, and pushes the same with `redis-cli --pipe`.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let stage = bench.stage(AppendOnly::No).await?;
    let count = bench.tasks(2_000_000, 20_000);
    let values: Vec<String> = (0..count).map(|value| value.to_string()).collect();
    let lines = stage.tasks("lines", values.iter().cloned())?;
    let files = IN_EACH.map(|(in_each, _)| (in_each, stage.world().dir().join(format!("pushes-{in_each}"))));
    for (in_each, file) in &files {
        write_pushes(file, LIST, &values, *in_each)?;
    }
    let mut rates = [Vec::new(), Vec::new()];
    let mut cpu = [Vec::new(), Vec::new()];
    for _ in 0..bench.rounds() {
        let before = stage.redis_cpu().await?;
        let submitter = stage.submitter(&["--queue", "primes", "-"]);
        let (took, ids) = feed(stage.world(), submitter, "submitter", &lines).await?;
        ensure!(ids.len() == 1, "{} jobs instead of one", ids.len());
        let (ours, our_cpu) = (took, stage.redis_cpu().await? - before);
        for (((_, file), rates), cpu) in files.iter().zip(&mut rates).zip(&mut cpu) {
            let before = stage.redis_cpu().await?;
            let (theirs, _) = feed(stage.world(), redis_cli(stage.world())?, "redis-cli", file).await?;
            let their_cpu = stage.redis_cpu().await? - before;
            ensure_pushed(&stage, count).await?;
            rates.push((per_second(count, ours), per_second(count, theirs)));
            cpu.push((each_us(count, our_cpu), each_us(count, their_cpu)));
        }
    }
    let of = format!("{count} lines from a pipe");
    let [one_by_one, batched] = IN_EACH.map(|(_, name)| name);
    report.row(Row::pairs(format!("submitted, {of}"), "lines/s", one_by_one, &rates[0]).at_least(0.5));
    report.row(Row::pairs("the same", "lines/s", batched, &rates[1]));
    report.note(
        "The floor's commands are in Redis' own protocol before its time begins: redis-cli copies bytes, where the submitter \
         reads lines, checks them, and is answered that they are safe.",
    );
    for (name, cpu) in [one_by_one, batched].into_iter().zip(&cpu) {
        report.row(Row::pairs("processor time of Redis for a line", "µs", name, cpu));
    }
    Ok(())
}

/// Everything is in the floor's list, which is then removed.
async fn ensure_pushed(stage: &Stage, count: usize) -> Result<()> {
    let mut redis = stage.world().redis().await?;
    let (pushed, _): (usize, u64) = redis::pipe().llen(LIST).del(LIST).query_async(&mut redis).await?;
    ensure!(pushed == count, "{pushed} of {count} lines were pushed");
    Ok(())
}
