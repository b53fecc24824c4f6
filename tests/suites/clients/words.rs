//! The word count, as it is shipped: from text files through two queues to an archive in a bucket.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use harness::{Process, Program, S3, World, eventually};

use crate::SOON;
use crate::caller::{calm_world, start};

const BUCKET: &str = "word-count";
const FILES: usize = 1_000;

fn example(name: &str) -> PathBuf {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/word-count");
    examples.join(name).canonicalize().unwrap()
}

/// A program of Python from the example.
fn python(name: &str) -> Program {
    Program::at("/usr/bin/python3").arg("-B").arg(example(name))
}

/// A daemon with the example's own file and in the example's directory, at this world's servers.
async fn daemon(world: &World, binary: &str, s3: &S3) -> Process {
    let file = example(&format!("{binary}.toml"));
    let directory = file.parent().unwrap().as_os_str().to_owned();
    let program = Program::of_workspace(binary).unwrap();
    let program = program
        .within(&["env".into(), "--chdir".into(), directory])
        .arg("--config")
        .arg(&file)
        .env("DISTJOB_ZOOKEEPER__CONNECT", world.zookeeper_addr())
        .env("DISTJOB_ZOOKEEPER__ROOT", world.root())
        .env("DISTJOB_REDIS__URL", world.redis_url())
        .env("DISTJOB_REDIS__PREFIX", world.prefix())
        .env("S3_ENDPOINT", s3.endpoint())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let program = match binary {
        "watcher-d" => program.env("DISTJOB_SINK__DIRECTORY", world.sink()),
        _ => program,
    };
    world.start_member(program, binary).await.unwrap()
}

/// The paths of the text files, one a line, as the example has them.
async fn tasks(world: &World) -> (PathBuf, PathBuf) {
    let (texts, tasks) = (world.dir().join("texts"), world.dir().join("tasks"));
    let made = python("make-texts.py").arg(&texts).arg(FILES.to_string());
    start(world, made).succeeded(SOON).await.unwrap();
    let mut paths: Vec<String> = fs::read_dir(&texts)
        .unwrap()
        .map(|file| format!("{}\n", file.unwrap().path().display()))
        .collect();
    paths.sort();
    assert_eq!(paths.len(), FILES);
    fs::write(&tasks, paths.concat()).unwrap();
    (texts, tasks)
}

#[tokio::test]
async fn the_words_of_a_thousand_files_end_in_one_archive_in_a_bucket() {
    let world = calm_world().await;
    let s3 = S3::start_in(&world.dir().join("s3")).await.unwrap();
    s3.make_bucket(BUCKET).await.unwrap();
    let _watcher = daemon(&world, "watcher-d", &s3).await;
    let _executor = daemon(&world, "executor-d", &s3).await;
    let (texts, tasks) = tasks(&world).await;
    let args = ["--queue", "words", tasks.to_str().unwrap()];
    let ids = world.submit(&args, SOON).await.unwrap();
    assert_eq!(ids.len(), 1);

    // The merge is created before the job that it follows is gone.
    eventually("nothing is left to do", SOON, async || {
        let jobs = world.jobs().await?;
        ensure!(jobs.is_empty(), "{jobs:?}");
        Ok(())
    })
    .await;
    let keys = s3.keys(BUCKET, "results/merge/").await.unwrap();
    let [manifest, archive] = &keys[..] else {
        panic!("{keys:?} instead of a manifest and an archive");
    };
    let id = archive
        .strip_prefix("results/merge/")
        .and_then(|name| name.strip_suffix(".zip"));
    let id = id.context("the archive's name").unwrap();
    assert_eq!(*manifest, format!("results/merge/{id}.manifest.json"));
    assert!(s3.unfinished(BUCKET).await.unwrap().is_empty());

    let file = world.dir().join("counts.zip");
    fs::write(&file, s3.get(BUCKET, archive).await.unwrap().unwrap()).unwrap();
    let check = start(&world, python("check.py").arg(texts).arg(file));
    let said = check.succeeded(SOON).await.unwrap().concat();
    assert!(
        said.starts_with("the same: ") && said.ends_with(" in 1000 files"),
        "{said}"
    );
    world.drained(SOON).await.unwrap();
}
