//! The spool directory: each file becomes its jobs once, whatever happens on the way.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
};

use anyhow::ensure;
use harness::{Process, World, eventually};

use super::{jobs, program, ready, serve};
use crate::{SOON, start, stopped, task_texts};

/// A spool directory.
struct Spool {
    root: PathBuf,
}

impl Spool {
    fn of(world: &World) -> Spool {
        let root = world.dir().join("spool");
        fs::create_dir_all(&root).unwrap();
        Spool { root }
    }

    /// The tables of a service that looks after it, with more keys of its own table.
    fn tables(&self, keys: &str) -> String {
        format!("[run.spool]\ndirectory = {:?}\n{keys}\n", self.root)
    }

    /// The same, with files taken at once that a look finds.
    fn hasty(&self) -> String {
        self.tables("settle = \"0s\"")
    }

    /// Moves a file in, as it should be done.
    fn drop(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let part = self.root.join(".part");
        fs::write(&part, content).unwrap();
        fs::rename(part, self.root.join(name)).unwrap();
    }

    /// The names in one of its directories, but for hidden ones.
    fn names(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join(directory)) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }

    /// Waits until a directory has just these names.
    async fn has(&self, directory: &str, names: &[&str]) {
        eventually("the files are there", SOON, async || {
            let found = self.names(directory);
            ensure!(found == names, "{directory} has {found:?}");
            Ok(())
        })
        .await;
    }

    /// Waits until nothing is in hand.
    async fn is_idle(&self) {
        eventually("nothing is in hand", SOON, async || {
            let found = self.names(".work");
            ensure!(found == ["lock"], "{found:?}");
            Ok(())
        })
        .await;
    }

    fn reason(&self, name: &str) -> String {
        fs::read_to_string(self.root.join("rejected").join(format!("{name}.reason"))).unwrap()
    }
}

/// Starts a service that a drill point will stop or end.
fn drilled(world: &World, tables: &str, points: &str) -> Process {
    start(world, program(world, tables).env("DISTJOB_TEST_POINTS", points))
}

#[tokio::test]
async fn files_become_jobs_of_their_queues_and_are_kept() {
    let world = World::shared().await.unwrap();
    let spool = Spool::of(&world);
    fs::create_dir(spool.root.join("mails")).unwrap();
    spool.drop("before", "0\n");
    let _service = serve(&world, &spool.tables("settle = \"0s\"")).await;
    spool.drop("a", "1\n2\n");
    spool.drop("mails/b", "3");
    spool.has("done", &["a", "before", "mails"]).await;
    spool.has("done/mails", &["b"]).await;
    let mut found = Vec::new();
    for (id, data) in world.jobs().await.unwrap() {
        let data = data.split(";from=").next().unwrap().to_owned();
        found.push((data, task_texts(&world, &id).await.join(" ")));
    }
    found.sort();
    let expected = [("subm=1", "0"), ("subm=1;queue=mails", "3"), ("subm=2", "1 2")];
    assert_eq!(
        found,
        expected.map(|(data, tasks)| (data.to_owned(), tasks.to_owned()))
    );
    spool.is_idle().await;
    assert_eq!(fs::read_to_string(spool.root.join("done/mails/b")).unwrap(), "3");
}

#[tokio::test]
async fn directories_of_queues_may_come_later_and_go_and_come_again() {
    let world = World::shared().await.unwrap();
    let spool = Spool::of(&world);
    // Looks are so rare that only notifications help.
    let _service = serve(&world, &spool.tables("scan_every = \"1h\"\nsettle = \"0s\"")).await;
    for round in 1..=2 {
        fs::create_dir(spool.root.join("mails")).unwrap();
        spool.drop("mails/a", format!("{round}\n"));
        jobs(&world, round).await;
        eventually("the file is taken", SOON, async || {
            Ok(fs::remove_dir(spool.root.join("mails"))?)
        })
        .await;
    }
}

#[tokio::test]
async fn a_file_that_was_submitted_may_be_removed_instead() {
    let world = World::shared().await.unwrap();
    let spool = Spool::of(&world);
    let _service = serve(&world, &spool.tables("archive = \"remove\"")).await;
    spool.drop("a", "1\n");
    jobs(&world, 1).await;
    spool.is_idle().await;
    assert_eq!(spool.names("done"), [""; 0]);
}

