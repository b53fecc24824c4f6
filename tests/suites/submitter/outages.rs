//! Stores that go away, come back, lose replies, or are the wrong ones.

use distjob_runtime::store::scripts;
use harness::{Effect, Trigger, World};
use redis::AsyncCommands as _;

use crate::{SOON, file, keys, once, start, stopped, task_texts};

fn script(name: &str) -> &'static str {
    let (_, script) = scripts().find(|(known, _)| *known == name).unwrap();
    script.get_hash()
}

#[tokio::test]
async fn a_store_that_stays_away_ends_it_with_status_69_and_a_sentence() {
    let world = World::shared().await.unwrap();
    let nowhere = harness::Port::reserve().unwrap();
    for (store, program) in [
        ("zookeeper", once(&world, "", &[]).zookeeper_at(nowhere.addr())),
        ("redis", once(&world, "", &[]).redis_at(nowhere.addr())),
    ] {
        let process = start(&world, program.args(["--timeout", "3s"]));
        assert_eq!(process.wait(SOON).await.unwrap().code(), Some(69), "{store}");
        let said = process.stderr().tail(5);
        assert!(said.contains(&format!("{store} stayed unreachable")), "{said}");
        assert!(said.contains(&nowhere.addr().to_string()), "{said}");
    }
    assert!(world.jobs().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_store_that_comes_back_in_time_is_waited_for_and_spoken_of_once() {
    let world = World::shared().await.unwrap();
    let proxy = world.redis_proxy().await.unwrap();
    proxy.refuse().await;
    let program = once(&world, "", &["--id", "patient", "--timeout", "1h"])
        .arg(file(&world, "1\n2\n"))
        .redis_at(proxy.addr());
    let process = start(&world, program);
    process.wait_log("does not answer", SOON).await.unwrap();
    proxy.accept().await.unwrap();
    assert_eq!(process.succeeded(SOON).await.unwrap(), ["patient"]);
    let said = process.stderr().lines();
    let times = |text: &str| said.iter().filter(|line| line.contains(text)).count();
    assert_eq!(
        (times("does not answer"), times("answers again")),
        (1, 1),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_lost_reply_of_redis_doubles_nothing_and_loses_nothing() {
    for name in ["push", "inspect", "open"] {
        let world = World::shared().await.unwrap();
        let proxy = world.redis_proxy().await.unwrap();
        let fault = proxy.lose_reply(script(name));
        let program = once(&world, "push_max_tasks = 2", &["--id", "job"])
            .arg(file(&world, "1\n2\n3\n"))
            .redis_at(proxy.addr());
        let process = start(&world, program);
        assert_eq!(process.succeeded(SOON).await.unwrap(), ["job"], "{name}");
        assert_eq!(fault.fires(), 1, "{name}");
        assert_eq!(task_texts(&world, "job").await, ["1", "2", "3"], "{name}");
        assert_eq!(keys(&world).await, ["{job}:meta", "{job}:tasks"], "{name}");
    }
}

#[tokio::test]
async fn a_lost_request_or_reply_of_the_create_makes_one_job() {
    for effect in [Effect::LoseReply, Effect::LoseRequest] {
        let world = World::shared().await.unwrap();
        let proxy = world.zookeeper_proxy().await.unwrap();
        let fault = proxy.arm(effect, Trigger::creating(&world.path("jobs/job")));
        let program = once(&world, "", &["--id", "job"])
            .arg(file(&world, "1\n2\n3\n"))
            .zookeeper_at(proxy.addr());
        let process = start(&world, program);
        assert_eq!(process.succeeded(SOON).await.unwrap(), ["job"], "{effect:?}");
        assert_eq!(fault.fires(), 1, "{effect:?}");
        assert_eq!(world.jobs().await.unwrap().len(), 1, "{effect:?}");
        assert_eq!(task_texts(&world, "job").await, ["1", "2", "3"], "{effect:?}");
    }
}

#[tokio::test]
async fn a_job_that_cannot_be_opened_for_want_of_redis_is_taken_back() {
    let world = World::shared().await.unwrap();
    let proxy = world.redis_proxy().await.unwrap();
    let program = once(&world, "", &["--id", "job", "--timeout", "1s"])
        .arg(file(&world, "1\n2\n3\n"))
        .redis_at(proxy.addr());
    // Redis is away from the moment in which the job is about to be opened.
    let fault = proxy.arm(
        Effect::LoseRequest,
        Trigger::containing(script("open")).times(u32::MAX),
    );
    let process = start(&world, program);
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(69));
    assert!(fault.fires() > 0);
    assert_eq!(process.stdout().lines(), [""; 0]);
    assert!(
        process
            .stderr()
            .contains("it was cancelled: failed to open job job")
    );
    assert!(world.jobs().await.unwrap()["job"].starts_with("cncl=3"));
}

#[tokio::test]
async fn a_create_that_never_gets_a_clear_answer_is_said_to_be_unclear() {
    let world = World::shared().await.unwrap();
    let proxy = world.zookeeper_proxy().await.unwrap();
    let fault = proxy.arm(Effect::LoseReply, Trigger::creating(&world.path("jobs/job")));
    let program = once(&world, "", &["--id", "job", "--timeout", "2s"])
        .arg(file(&world, "1\n"))
        .zookeeper_at(proxy.addr())
        .env("DISTJOB_TEST_POINTS", "pushed=stop");
    let process = start(&world, program);
    stopped(&process).await;
    process.resume().unwrap();
    fault.fired(SOON).await.unwrap();
    proxy.refuse().await;
    proxy.cut();
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(69));
    assert!(process.stderr().contains("may have come to be nevertheless"));
    assert!(process.stderr().contains("--id job"));
}

#[tokio::test]
async fn a_redis_that_belongs_to_another_ledger_gets_no_tasks() {
    let world = World::shared().await.unwrap();
    let mut redis = world.redis().await.unwrap();
    let mark = format!("{}ledger", world.prefix());
    redis.set::<_, _, ()>(&mark, "0000000000000bad").await.unwrap();
    let foreign = start(&world, once(&world, "", &[]).arg(file(&world, "1\n")));
    assert_eq!(foreign.wait(SOON).await.unwrap().code(), Some(1));
    assert!(foreign.stderr().contains("redis belongs to another ledger"));

    // Emptied, after a job was created in this ledger.
    redis.del::<_, ()>(&mark).await.unwrap();
    world.create_job("earlier", "subm=1").await.unwrap();
    let emptied = start(&world, once(&world, "", &[]).arg(file(&world, "1\n")));
    assert_eq!(emptied.wait(SOON).await.unwrap().code(), Some(1));
    assert!(emptied.stderr().contains("distjobctl accept-store"));
    assert_eq!(keys(&world).await, [""; 0]);
    assert_eq!(world.jobs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_job_that_was_created_behind_its_back_is_taken_back_when_its_tasks_are_gone() {
    let world = World::private().await.unwrap();
    let proxy = world.zookeeper_proxy().await.unwrap();
    let fault = proxy.arm(Effect::HoldReply, Trigger::creating(&world.path("jobs/job")));
    let program = once(&world, "", &["--id", "job"])
        .arg(file(&world, "1\n2\n"))
        .zookeeper_at(proxy.addr());
    let process = start(&world, program);
    fault.fired(SOON).await.unwrap();
    // Created, and the submitter will never be told: its session ends, and so do its tasks.
    world.redis_server().unwrap().flush().await.unwrap();
    let mut redis = world.redis().await.unwrap();
    let zk = world.zk().await.unwrap();
    let czxid = zk.check_stat(&world.path("jobs")).await.unwrap().unwrap().czxid;
    redis
        .set::<_, _, ()>(format!("{}ledger", world.prefix()), format!("{czxid:016x}"))
        .await
        .unwrap();
    world.zookeeper().unwrap().expire_all_sessions().await.unwrap();
    proxy.cut();
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1));
    assert_eq!(process.stdout().lines(), [""; 0]);
    assert!(process.stderr().contains("it was cancelled"));
    assert!(world.jobs().await.unwrap()["job"].starts_with("cncl=2"));
}
