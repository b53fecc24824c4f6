//! Jobs submitted by the examples that are shipped, which know nothing of distjob's programs.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{Program, World};

use crate::SOON;
use crate::crew::{Executor, calm_world, start_watcher, verdict};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy/examples/plain")
        .join(name)
}

/// The environment that an example reads.
fn in_world(world: &World, program: Program) -> Program {
    program
        .env("REDIS_URL", world.redis_url())
        .env("ZOOKEEPER", world.zookeeper_addr())
        .env("JOBS", world.path("jobs"))
        .env("QUEUE", "primes")
}

async fn is_done(world: &World, id: &str, numbers: &[u64]) {
    world.drained(SOON).await.unwrap();
    let tasks: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let lines = world.delivered_whole("primes", id, &tasks).unwrap();
    for (line, number) in lines.iter().zip(numbers) {
        assert_eq!(line.outcome, verdict(*number), "{number}");
    }
}

#[tokio::test]
async fn a_job_made_with_redis_cli_and_zkcli_is_done_like_any_other() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let _executor = Executor::start(&world, "e").await;
    let id = world.job_id("shell");
    let script = Program::at("/bin/sh").arg(example("plain.sh")).env("ID", &id);
    let script = in_world(&world, script).args(["17", "18", "90000001"]);
    let submitted = world.start(script, "plain-sh").unwrap();
    assert_eq!(submitted.succeeded(SOON).await.unwrap(), [&*id]);
    is_done(&world, &id, &[17, 18, 90_000_001]).await;
}

#[tokio::test]
async fn a_job_made_with_python_is_done_like_any_other() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let _executor = Executor::start(&world, "e").await;
    let (id, input) = (world.job_id("python"), world.dir().join("input"));
    let numbers: Vec<u64> = (5_000..7_500).collect();
    let lines = numbers.iter().map(|number| format!("{number}\n"));
    fs::write(&input, lines.collect::<String>()).unwrap();
    let script = Program::at("/usr/bin/python3").arg(example("plain.py"));
    let script = in_world(&world, script).env("ID", &id).stdin_file(input);
    let submitted = world.start(script, "plain-py").unwrap();
    assert_eq!(submitted.succeeded(SOON).await.unwrap(), [&*id]);
    is_done(&world, &id, &numbers).await;
}

/// The first block of this language in the README's section on plain submission.
fn readme(language: &str) -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let (_, section) = readme.split_once("## Submit from any language").unwrap();
    let (_, block) = section.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// `text` with what stands for somebody's own servers, root and id replaced by those of this world.
fn moved_to(world: &World, id: &str, text: String, places: &[(&str, String)]) -> String {
    let jobs = world.path("jobs");
    let common = [("/distjob/jobs", jobs), ("my-job", id.to_owned())];
    common.iter().chain(places).fold(text, |text, (from, to)| {
        assert!(text.contains(from), "no {from} in:\n{text}");
        text.replace(from, to)
    })
}

#[tokio::test]
async fn the_lines_of_the_readme_make_jobs() {
    let world = calm_world().await;
    let _watcher = start_watcher(&world, "w").await;
    let _executor = Executor::start(&world, "e").await;
    let (redis, zookeeper) = (world.redis_url(), world.zookeeper_addr());
    for (language, interpreter, places) in [
        (
            "sh",
            "/bin/sh",
            [
                ("redis-cli ", format!("redis-cli -e -u {redis} ")),
                ("zkCli.sh ", format!("zkCli.sh -server {zookeeper} ")),
            ],
        ),
        (
            "python",
            "/usr/bin/python3",
            [
                ("redis.Redis()", format!("redis.Redis.from_url({redis:?})")),
                ("127.0.0.1:2181", zookeeper.to_owned()),
            ],
        ),
    ] {
        let id = world.job_id(language);
        let lines = moved_to(&world, &id, readme(language), &places);
        let program = Program::at(interpreter).args(["-c", &lines]);
        let submitted = world.start(program, language).unwrap();
        submitted.succeeded(SOON).await.unwrap();
        is_done(&world, &id, &[17, 18, 19]).await;
    }
}
