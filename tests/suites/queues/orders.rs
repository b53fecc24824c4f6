//! Jobs that are cancelled, or whose deadline passes.

use std::time::{Duration, Instant, SystemTime};

use harness::eventually;

use crate::SOON;
use crate::crew::{Executor, calm_world, start_watcher};
use crate::site::{queue_metric, start, submit, submit_with};

#[tokio::test]
async fn a_cancelled_jobs_processes_are_gone_within_a_second() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let toml = "[executor]\nqueues = [\"long\"]\nslots = 2\n\n\
                [queues.long]\nhandler = \"command\"\n\n[queues.long.command]\nargv = [\"sleep\", \"{task}\"]\n";
    let e = Executor::start_as(&world, "e", world.executor(toml).unwrap()).await;
    // A length that no other process here sleeps for.
    let length = format!("6{:07}", std::process::id());
    let sleeping = || {
        let listed = std::process::Command::new("pgrep")
            .args(["-f", &format!("sleep {length}")])
            .output();
        String::from_utf8(listed.unwrap().stdout).unwrap().lines().count()
    };
    let (zk, mut fastest) = (world.zk().await.unwrap(), Duration::MAX);
    // A busy machine may pause for longer, but not each time.
    for _ in 0..3 {
        let id = submit(&world, "long", &[&*length, &*length, "0"]).await;
        eventually("both processes run", SOON, async || {
            anyhow::ensure!(sleeping() == 2, "{} do", sleeping());
            Ok(())
        })
        .await;
        let path = world.path(&format!("jobs/{id}"));
        let cancelled = Instant::now();
        zk.set_data(&path, b"cncl=3;queue=long", None).await.unwrap();
        eventually("its processes are gone", SOON, async || {
            anyhow::ensure!(sleeping() == 0, "{} still run", sleeping());
            Ok(())
        })
        .await;
        fastest = fastest.min(cancelled.elapsed());
    }
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");
    world.drained(SOON).await.unwrap();
    eventually("its slots are free", SOON, async || {
        let running = queue_metric(&e, "running", "long").await;
        anyhow::ensure!(running == 0, "{running} run");
        Ok(())
    })
    .await;
    let next = submit(&world, "long", &["0"]).await;
    world.drained(SOON).await.unwrap();
    assert_eq!(world.delivered("long", &next).unwrap().unwrap().len(), 1);
}

#[tokio::test]
async fn what_has_not_begun_when_the_deadline_passes_and_what_waits_are_errors_that_say_so() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let toml = "[executor]\nqueues = [\"q\"]\nslots = 1\n\n\
                [queues.q]\nattempts = 5\nretry_initial = \"1h\"\nretry_max = \"1h\"\n";
    let _e = start(&world, "e", toml).await;
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    // Long enough for the first tasks to begin, and for no more than 21 of the others.
    let deadline = (since_1970 + Duration::from_secs(8)).as_millis();
    let mut tasks = vec!["flaky 1 once".to_owned(), "value".to_owned()];
    tasks.extend(crate::site::naps("late", 100, Duration::from_millis(400)));
    let id = submit_with(&world, "q", &format!(";deadline={deadline}"), &tasks).await;
    world.drained(SOON).await.unwrap();
    let delivered = world.delivered("q", &id).unwrap().unwrap();
    assert_eq!(delivered.len(), tasks.len());
    let passed = Err("the job's deadline has passed".to_owned());
    assert_eq!(delivered[0].outcome, passed, "it waited for another attempt");
    assert_eq!(delivered[1].outcome, Ok(b"value".to_vec()));
    assert_eq!(delivered[101].outcome, passed);
    let late = delivered.iter().filter(|line| line.outcome == passed).count();
    assert!((70..=101).contains(&late), "{late} of 102 were too late");
}

#[tokio::test]
async fn what_is_written_off_at_its_deadline_costs_no_token() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let toml = "[executor]\nqueues = [\"slow\"]\nslots = 1\n\n[queues.slow]\nrate = \"1/s\"\n";
    let _e = start(&world, "e", toml).await;
    // Ten minutes' worth of tokens.
    let id = submit_with(&world, "slow", ";deadline=1", &vec!["value"; 600]).await;
    world.drained(SOON).await.unwrap();
    let delivered = world.delivered("slow", &id).unwrap().unwrap();
    let passed = Err("the job's deadline has passed".to_owned());
    assert_eq!(delivered.len(), 600);
    assert!(
        delivered.iter().all(|line| line.outcome == passed),
        "{delivered:?}"
    );
}