#[tokio::test]
async fn a_large_file_becomes_several_jobs_and_an_empty_one_an_empty_job() {
    let world = World::shared().await.unwrap();
    let spool = Spool::of(&world);
    let tables = spool.tables("") + "[queue]\nmax_tasks = 4\n[queues.small]\nmax_bytes = \"2B\"\n";
    fs::create_dir(spool.root.join("small")).unwrap();
    let _service = serve(&world, &tables).await;
    let lines: String = (0..10).map(|n| format!("{n}\n")).collect();
    spool.drop("ten", &lines);
    spool.has("done", &["ten"]).await;
    let found = jobs(&world, 3).await;
    let stem = &found[0];
    assert_eq!(found[1..], [format!("{stem}-0002"), format!("{stem}-0003")]);
    let mut tasks = Vec::new();
    for id in &found {
        tasks.extend(task_texts(&world, id).await);
    }
    assert_eq!(tasks.join("\n") + "\n", lines);

    spool.drop("small/five", "1\n2\n3\n4\n5\n");
    jobs(&world, 6).await;
    spool.drop("none", "");
    let all = jobs(&world, 7).await;
    let data = world.jobs().await.unwrap();
    assert!(all.iter().any(|id| data[id].starts_with("subm=0")));
}

#[tokio::test]
async fn the_same_file_put_in_twice_is_one_job_and_another_name_another() {
    let world = World::shared().await.unwrap();
    let spool = Spool::of(&world);
    let service = serve(&world, &spool.tables("")).await;
    spool.drop("a", "1\n");
    spool.has("done", &["a"]).await;
    spool.drop("a", "1\n");
    service.wait_log("before=1", SOON).await.unwrap();
    assert_eq!(spool.names("done").len(), 2);
    assert_eq!(world.jobs().await.unwrap().len(), 1);
    spool.drop("b", "1\n");
    jobs(&world, 2).await;
    spool.drop("a", "2\n");
    jobs(&world, 3).await;
}

