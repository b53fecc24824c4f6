//! Groups: one job follows all jobs of a group when the last of them is done, whoever dies on the way.

use distjob_core::{GroupName, JobData, JobId, JobState, QueueName, Source, Token};
use distjob_runtime::zk::{Created, GroupRead, Membership, Seat};
use harness::{eventually, unique};
use serde_json::Value;

use crate::SOON;
use crate::plot::Plot;
use crate::stage::{Job, QUEUE, Stage};

const JOIN: (&str, &str) = ("join", "queue = \"joined\"\npayload = \"archive\"\njoin = true");

/// A group of the jobs of a test.
struct Group {
    name: GroupName,
    jobs: Vec<Job>,
}

impl Group {
    fn new() -> Self {
        Self {
            name: GroupName::new(format!("g-{}", unique())).unwrap(),
            jobs: Vec::new(),
        }
    }

    /// A group of jobs of one, two, three… tasks, which is closed with the last of them. All are executed, and say so if they
    /// are `processed`.
    async fn of(stage: &Stage, count: usize, processed: bool) -> Self {
        let mut group = Self::new();
        for number in 1..=count {
            let seat = if number == count {
                Seat::Last
            } else {
                Seat::Another
            };
            group.submit(stage, number, seat).await;
        }
        if processed {
            for job in &mut group.jobs {
                stage.set(job, JobState::Processed).await;
            }
        }
        group
    }

    /// Submits a job of `count` tasks as a member, and executes it.
    async fn submit(&mut self, stage: &Stage, count: usize, seat: Seat) {
        let id = JobId::new(stage.world.job_id("member")).unwrap();
        let (token, tasks) = (Token::new(unique()).unwrap(), Stage::tasks(count));
        stage.push(&id, &token, &tasks).await;
        let queue = QueueName::new(QUEUE).unwrap();
        let read = stage.ledger.open_group(&self.name, &queue).await.unwrap();
        let before = read.into_group().unwrap();
        let data = JobData::submitted(count as u64, queue, Source::Staged(token)).in_group(self.name.clone());
        let created = stage
            .ledger
            .create_in_group(&id, &data, &self.name, &before, seat)
            .await
            .unwrap();
        let Membership::Job(Created::Yes(entry)) = created else {
            panic!("{created:?}")
        };
        let job = stage.opened(&id).await;
        assert_eq!(job.entry, entry);
        stage.execute(&job, count).await;
        self.jobs.push(job);
    }

    /// Waits until the group and all of its jobs are gone. The jobs that follow them.
    async fn joined(&self, plot: &Plot) -> Vec<Job> {
        let stage = &plot.stage;
        for job in &self.jobs {
            stage.gone(job).await;
        }
        let group = stage.ledger.group(&self.name).await.unwrap();
        assert_eq!(
            group,
            GroupRead::Gone,
            "all of its jobs are gone, and it is there"
        );
        let mut joined = Vec::new();
        for id in stage.world.jobs().await.unwrap().into_keys() {
            let job = stage.opened(&JobId::new(id).unwrap()).await;
            assert_eq!(job.entry.data.ties.joins.as_ref(), Some(&self.name));
            joined.push(job);
        }
        joined
    }

    /// Waits until the group is joined, and checks that one job follows, with a task of each member in the order of their ids.
    /// What the tasks say.
    async fn comes_true(&self, plot: &Plot) -> Vec<Value> {
        let mut joined = self.joined(plot).await;
        let follows = joined.pop().expect("something follows");
        assert!(joined.is_empty(), "{} more follow", joined.len());
        let tasks: Vec<Value> = follows
            .tasks
            .iter()
            .map(|task| serde_json::from_slice(task).unwrap())
            .collect();
        let mut ids: Vec<_> = self.jobs.iter().map(|job| job.id.as_str()).collect();
        ids.sort_unstable();
        let told: Vec<_> = tasks.iter().map(|task| task["job"].as_str().unwrap()).collect();
        assert_eq!(told, ids);
        let parent = follows.entry.data.ties.parent.as_ref().unwrap();
        assert!(ids.contains(&parent.as_str()));
        plot.finish(follows).await;
        plot.stage.nothing_is_left().await;
        tasks
    }
}

