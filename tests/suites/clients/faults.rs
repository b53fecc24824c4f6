//! What the clients promise when connections break and servers go.

use anyhow::ensure;
use harness::{Effect, Fault, Process, Program, Trigger, World, eventually};

use crate::SOON;
use crate::caller::{Client, calm, calm_world, crew, found, input, is_whole, start};

fn at_redis(program: Program, addr: impl std::fmt::Display) -> Program {
    program.env("REDIS_URL", format!("redis://{addr}/0"))
}

/// Let this many of the requests that hold a word pass.
fn after(word: &str, count: u32) -> Trigger {
    Trigger::containing(word).skip(count)
}

#[tokio::test]
async fn python_pushes_each_batch_once_whatever_becomes_of_its_replies() {
    let world = calm_world().await;
    let _crew = crew(&world).await;
    // Of batches 0 to 4 that are pushed, and of the one transaction that opens the job.
    for (effect, nth) in [
        (Effect::LoseReply, 0),
        (Effect::LoseReply, 3),
        (Effect::LoseRequest, 3),
        (Effect::LoseReply, 5),
        (Effect::LoseRequest, 5),
    ] {
        let proxy = world.redis_proxy().await.unwrap();
        let fault = proxy.arm(effect, after("EXEC", nth));
        let (id, input) = (world.job_id("python"), input(&world, 4_500));
        let program = at_redis(Client::Python.program(&world), proxy.addr());
        let client = start(&world, Client::Python.submit(program, &id, &input));
        assert_eq!(client.succeeded(SOON).await.unwrap(), [&*id]);
        assert_eq!(fault.fires(), 1, "{effect:?} {nth}");
        assert_eq!(Client::Python.waited(&world, &id).await, ["succeeded"]);
        is_whole(&world, &id, 4_500);
    }
    world.drained(SOON).await.unwrap();
}

#[tokio::test]
async fn a_request_that_comes_late_pushes_nothing_twice() {
    let world = calm_world().await;
    let _crew = crew(&world).await;
    let proxy = world.redis_proxy().await.unwrap();
    let fault = proxy.arm(Effect::HoldRequest, after("EXEC", 1));
    let (id, input) = (world.job_id("late"), input(&world, 3_000));
    let program = at_redis(Client::Python.program(&world), proxy.addr());
    let client = start(&world, Client::Python.submit(program, &id, &input));
    // It gives the answer up, and pushes the batch by another connection.
    assert_eq!(client.succeeded(SOON).await.unwrap(), [&*id]);
    fault.release();
    assert_eq!(Client::Python.waited(&world, &id).await, ["succeeded"]);
    is_whole(&world, &id, 3_000);
    world.drained(SOON).await.unwrap();
}

/// Submits, and lets the job be opened, run and delivered before the client hears what it asked for when `fault` fired.
async fn is_overtaken(world: &World, program: Program, id: &str, fault: &Fault) {
    let input = input(world, 400);
    let client = start(world, Client::Python.submit(program, id, &input));
    fault.fired(SOON).await.unwrap();
    let crew = crew(world).await;
    eventually("the job is done", SOON, async || {
        ensure!(world.delivered("primes", id)?.is_some() && world.jobs().await?.is_empty());
        Ok(())
    })
    .await;
    drop(crew);
    fault.release();
    assert_eq!(client.succeeded(SOON).await.unwrap(), [id]);
    is_whole(world, id, 400);
}

#[tokio::test]
async fn a_job_that_is_done_before_python_opens_it_was_submitted_all_the_same() {
    let world = calm_world().await;
    found(&world).await;
    let (zookeeper, redis) = (
        world.zookeeper_proxy().await.unwrap(),
        world.redis_proxy().await.unwrap(),
    );
    let (first, second) = (world.job_id("created"), world.job_id("looked"));
    let created = Trigger::creating(&world.path(&format!("jobs/{first}")));
    let created = zookeeper.arm(Effect::HoldReply, created);
    let program = Client::Python.program(&world);
    let program = program.env("ZOOKEEPER", zookeeper.addr().to_string());
    is_overtaken(&world, program, &first, &created).await;
    // It looks whether somebody opened the job, and hears that nobody did when somebody has.
    let looked = Trigger::when(|request| request.ends_with(b"$1\r\nJ\r\n"));
    let looked = redis.arm(Effect::HoldReply, looked);
    let program = at_redis(Client::Python.program(&world), redis.addr());
    is_overtaken(&world, program, &second, &looked).await;
}

#[tokio::test]
async fn the_shell_client_starts_anew_when_its_connection_breaks() {
    let world = calm_world().await;
    let _crew = crew(&world).await;
    for effect in [Effect::LoseReply, Effect::LoseRequest] {
        let proxy = world.redis_proxy().await.unwrap();
        let fault = proxy.arm(effect, after("RPUSH", 1_000));
        let (id, input) = (world.job_id("shell"), input(&world, 2_000));
        let program = at_redis(Client::Shell.program(&world), proxy.addr());
        let client = start(&world, Client::Shell.submit(program, &id, &input));
        assert_eq!(client.succeeded(SOON).await.unwrap(), [&*id]);
        assert_eq!(fault.fires(), 1);
        assert_eq!(Client::Shell.waited(&world, &id).await, ["succeeded"]);
        is_whole(&world, &id, 2_000);
    }
}