#[tokio::test]
async fn names_may_be_any_bytes() {
    let world = World::shared().await.unwrap();
    let spool = Spool::of(&world);
    let _service = serve(&world, &spool.tables("")).await;
    let long = "x".repeat(255);
    let names: [&[u8]; 5] = [b"a\nb", b"\xff\xfe", b"-rf", b"a b\t'\"$(x)", long.as_bytes()];
    for name in names {
        spool.drop(OsStr::from_bytes(name), "1\n");
    }
    jobs(&world, 5).await;
    eventually("all are done", SOON, async || {
        ensure!(spool.names("done").len() == 5, "{:?}", spool.names("done"));
        Ok(())
    })
    .await;
    for name in names {
        assert!(
            spool.root.join("done").join(OsStr::from_bytes(name)).is_file(),
            "{name:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_file_is_rejected_unread_and_so_is_a_line_that_is_too_long() {
    let world = World::shared().await.unwrap();
    let spool = Spool::of(&world);
    let secret = world.dir().join("secret");
    fs::write(&secret, "secret\n").unwrap();
    let tables = spool.tables("") + "[submitter]\nmax_task_bytes = \"8B\"\n[queue]\nmax_tasks = 1\n";
    let _service = serve(&world, &tables).await;
    symlink(&secret, spool.root.join("link")).unwrap();
    let status = std::process::Command::new("mkfifo")
        .arg(spool.root.join("pipe"))
        .status();
    assert!(status.unwrap().success());
    let _socket = UnixListener::bind(spool.root.join("socket")).unwrap();
    spool.drop("long", "1\n2\n3 is longer than that\n");
    let names = ["link", "long", "pipe", "socket"];
    let all: Vec<_> = names
        .iter()
        .flat_map(|name| [(*name).to_owned(), format!("{name}.reason")])
        .collect();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    spool.drop("good", "1\n");
    spool.has("rejected", &all).await;
    for name in ["link", "pipe", "socket"] {
        assert!(spool.reason(name).contains("no regular file"), "{name}");
    }
    assert!(spool.reason("long").contains("line 3 has more than 8 bytes"));
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret\n");
    assert_eq!(fs::read_link(spool.root.join("rejected/link")).unwrap(), secret);
    // Nothing of the long one was submitted, although its first lines were good.
    assert_eq!(jobs(&world, 1).await.len(), 1);
}

#[tokio::test]
async fn a_file_is_left_alone_while_it_is_written_in_place_and_hidden_ones_always() {
    let world = World::shared().await.unwrap();
    let spool = Spool::of(&world);
    let _service = serve(&world, &spool.tables("scan_every = \"10ms\"\nsettle = \"1h\"")).await;
    let mut writing = File::create(spool.root.join("slow")).unwrap();
    writing.write_all(b"1\n").unwrap();
    spool.drop(".hidden", "hidden\n");
    spool.drop("quick", "0\n");
    jobs(&world, 1).await;
    writing.write_all(b"2\n").unwrap();
    drop(writing);
    spool.has("done", &["quick", "slow"]).await;
    assert_eq!(
        fs::read_to_string(spool.root.join("done/slow")).unwrap(),
        "1\n2\n"
    );
    jobs(&world, 2).await;
    assert!(spool.root.join(".hidden").exists());
}

#[tokio::test]
async fn a_death_at_any_point_makes_each_job_of_a_file_once() {
    for point in [
        "spool-claimed",
        "spool-planned",
        "pushed",
        "created",
        "opened",
        "spool-committed",
        "spool-submitted",
        "spool-archived",
    ] {
        let world = World::shared().await.unwrap();
        let spool = Spool::of(&world);
        let tables = spool.hasty() + "[queue]\nmax_tasks = 2\n";
        let service = drilled(&world, &tables, &format!("{point}=kill"));
        spool.drop("a", "1\n2\n3\n4\n5\n");
        assert_eq!(service.wait(SOON).await.unwrap().code(), None, "{point}");

        // Another size of jobs must not cut what was begun anew.
        let tables = spool.tables("") + "[queue]\nmax_tasks = 3\n";
        let _service = serve(&world, &tables).await;
        spool.has("done", &["a"]).await;
        spool.is_idle().await;
        let mut tasks = Vec::new();
        for id in world.jobs().await.unwrap().into_keys() {
            tasks.extend(task_texts(&world, &id).await);
        }
        assert_eq!(tasks, ["1", "2", "3", "4", "5"], "{point}");
    }
}

/// Lets both stores forget a job.
async fn forget(world: &World, id: &str) {
    let zk = world.zk().await.unwrap();
    zk.delete(&world.path(&format!("jobs/{id}")), None).await.unwrap();
    let mut redis = world.redis().await.unwrap();
    for kind in ["meta", "tasks"] {
        let key = format!("{}{{{id}}}:{kind}", world.prefix());
        redis::AsyncCommands::del::<_, ()>(&mut redis, key).await.unwrap();
    }
}

#[tokio::test]
async fn a_job_that_was_noted_is_not_made_again_although_the_stores_have_forgotten_it() {
    let world = World::shared().await.unwrap();
    let spool = Spool::of(&world);
    let tables = spool.hasty() + "[queue]\nmax_tasks = 1\n";
    let service = drilled(&world, &tables, "spool-submitted=kill");
    spool.drop("a", "1\n2\n");
    assert_eq!(service.wait(SOON).await.unwrap().code(), None);
    // As long after its end, when its tombstone is gone too.
    for id in jobs(&world, 2).await {
        forget(&world, &id).await;
    }
    let service = serve(&world, &tables).await;
    spool.has("done", &["a"]).await;
    assert!(world.jobs().await.unwrap().is_empty());
    assert!(service.stderr().contains("before=2"));
}

#[tokio::test]
async fn a_job_that_was_noted_is_not_made_again_by_a_later_attempt_of_the_same_service() {
    let world = World::shared().await.unwrap();
    let spool = Spool::of(&world);
    let proxy = world.redis_proxy().await.unwrap();
    let tables = spool.hasty() + "[queue]\nmax_tasks = 1\n[submitter]\ntimeout = \"1s\"\n";
    let program = program(&world, &tables).redis_at(proxy.addr());
    let points = "spool-committed=stop,spool-submitted=kill";
    let service = start(&world, program.env("DISTJOB_TEST_POINTS", points));
    spool.drop("a", "1\n2\n3\n");
    stopped(&service).await;
    proxy.refuse().await;
    proxy.cut();
    service.resume().unwrap();
    service
        .wait_log("trying again until it is safe", SOON)
        .await
        .unwrap();
    forget(&world, &jobs(&world, 1).await[0]).await;
    proxy.accept().await.unwrap();
    assert_eq!(service.wait(SOON).await.unwrap().code(), None);

    let made: Vec<_> = world.jobs().await.unwrap().into_keys().collect();
    assert_eq!(made.len(), 2, "{made:?}");
    let stem = made[0].trim_end_matches("-0002");
    let claim = spool.names(".work").into_iter().find(|name| name != "lock");
    let notes = spool.root.join(".work").join(claim.unwrap()).join("jobs");
    assert_eq!(
        fs::read_to_string(notes).unwrap(),
        format!("{stem}\n{stem}-0002\n{stem}-0003\n")
    );
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_submitted_is_rejected() {
    let world = World::shared().await.unwrap();
    let spool = Spool::of(&world);
    let service = drilled(&world, &spool.hasty(), "spool-planned=stop");
    let mut writer = {
        let path = spool.root.join(".part");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"1\n").unwrap();
        fs::rename(path, spool.root.join("a")).unwrap();
        file
    };
    stopped(&service).await;
    writer.write_all(b"2\n").unwrap();
    service.resume().unwrap();
    spool.has("rejected", &["a", "a.reason"]).await;
    assert!(spool.reason("a").contains("it changed while it was submitted"));
    assert!(world.jobs().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_that_changes_while_nobody_has_it_in_hand_is_rejected() {
    let world = World::shared().await.unwrap();
    let spool = Spool::of(&world);
    let tables = spool.hasty() + "[queue]\nmax_tasks = 1\n";
    let service = drilled(&world, &tables, "spool-committed=kill");
    spool.drop("a", "1\n2\n");
    assert_eq!(service.wait(SOON).await.unwrap().code(), None);
    let names = spool.names(".work");
    let claim = names.iter().find(|name| *name != "lock").unwrap();
    let in_hand = spool.root.join(".work").join(claim).join("file/a");
    fs::write(in_hand, "0\n1\n2\n").unwrap();
    let _service = serve(&world, &tables).await;
    spool.has("rejected", &["a", "a.reason"]).await;
    assert!(
        spool
            .reason("a")
            .contains("it changed after it was taken in hand")
    );
    spool.is_idle().await;
    assert_eq!(world.jobs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_service_looks_after_a_directory_and_another_takes_over_at_its_death() {
    let world = World::shared().await.unwrap();
    let spool = Spool::of(&world);
    let first = drilled(&world, &spool.tables(""), "spool-planned=stop");
    ready(&first).await;
    first.wait_log("taking files", SOON).await.unwrap();
    let second = start(&world, program(&world, &spool.tables("")));
    second
        .wait_log("another service takes the files here", SOON)
        .await
        .unwrap();
    spool.drop("a", "1\n");
    stopped(&first).await;
    first.kill().await.unwrap();
    second.wait_log("going on with files", SOON).await.unwrap();
    spool.has("done", &["a"]).await;
    jobs(&world, 1).await;
}

#[tokio::test]
async fn a_million_lines_pass_through_the_service_in_64_mib() {
    let world = World::shared().await.unwrap();
    let spool = Spool::of(&world);
    let program = program(&world, &(spool.tables("") + "[queue]\nmax_tasks = 100000\n")).watch_memory();
    let service = start(&world, program);
    ready(&service).await;
    let lines: String = (0..1_000_000).map(|n| format!("{n}\n")).collect();
    spool.drop("million", lines);
    spool.has("done", &["million"]).await;
    jobs(&world, 10).await;
    service.terminate().unwrap();
    service.wait(SOON).await.unwrap();
    let peak = service.peak_memory().unwrap();
    assert!(peak > 0 && peak < 64 << 20, "{peak} bytes");
}