/// Checks that each task tells where the whole result of a job is.
fn tell_where(plot: &Plot, group: &Group, tasks: &[Value]) {
    for job in &group.jobs {
        let told = tasks.iter().find(|task| task["job"] == job.id.as_str()).unwrap();
        let path = plot.stage.world.sink().join(QUEUE);
        let path = path.join(format!("{}.jsonl", job.id));
        assert_eq!(told["locations"]["default"], path.to_str().unwrap(), "{told}");
        assert_eq!(told["tasks"], job.tasks.len());
        assert_eq!(told["sha256"], plot.stage.manifest(job)["sha256"]);
    }
}

#[tokio::test]
async fn one_job_follows_all_jobs_of_a_group() {
    let plot = Plot::new(&[JOIN]).await;
    let mut group = Group::of(&plot.stage, 5, false).await;
    let _watcher = plot.watcher("w").await;
    let (last, first) = group.jobs.split_last_mut().unwrap();
    for job in first {
        plot.stage.set(job, JobState::Processed).await;
        plot.stage.gone(job).await;
    }
    let entry = plot
        .stage
        .ledger
        .look_at_group(&group.name)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((entry.pending, entry.done), (1, 4));
    plot.stage.set(last, JobState::Processed).await;
    let tasks = group.comes_true(&plot).await;
    tell_where(&plot, &group, &tasks);
}

#[tokio::test]
async fn a_group_is_not_joined_before_it_is_closed() {
    let plot = Plot::new(&[JOIN]).await;
    let mut group = Group::new();
    let _watcher = plot.watcher("w").await;
    group.submit(&plot.stage, 3, Seat::Another).await;
    plot.stage.set(&mut group.jobs[0], JobState::Processed).await;
    plot.stage.gone(&group.jobs[0]).await;
    let look = plot
        .stage
        .ledger
        .look_at_group(&group.name)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((look.pending, look.done), (0, 1));
    group.submit(&plot.stage, 0, Seat::Last).await;
    plot.stage.set(&mut group.jobs[1], JobState::Processed).await;
    let tasks = group.comes_true(&plot).await;
    tell_where(&plot, &group, &tasks);
}

#[tokio::test]
async fn a_cancelled_job_has_its_part_in_what_follows_its_group() {
    let plot = Plot::new(&[JOIN]).await;
    let mut group = Group::of(&plot.stage, 3, false).await;
    let states = [JobState::Processed, JobState::Cancelled, JobState::Processed];
    for (job, state) in group.jobs.iter_mut().zip(states) {
        plot.stage.set(job, state).await;
    }
    let _watcher = plot.watcher("w").await;
    let tasks = group.comes_true(&plot).await;
    let cancelled = group.jobs[1].id.as_str();
    for task in tasks {
        let is_cancelled = task["job"] == cancelled;
        assert_eq!(task["conclusion"] == "cancelled", is_cancelled, "{task}");
        assert_eq!(task["locations"].is_null(), is_cancelled, "{task}");
    }
}

#[tokio::test]
async fn a_job_that_is_cancelled_when_its_outcome_is_noted_counts_as_cancelled() {
    let plot = Plot::new(&[JOIN]).await;
    let first = plot.watcher_with_point("first", "noted=kill").await;
    let mut group = Group::of(&plot.stage, 1, true).await;
    assert!(!first.wait(SOON).await.unwrap().success());
    plot.stage.set(&mut group.jobs[0], JobState::Cancelled).await;
    let _second = plot.watcher("second").await;
    let tasks = group.comes_true(&plot).await;
    assert_eq!(tasks[0]["conclusion"], "cancelled", "{}", tasks[0]);
    assert!(tasks[0]["locations"].is_null(), "{}", tasks[0]);
}