#[tokio::test]
async fn what_the_shell_client_pushed_in_vain_has_a_time_to_live() {
    let world = calm_world().await;
    let _crew = crew(&world).await;
    let proxy = world.redis_proxy().await.unwrap();
    let fault = proxy.lose_request("EXPIRE");
    let (id, input) = (world.job_id("shell"), input(&world, 10));
    let program = at_redis(Client::Shell.program(&world), proxy.addr());
    let client = start(&world, Client::Shell.submit(program, &id, &input));
    assert_eq!(client.succeeded(SOON).await.unwrap(), [&*id]);
    assert_eq!(fault.fires(), 1);
    let mut redis = world.redis().await.unwrap();
    let staged = format!("{}{{{id}}}:in:*", world.prefix());
    let left: Vec<String> = redis::AsyncCommands::keys(&mut redis, staged).await.unwrap();
    for key in left {
        // -2: it has been opened meanwhile, or has expired.
        let ttl: i64 = redis::AsyncCommands::ttl(&mut redis, &key).await.unwrap();
        assert!(ttl != -1, "{key}");
    }
}

#[tokio::test]
async fn an_unclear_create_makes_one_job() {
    let world = calm_world().await;
    found(&world).await;
    for client in [Client::Python, Client::Shell] {
        for effect in [Effect::LoseReply, Effect::LoseRequest] {
            let proxy = world.zookeeper_proxy().await.unwrap();
            let (id, input) = (world.job_id("unclear"), input(&world, 20));
            let fault = proxy.arm(effect, Trigger::creating(&world.path(&format!("jobs/{id}"))));
            let program = client.program(&world).env("ZOOKEEPER", proxy.addr().to_string());
            let submit = start(&world, client.submit(program, &id, &input));
            assert_eq!(submit.succeeded(SOON).await.unwrap(), [&*id]);
            assert_eq!(fault.fires(), 1, "{client:?} {effect:?}");
        }
    }
    assert_eq!(world.jobs().await.unwrap().len(), 4);
    let _crew = crew(&world).await;
    world.drained(SOON).await.unwrap();
}

/// The client is connected, and has asked to be told of changes.
async fn watches(world: &World, id: &str) {
    let path = world.path(&format!("jobs/{id}"));
    eventually("the client watches the job", SOON, async || {
        let watched = world.zookeeper()?.four_letters("wchp").await?;
        ensure!(watched.lines().any(|line| line == path), "{watched}");
        Ok(())
    })
    .await;
}

async fn ends_well(world: &World, waiting: &[Process], id: &str, count: u64) {
    let _crew = crew(world).await;
    for client in waiting {
        assert_eq!(client.succeeded(SOON).await.unwrap(), ["succeeded"]);
    }
    is_whole(world, id, count);
}

#[tokio::test]
async fn a_client_waits_on_while_the_servers_restart() {
    let world = calm(World::private().await.unwrap());
    found(&world).await;
    let (id, input) = (world.job_id("patient"), input(&world, 500));
    Client::Python.submitted(&world, &id, &input).await;
    let waiting = [Client::Python, Client::Shell].map(|client| client.start_to_wait(&world, &id));
    watches(&world, &id).await;
    world.zookeeper().unwrap().restart().await.unwrap();
    world.redis_server().unwrap().restart().await.unwrap();
    // It has connected again and asks again.
    watches(&world, &id).await;
    ends_well(&world, &waiting, &id, 500).await;
}

#[tokio::test]
async fn a_client_whose_session_ends_waits_on_with_another() {
    let world = calm(World::private().await.unwrap());
    found(&world).await;
    let (id, input) = (world.job_id("expired"), input(&world, 500));
    Client::Python.submitted(&world, &id, &input).await;
    let waiting = [Client::Python.start_to_wait(&world, &id)];
    watches(&world, &id).await;
    assert!(world.zookeeper().unwrap().expire_all_sessions().await.unwrap() > 0);
    ends_well(&world, &waiting, &id, 500).await;
}

#[tokio::test]
async fn a_client_submits_once_a_store_is_back() {
    let world = calm(World::private().await.unwrap());
    found(&world).await;
    for client in [Client::Python, Client::Shell] {
        let (id, input) = (world.job_id("away"), input(&world, 300));
        world.redis_server().unwrap().stop().await.unwrap();
        let submit = client.start_to_submit(&world, &id, &input);
        // Whether it has asked already or not: it cannot end before the store is back.
        world.redis_server().unwrap().start().await.unwrap();
        assert_eq!(submit.succeeded(SOON).await.unwrap(), [&*id]);
    }
    let _crew = crew(&world).await;
    world.drained(SOON).await.unwrap();
}
