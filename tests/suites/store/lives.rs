//! What the scripts promise from the push to the tombstone, one sentence a test.

use distjob_core::store::{
    Claim, DropReply, MetaState, Open, Push, PushRequest, STAGED_BYTES_MAX, Standing, Status,
};
use distjob_core::{Conclusion, JobData, JobState, Source, Token, Zxid};
use distjob_runtime::store::Freeing;
use redis::AsyncCommands as _;

use crate::fixture::{Fixture, LIFE, holder, tasks, token};

#[tokio::test]
async fn a_repeated_push_appends_nothing_and_a_missing_one_is_a_gap() {
    let fixture = Fixture::shared().await;
    let tasks = tasks(6);
    assert_eq!(fixture.push(0, &tasks[..4]).await, Push::Ok(4));
    assert_eq!(fixture.push(0, &tasks[..4]).await, Push::Ok(4));
    assert_eq!(fixture.push(0, &tasks[..2]).await, Push::Ok(4));
    assert_eq!(fixture.push(5, &tasks[..1]).await, Push::Gap(4));
    assert_eq!(fixture.push(3, &tasks[..2]).await, Push::Gap(4));
    assert_eq!(fixture.push(4, &tasks[4..]).await, Push::Ok(6));
    let list: Vec<Vec<u8>> = fixture.raw.clone().lrange(fixture.list(), 0, -1).await.unwrap();
    assert_eq!(list, tasks);
}

#[tokio::test]
async fn a_push_of_more_tasks_than_lua_can_unpack_keeps_their_order() {
    let fixture = Fixture::shared().await;
    let tasks = tasks(20_001);
    assert_eq!(fixture.push(0, &tasks).await, Push::Ok(20_001));
    let list: Vec<Vec<u8>> = fixture.raw.clone().lrange(fixture.list(), 0, -1).await.unwrap();
    assert_eq!(list, tasks);
}

#[tokio::test]
async fn every_push_keeps_its_list_alive_but_none_brings_an_expired_one_back() {
    let fixture = Fixture::shared().await;
    let mut raw = fixture.raw.clone();
    fixture.push(0, &tasks(3)).await;
    let _: () = raw.expire(fixture.list(), 5).await.unwrap();
    assert_eq!(fixture.push(3, &[]).await, Push::Ok(3));
    let ttl: i64 = raw.ttl(fixture.list()).await.unwrap();
    assert!((50..=60).contains(&ttl), "{ttl}");

    let _: () = raw.del(fixture.list()).await.unwrap();
    assert_eq!(fixture.push(3, &[]).await, Push::Gap(0));
    let exists: bool = raw.exists(fixture.list()).await.unwrap();
    assert!(!exists);
}

#[tokio::test]
async fn a_late_push_after_the_job_was_opened_or_dropped_makes_no_new_list() {
    let fixture = Fixture::shared().await;
    fixture.open(&tasks(2)).await;
    assert_eq!(fixture.push(0, &tasks(2)).await, Push::Opened);
    let dropped = fixture
        .store
        .drop_job(&fixture.id, LIFE, &fixture.source, 60, None);
    assert_eq!(dropped.await.unwrap(), DropReply::Dropped);
    assert_eq!(fixture.push(0, &tasks(2)).await, Push::Opened);
    let exists: bool = fixture.raw.clone().exists(fixture.list()).await.unwrap();
    assert!(!exists);
}

#[tokio::test]
async fn two_submitters_of_one_id_never_mix_and_one_of_them_wins() {
    let fixture = Fixture::shared().await;
    let other = Token::new("t2").unwrap();
    fixture.push(0, &tasks(2)).await;
    let request = PushRequest {
        source: &other,
        offset: 0,
        ttl_s: 60,
        tasks: &tasks(3),
    };
    assert_eq!(
        fixture.store.push(&fixture.id, &request).await.unwrap(),
        Push::Ok(3)
    );
    let open = |source: Source, n| {
        let fixture = &fixture;
        async move { fixture.store.open(&fixture.id, LIFE, n, &source).await.unwrap() }
    };
    assert_eq!(open(fixture.source.clone(), 3).await, Open::Missing(2));
    assert_eq!(open(fixture.source.clone(), 2).await, Open::Open);
    assert_eq!(open(token("t2"), 3).await, Open::Open);
    let inspection = fixture.store.inspect(&fixture.id, &token("t2")).await.unwrap();
    assert_eq!((inspection.tasks, inspection.source), (2, 3));
    assert_eq!(inspection.meta.unwrap().source, fixture.source);
}

