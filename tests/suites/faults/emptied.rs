//! A Redis that lost everything, or that belongs to somebody else.

use anyhow::ensure;
use harness::{Process, Program, World, eventually};
use redis::AsyncCommands as _;

use crate::load::{Job, SOON, all_right, executor, fleet, in_full_swing, submitted, watcher};

/// Returns when all of them say that they stand still, why, and what to do.
async fn standing_still(fleet: &[Process], why: &str) {
    eventually("all stand still", SOON, async || {
        for process in fleet {
            let answer = process.admin_get("/readyz").await?;
            let told = answer.body.contains(why) && answer.body.contains("distjobctl accept-store");
            ensure!(answer.status == 503 && told, "{}: {answer:?}", process.name());
        }
        Ok(())
    })
    .await;
    for process in fleet {
        let told = format!("standing still*{why}*distjobctl accept-store");
        process.wait_log(&told, SOON).await.unwrap();
    }
}

async fn accept_store(world: &World) {
    let accept = world.program("distjobctl", "").unwrap().arg("accept-store");
    world
        .start(accept, "distjobctl")
        .unwrap()
        .succeeded(SOON)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_emptied_redis_stops_everything_until_an_operator_accepts_the_loss() {
    let world = World::private().await.unwrap();
    let fleet = fleet(&world, 2, 2).await;
    let jobs = submitted(&world, 9, 400).await;
    in_full_swing(&world, &jobs).await;
    world.redis_server().unwrap().flush().await.unwrap();
    standing_still(&fleet, "no ledger mark").await;

    let standing = world.jobs().await.unwrap();
    let (delivered, gone): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| job.check(&world).is_ok());
    assert!(!gone.is_empty(), "all was done before the loss");
    for job in &gone {
        let data = standing
            .get(&job.id)
            .unwrap_or_else(|| panic!("{} was deleted", job.id));
        assert!(!data.starts_with("lost"), "{} {data}", job.id);
        assert_eq!(world.delivered("default", &job.id).unwrap(), None);
    }

    let meanwhile = Job::echo(&world, "meanwhile", 10);
    meanwhile.submit_plainly(&world).await;
    accept_store(&world).await;
    eventually("what is gone is lost, all else is delivered", SOON, async || {
        let standing = world.jobs().await?;
        ensure!(standing.len() == gone.len(), "{standing:?}");
        for job in &gone {
            let data = standing.get(&job.id).map_or("", String::as_str);
            ensure!(
                data.starts_with("lost=") && data.contains("why="),
                "{} {data}",
                job.id
            );
        }
        Ok(())
    })
    .await;
    for job in &gone {
        assert_eq!(world.delivered("default", &job.id).unwrap(), None);
    }
    delivered.iter().for_each(|job| job.check(&world).unwrap());
    meanwhile.check(&world).unwrap();

    let zk = world.zk().await.unwrap();
    for job in &gone {
        zk.delete(&world.path(&format!("jobs/{}", job.id)), None)
            .await
            .unwrap();
    }
    let later = Job::echo(&world, "later", 30);
    later.submit(&world).await;
    world.drained(SOON).await.unwrap();
    later.check(&world).unwrap();
    for process in &fleet {
        let lines = process.stderr().lines();
        let told = lines.iter().filter(|line| line.contains("standing still"));
        assert_eq!(told.count(), 1, "{} said why again and again", process.name());
    }
}

/// Daemons that are told to use a store that is not theirs never become members, and say why.
async fn refused(world: &World, daemons: [Program; 2], why: &str) {
    let daemons = daemons.map(|daemon| {
        let name = format!("refused-{}", harness::unique());
        world.start(daemon, &name).unwrap()
    });
    standing_still(&daemons, why).await;
    for daemon in &daemons {
        assert!(world.member_of(daemon).await.unwrap().is_none());
        daemon.stop(SOON).await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_belongs_to_another_ledger_is_refused() {
    let world = World::shared().await.unwrap();
    let mark = format!("{}ledger", world.prefix());
    let mut redis = world.redis().await.unwrap();
    redis.set::<_, _, ()>(&mark, "00000000000000aa").await.unwrap();
    refused(
        &world,
        [executor(&world, ""), watcher(&world, "")],
        "belongs to another ledger",
    )
    .await;
    assert_eq!(redis.get::<_, String>(&mark).await.unwrap(), "00000000000000aa");
}

#[tokio::test]
async fn the_store_of_another_root_is_refused() {
    let world = World::shared().await.unwrap();
    let _owners = fleet(&world, 1, 1).await;
    let jobs = submitted(&world, 2, 10).await;
    all_right(&world, &jobs).await;
    let elsewhere = format!("{}/elsewhere", world.root());
    let daemons = [executor(&world, ""), watcher(&world, "")];
    let daemons = daemons.map(|daemon| daemon.env("DISTJOB_ZOOKEEPER__ROOT", &elsewhere));
    refused(&world, daemons, "belongs to another ledger").await;
}

#[tokio::test]
async fn an_unmarked_store_is_refused_by_a_ledger_with_a_past() {
    let world = World::shared().await.unwrap();
    let job = Job::echo(&world, "past", 10);
    job.submit_plainly(&world).await;
    world.redis().await.unwrap().del::<_, ()>(&job.id).await.unwrap();
    refused(
        &world,
        [executor(&world, ""), watcher(&world, "")],
        "no ledger mark",
    )
    .await;
    assert_eq!(world.jobs().await.unwrap()[&job.id], "subm=10");
}