#[tokio::test]
async fn a_group_that_nothing_follows_goes_with_its_last_job() {
    let plot = Plot::new(&[]).await;
    let _watcher = plot.watcher("w").await;
    let group = Group::of(&plot.stage, 3, true).await;
    assert!(group.joined(&plot).await.is_empty());
    plot.stage.nothing_is_left().await;
}

#[tokio::test]
async fn two_watchers_join_a_group_once() {
    let plot = Plot::new(&[JOIN]).await;
    let _watchers = [plot.watcher("one").await, plot.watcher("two").await];
    for _ in 0..4 {
        let group = Group::of(&plot.stage, 4, true).await;
        let tasks = group.comes_true(&plot).await;
        tell_where(&plot, &group, &tasks);
    }
}

#[tokio::test]
async fn a_group_of_many_jobs_is_joined_with_a_task_of_each() {
    let plot = Plot::new(&[JOIN]).await;
    let _watcher = plot.watcher("w").await;
    let mut group = Group::new();
    // More than are asked for, and deleted, at once.
    for number in 1..=250 {
        let seat = if number == 250 { Seat::Last } else { Seat::Another };
        group.submit(&plot.stage, 1, seat).await;
    }
    for job in &mut group.jobs {
        plot.stage.set(job, JobState::Processed).await;
    }
    group.comes_true(&plot).await;
}

/// The only watcher kills itself at `point`; the next one joins the group.
async fn dies_at(point: &str) {
    let plot = Plot::new(&[JOIN]).await;
    let first = plot.watcher_with_point("first", &format!("{point}=kill")).await;
    let group = Group::of(&plot.stage, 3, true).await;
    assert!(!first.wait(SOON).await.unwrap().success());
    let _second = plot.watcher("second").await;
    let tasks = group.comes_true(&plot).await;
    tell_where(&plot, &group, &tasks);
}

#[tokio::test]
async fn a_death_with_the_outcome_noted_is_survived() {
    dies_at("noted").await;
}

#[tokio::test]
async fn a_death_after_uploaded_loses_nothing_of_what_the_group_is_told() {
    dies_at("uploaded").await;
}

#[tokio::test]
async fn a_death_with_the_job_told_to_its_group_is_survived() {
    dies_at("settled").await;
}

#[tokio::test]
async fn a_death_with_the_tasks_of_all_staged_is_survived() {
    dies_at("join-staged").await;
}

#[tokio::test]
async fn a_death_with_the_group_joined_is_survived() {
    dies_at("joined").await;
}

#[tokio::test]
async fn a_death_with_what_follows_a_group_opened_is_survived() {
    dies_at("follow-up-opened").await;
}

#[tokio::test]
async fn a_death_with_the_members_of_a_joined_group_gone_leaves_no_group() {
    dies_at("group-emptied").await;
}

#[tokio::test]
async fn a_watcher_that_froze_before_it_joined_a_group_joins_nothing() {
    let plot = Plot::new(&[JOIN]).await;
    let first = plot.watcher_with_point("first", "join-staged=stop").await;
    let before = plot.stage.world.registered(&first).await.unwrap();
    let group = Group::of(&plot.stage, 1, true).await;
    first.stderr().wait("point=\"join-staged\"", SOON).await.unwrap();
    let _second = plot.watcher("second").await;
    group.comes_true(&plot).await;
    first.resume().unwrap();
    eventually("the first watcher is back under a new name", SOON, async || {
        let after = plot.stage.world.registered(&first).await?;
        anyhow::ensure!(after.name != before.name, "still {}", before.name);
        Ok(())
    })
    .await;
    plot.stage.nothing_is_left().await;
    assert!(plot.stage.world.jobs().await.unwrap().is_empty());
}