#[tokio::test]
async fn an_opened_job_never_expires_whatever_its_list_and_an_older_tombstone_had_left_to_live() {
    let fixture = Fixture::shared().await;
    let mut raw = fixture.raw.clone();
    let older = Zxid::new(LIFE.number() - 1);
    let drop = fixture
        .store
        .drop_job(&fixture.id, older, &token("old"), 60, None)
        .await;
    assert_eq!(drop.unwrap(), DropReply::Dropped);
    fixture.open(&tasks(2)).await;
    for key in [fixture.keys().meta, fixture.keys().tasks] {
        let ttl: i64 = raw.ttl(&key).await.unwrap();
        assert_eq!(ttl, -1, "{key}");
    }
}

#[tokio::test]
async fn a_plain_list_becomes_a_job_and_a_newer_one_survives_the_drop() {
    let fixture = Fixture::shared().await;
    let mut raw = fixture.raw.clone();
    let (id, plain) = (&fixture.id, Source::Plain);
    let _: () = raw.rpush(id.as_str(), tasks(3)).await.unwrap();
    assert_eq!(
        fixture.store.open(id, LIFE, 2, &plain).await.unwrap(),
        Open::Missing(3)
    );
    assert_eq!(fixture.store.open(id, LIFE, 3, &plain).await.unwrap(), Open::Open);
    let _: () = raw.rpush(id.as_str(), tasks(1)).await.unwrap();
    for _ in 0..2 {
        let dropped = fixture.store.drop_job(id, LIFE, &plain, 60, None).await.unwrap();
        assert_eq!(dropped, DropReply::Dropped);
        let length: u64 = raw.llen(id.as_str()).await.unwrap();
        assert_eq!(length, 1);
    }
    let _: () = raw.del(id.as_str()).await.unwrap();
}

#[tokio::test]
async fn dropping_a_job_that_was_never_opened_takes_its_list_but_no_key_of_another_kind() {
    let mut fixture = Fixture::shared().await;
    fixture.push(0, &tasks(2)).await;
    let drop = fixture
        .store
        .drop_job(&fixture.id, LIFE, &fixture.source, 60, None);
    assert_eq!(drop.await.unwrap(), DropReply::Dropped);
    let exists: bool = fixture.raw.exists(fixture.list()).await.unwrap();
    assert!(!exists);

    let newer = Zxid::new(LIFE.number() + 1);
    let _: () = fixture.raw.set(fixture.id.as_str(), "somebody's").await.unwrap();
    let open = fixture.store.open(&fixture.id, newer, 1, &Source::Plain).await;
    assert_eq!(open.unwrap(), Open::Missing(0));
    let drop = fixture
        .store
        .drop_job(&fixture.id, newer, &Source::Plain, 60, None)
        .await;
    assert_eq!(drop.unwrap(), DropReply::Dropped);
    let value: String = fixture.raw.get_del(fixture.id.as_str()).await.unwrap();
    assert_eq!(value, "somebody's");
}

#[tokio::test]
async fn after_the_drop_nothing_is_left_but_a_tombstone_with_a_time_to_live_that_stops_late_calls() {
    let fixture = Fixture::shared().await;
    let a = holder("a");
    fixture.open(&tasks(4)).await;
    fixture.lease(&a, 2, &[]).await;
    let drop = fixture
        .store
        .drop_job(&fixture.id, LIFE, &fixture.source, 60, None);
    drop.await.unwrap();
    let pattern = format!("*{{{}}}*", fixture.id);
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(pattern)
        .query_async(&mut fixture.raw.clone())
        .await
        .unwrap();
    assert_eq!(keys, [fixture.keys().meta]);

    let inspection = fixture.store.inspect(&fixture.id, &fixture.source).await.unwrap();
    assert!(inspection.meta_ttl_s.is_some_and(|ttl| (50..=60).contains(&ttl)));
    assert_eq!(fixture.claim(&a, 1, &[]).await, Claim::Gone);
    assert_eq!(fixture.commit(&a, 0, 1).await.standing, Standing::Gone);
    let open = fixture.store.open(&fixture.id, LIFE, 4, &fixture.source).await;
    assert_eq!(open.unwrap(), Open::Gone);
    let free = fixture.store.free(&fixture.id, LIFE, &a, Freeing::Dead).await;
    assert_eq!(free.unwrap(), 0);
}

