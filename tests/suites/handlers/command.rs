//! The `command` handler: a process for each task, or for several.

use crate::SOON;
use crate::crew::Crew;

/// What a task of the queue `default` is run by, with more keys of the queue in front.
fn command(argv: &[&str], more: &str) -> String {
    format!(
        "queues = [\"default\"]\nslots = 2\n\n[queue]\nhandler = \"command\"\n{more}\n[queue.command]\nargv = {argv:?}\n"
    )
}

fn ok(value: &str) -> Result<Vec<u8>, String> {
    Ok(value.as_bytes().to_vec())
}

#[tokio::test]
async fn a_task_is_an_argument_or_the_standard_input() {
    let crew = Crew::start(&command(&["echo", "<{task}>", "{index}", "{attempt}"], "")).await;
    let outcomes = crew.outcomes("default", &["a b", "*", "$HOME"]).await;
    assert_eq!(outcomes, [ok("<a b> 0 1"), ok("<*> 1 1"), ok("<$HOME> 2 1")]);
    crew.executor.stop(SOON).await.unwrap();

    let crew = Crew::start(&command(&["tr", "a-z", "A-Z"], "")).await;
    assert_eq!(
        crew.outcomes("default", &["abc", "d e"]).await,
        [ok("ABC"), ok("D E")]
    );
}