#[tokio::test]
async fn the_status_of_a_job_that_is_not_open_tells_whether_its_source_is_still_complete() {
    let fixture = Fixture::shared().await;
    let status = async || {
        let status = fixture.store.status(&fixture.id, LIFE, 3, &fixture.source);
        status.await.unwrap()
    };
    assert_eq!(status().await, Status::None(0));
    fixture.push(0, &tasks(3)).await;
    assert_eq!(status().await, Status::None(3));
    fixture
        .store
        .open(&fixture.id, LIFE, 3, &fixture.source)
        .await
        .unwrap();
    let open = Status::Open {
        committed: 0,
        failed: 0,
        cursor: 0,
        whole: true,
    };
    assert_eq!(status().await, open);
    let other_count = fixture.store.status(&fixture.id, LIFE, 4, &fixture.source).await;
    assert!(matches!(other_count.unwrap(), Status::Open { whole: false, .. }));
}

#[tokio::test]
async fn a_tombstone_tells_how_the_job_ended_also_after_a_drop_that_does_not_know() {
    let fixture = Fixture::shared().await;
    fixture.open(&tasks(4)).await;
    let job = JobData::parse(b"prcd=4;from=t1;parent=p;depth=1").unwrap();
    let ended = |failed, conclusion| Some(job.uploaded(failed, conclusion, None));
    let told = async |last: Option<JobData>| {
        let (store, id) = (&fixture.store, &fixture.id);
        let drop = store.drop_job(id, LIFE, &fixture.source, 60, last.as_ref()).await;
        assert_eq!(drop.unwrap(), DropReply::Dropped);
        let meta = store.inspect(id, &fixture.source).await.unwrap().meta.unwrap();
        assert_eq!(meta.state, MetaState::Gone);
        assert_eq!(meta.ending(), meta.last.as_ref().and_then(JobData::ending));
        meta.last
    };
    assert_eq!(told(None).await, None);
    // What does not say how it ended is as good as nothing.
    assert_eq!(told(Some(job.clone())).await, None);
    let partly = ended(1, Conclusion::PartlyFailed);
    assert_eq!(told(partly.clone()).await, partly);
    assert_eq!(told(None).await, partly);
    assert_eq!(told(Some(job.clone())).await, partly);
    let cancelled = Some(job.in_state(JobState::Cancelled));
    assert_eq!(told(cancelled.clone()).await, cancelled);
    // What an older life came to says nothing of the next one.
    let (next, source) = (Zxid::new(LIFE.number() + 1), token("t2"));
    let drop = fixture.store.drop_job(&fixture.id, next, &source, 60, None).await;
    assert_eq!(drop.unwrap(), DropReply::Dropped);
    let meta = fixture.store.inspect(&fixture.id, &source).await.unwrap().meta;
    assert_eq!(meta.unwrap().ending(), None);
}

#[tokio::test]
async fn a_list_that_was_not_opened_is_read_as_often_as_one_likes() {
    let fixture = Fixture::shared().await;
    let large = vec![0; STAGED_BYTES_MAX as usize + 1];
    let tasks = [tasks(3), vec![large.clone(), large]].concat();
    fixture.push(0, &tasks).await;
    let staged = async |from, most| {
        let Source::Staged(token) = &fixture.source else {
            panic!("it is staged");
        };
        fixture
            .store
            .staged(&fixture.id, token, from, most)
            .await
            .unwrap()
    };
    for _ in 0..2 {
        assert!(staged(0, 2).await == tasks[..2]);
        assert!(staged(2, 9).await == tasks[2..3], "the next one is too large");
        assert!(staged(3, 9).await == tasks[3..4], "but one is always given");
    }
    assert!(staged(5, 9).await.is_empty());
    assert!(staged(0, 0).await.is_empty());
}
