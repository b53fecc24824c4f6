use super::*;

const HELP_AFTER: Duration = Duration::from_millis(100);

fn board() -> (Board, Instant) {
    let queues = BTreeSet::from([QueueName::default_queue()]);
    let interest = Interest::Execution(queues);
    let settings = BoardSettings {
        interest,
        sharing: Sharing::RoundRobin,
        help_after: HELP_AFTER,
    };
    (
        Board::new(MemberName::new("a").unwrap(), settings),
        Instant::now(),
    )
}

fn roster(names: &[&str]) -> Arc<Roster> {
    let members = names
        .iter()
        .map(|name| (MemberName::new(*name).unwrap(), None))
        .collect();
    Arc::new(Roster {
        as_of: Zxid::new(1),
        members,
        ..Roster::default()
    })
}

fn entry(text: &str, life: u64, version: i32) -> Option<JobEntry> {
    let data = JobData::parse(text.as_bytes()).unwrap();
    Some(JobEntry {
        data,
        life: Zxid::new(life),
        version,
        created_ms: 0,
    })
}

fn id(name: &str) -> JobId {
    JobId::new(name).unwrap()
}

fn order(board: &mut Board, now: Instant, take: usize) -> Vec<String> {
    (0..take)
        .filter_map(|_| {
            let id = board.next(now, |_| true)?;
            board.ripen(&id, now);
            Some(id.to_string())
        })
        .collect()
}

#[test]
fn jobs_take_turns_oldest_first() {
    let (mut board, now) = board();
    for (name, life) in [("z", 1), ("x", 3), ("y", 2)] {
        board.see(&id(name), entry("subm=5", life, 0), now);
    }
    assert_eq!(order(&mut board, now, 5), ["z", "y", "x", "z", "y"]);
}

#[test]
fn only_jobs_of_interest_are_on_the_board() {
    let (mut board, now) = board();
    board.see(&id("x"), entry("prcd=5", 1, 1), now);
    board.see(&id("y"), entry("subm=5;queue=other", 2, 0), now);
    assert!(board.is_empty());
    board.see(&id("z"), entry("subm=5", 3, 0), now);
    board.see(&id("z"), entry("prcd=5", 3, 1), now);
    assert_eq!(board.next(now, |_| true), None);
}

#[test]
fn another_members_job_is_helped_with_only_when_there_is_no_own_one_and_not_at_once() {
    let (mut board, now) = board();
    board.meet(roster(&["a", "b"]), now);
    board.see(&id("j0"), entry("subm=5", 1, 0), now);
    board.see(&id("j1"), entry("subm=5", 2, 0), now);
    board.share(now);
    assert_eq!(order(&mut board, now, 3), ["j0", "j0", "j0"]);
    let later = now + HELP_AFTER;
    assert_eq!(order(&mut board, later, 2), ["j0", "j0"]);
    assert_eq!(board.next(later, |_| true), Some(id("j0")));
    assert_eq!(board.next(later, |_| true), Some(id("j1")));
    assert_eq!(board.next(later, |_| true), None);
}

#[test]
fn of_many_members_a_few_help_at_first_and_all_of_them_soon() {
    let names: Vec<String> = (0..300).map(|member| format!("m{member}")).collect();
    let roster = roster(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let now = Instant::now();
    let helpers_after = |delays: u32| {
        let helps = |name: &&String| {
            let mut board = Board::new(MemberName::new(name.as_str()).unwrap(), board().0.settings);
            board.meet(roster.clone(), now);
            board.see(&id("j"), entry("subm=5", 1, 0), now);
            board.next(now + HELP_AFTER * delays, |_| true).is_some()
        };
        names.iter().filter(helps).count()
    };
    assert_eq!(helpers_after(0), 1);
    assert!((4..=16).contains(&helpers_after(1)));
    assert!((16..=64).contains(&helpers_after(3)));
    assert_eq!(helpers_after(7), 300);
}

#[test]
fn a_death_brings_the_dead_ones_jobs_at_once() {
    let (mut board, now) = board();
    board.meet(roster(&["a", "b"]), now);
    board.see(&id("j0"), entry("subm=5", 1, 0), now);
    board.see(&id("j1"), entry("subm=5", 2, 0), now);
    board.share(now);
    board.meet(roster(&["a"]), now);
    assert!(board.shares_are_stale());
    board.share(now);
    assert_eq!(order(&mut board, now, 3), ["j1", "j0", "j1"]);
    assert_eq!(board.share_len(), 2);
}

#[test]
fn a_parked_job_waits_for_a_change_of_the_members_or_of_itself() {
    let (mut board, now) = board();
    board.see(&id("j"), entry("subm=5", 1, 0), now);
    let job = board.next(now, |_| true).unwrap();
    board.park(&job, now);
    assert_eq!(board.next(now + HELP_AFTER * 100, |_| true), None);
    board.meet(roster(&["a"]), now);
    assert_eq!(board.next(now, |_| true), Some(job.clone()));
    board.park(&job, now);
    board.see(&job, entry("subm=5", 1, 2), now);
    assert_eq!(board.next(now, |_| true), Some(job));
}

#[test]
fn a_job_that_is_parked_for_a_while_is_looked_at_again_less_and_less_often() {
    let (mut board, mut now) = board();
    board.see(&id("j"), entry("subm=5", 1, 0), now);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let job = board.next(now, |_| true).unwrap();
        board.park_for_a_while(&job, now);
        assert_eq!(board.next(now, |_| true), None);
        let at = board.wakes_at().unwrap();
        pauses.push((at - now).as_millis());
        now = at;
    }
    assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 4000, 4000, 4000]);
    let job = board.next(now, |_| true).unwrap();
    board.park_for_a_while(&job, now);
    board.meet(roster(&["a"]), now);
    assert_eq!(
        board.next(now, |_| true),
        Some(job.clone()),
        "the members changed"
    );
    board.park_for_a_while(&job, now);
    assert_eq!(board.wakes_at(), Some(now + WHILE));
    assert!(board.take(&job).is_some(), "for an audit");
    assert_eq!(board.wakes_at(), None);
    board.see(&job, None, now);
    assert_eq!(
        (board.next(now + WHILE, |_| true), board.wakes_at()),
        (None, None)
    );
}

#[test]
fn a_job_that_is_parked_for_a_while_is_looked_at_again_even_when_shares_or_ranges_of_the_dead_move() {
    let (mut board, now) = board();
    board.meet(roster(&["a", "b"]), now);
    for (life, name) in (1..).zip(["j0", "j1", "j2", "j3"]) {
        board.see(&id(name), entry("subm=5", life, 0), now);
    }
    board.share(now);
    let later = now + HELP_AFTER;
    for name in ["j0", "j1", "j2", "j3"] {
        assert!(board.take(&id(name)).is_some());
        board.park_for_a_while(&id(name), later);
        board.put_first(&id(name), 1, later);
    }
    board.see(&id("j0"), None, later);
    assert!(board.shares_are_stale());
    board.share(later);
    let jobs: BTreeSet<String> = order(&mut board, later + WHILE, 3).into_iter().collect();
    assert_eq!(
        jobs.len(),
        3,
        "those that moved, and those that did not: {jobs:?}"
    );
}

#[test]
fn one_job_can_be_looked_at_again_wherever_it_is() {
    let (mut board, now) = board();
    let queue = QueueName::default_queue();
    assert!(!board.has_ripe(&queue));
    board.see(&id("j"), entry("subm=5", 1, 0), now);
    board.unpark(&id("j"), now);
    assert!(board.has_ripe(&queue));
    let job = board.next(now, |_| true).unwrap();
    board.unpark(&job, now);
    assert!(!board.has_ripe(&queue));
    board.park(&job, now);
    assert_eq!(board.next(now, |_| true), Some(job.clone()), "once more");
    board.park(&job, now);
    board.unpark(&job, now);
    assert_eq!(board.next(now, |_| true), Some(job));
}

#[test]
fn a_change_while_a_job_is_busy_is_not_missed() {
    let (mut board, now) = board();
    board.see(&id("j"), entry("subm=5", 1, 0), now);
    let job = board.next(now, |_| true).unwrap();
    board.meet(roster(&["a"]), now);
    board.park(&job, now);
    assert_eq!(
        board.next(now, |_| true),
        Some(job.clone()),
        "the members changed after it was handed out"
    );
    board.see(&job, entry("subm=5", 1, 2), now);
    board.settle_at(&job, now + HELP_AFTER, now);
    assert_eq!(
        board.next(now, |_| true),
        Some(job),
        "the job changed after it was handed out"
    );
}

#[test]
fn a_job_that_is_settled_for_later_is_ripe_then() {
    let (mut board, now) = board();
    board.see(&id("j"), entry("subm=5", 1, 0), now);
    let job = board.next(now, |_| true).unwrap();
    let later = now + Duration::from_secs(3);
    board.settle_at(&job, later, now);
    assert_eq!(board.next(now, |_| true), None);
    assert_eq!(board.wakes_at(), Some(later));
    assert_eq!(board.next(later, |_| true), Some(job));
}

#[test]
fn a_new_life_of_an_id_is_a_new_job() {
    let (mut board, now) = board();
    board.see(&id("j"), entry("subm=5", 1, 0), now);
    let job = board.next(now, |_| true).unwrap();
    board.park(&job, now);
    board.see(&job, entry("subm=5", 9, 0), now);
    assert_eq!(board.next(now, |_| true), Some(job.clone()));
    board.see(&job, None, now);
    board.ripen(&job, now);
    assert_eq!(board.next(now, |_| true), None);
}

#[test]
fn an_own_job_that_was_parked_comes_first_when_somebody_is_gone() {
    let (mut board, now) = board();
    board.meet(roster(&["a", "b"]), now);
    for (life, name) in (1..).zip(["j0", "j1", "j2", "j3"]) {
        board.see(&id(name), entry("subm=5", life, 0), now);
    }
    board.share(now);
    assert_eq!(order(&mut board, now, 3), ["j0", "j2", "j0"]);
    for parked in ["j2", "j3"] {
        assert!(board.take(&id(parked)).is_some());
        board.park(&id(parked), now);
    }
    let later = now + HELP_AFTER;
    board.meet(roster(&["a", "b", "c"]), later);
    assert_eq!(board.next(later, |_| true), Some(id("j2")), "in its turn");
    board.park(&id("j2"), later);
    assert_eq!(order(&mut board, later, 1), ["j0"]);
    board.meet(roster(&["a", "b"]), later);
    assert_eq!(
        order(&mut board, later, 3),
        ["j2", "j2", "j0"],
        "out of turn, once"
    );
}

#[test]
fn jobs_that_a_departure_makes_mine_come_first_and_only_once() {
    let (mut board, now) = board();
    board.meet(roster(&["a", "b"]), now);
    for (life, name) in (1..).zip(["u", "v", "w", "x", "y", "z"]) {
        board.see(&id(name), entry("subm=5", life, 0), now);
    }
    board.share(now);
    let later = now + HELP_AFTER;
    let mine = order(&mut board, now, 3);
    board.meet(roster(&["a"]), later);
    board.share(later);
    let inherited = order(&mut board, later, 3);
    assert!(
        inherited.iter().all(|id| !mine.contains(id)),
        "{inherited:?} {mine:?}"
    );
    let all = order(&mut board, later, 6);
    assert_eq!(
        all.iter().collect::<BTreeSet<_>>().len(),
        6,
        "they take turns again: {all:?}"
    );
}

#[test]
fn a_job_with_ranges_of_the_dead_comes_first_as_often_as_there_are_ranges() {
    let (mut board, now) = board();
    for (life, name) in (1..).zip(["x", "y", "z"]) {
        board.see(&id(name), entry("subm=5", life, 0), now);
    }
    board.put_first(&id("z"), 2, now);
    assert_eq!(order(&mut board, now, 6), ["z", "z", "x", "y", "z", "x"]);
    let busy = board.next(now, |_| true).unwrap();
    board.put_first(&busy, 1, now);
    assert_ne!(board.next(now, |_| true), Some(busy.clone()), "it is in hand");
    board.ripen(&busy, now);
    assert_eq!(board.next(now, |_| true), Some(busy));
}

fn board_of_queues(queues: &[(&str, i32, u32)]) -> (Board, Instant) {
    let names = queues.iter().map(|(name, ..)| QueueName::new(*name).unwrap());
    let settings = BoardSettings {
        interest: Interest::Execution(names.collect()),
        sharing: Sharing::RoundRobin,
        help_after: HELP_AFTER,
    };
    let mut board = Board::new(MemberName::new("a").unwrap(), settings);
    for (name, priority, weight) in queues {
        let precedence = Precedence {
            priority: *priority,
            weight: *weight,
        };
        board.set_precedence(&QueueName::new(*name).unwrap(), precedence);
    }
    (board, Instant::now())
}

/// As [`order`], with each job's queue charged for it.
fn order_with_costs(board: &mut Board, now: Instant, take: usize) -> Vec<String> {
    let next = |_| {
        let id = board.next(now, |_| true)?;
        let queue = board.entry(&id)?.data.queue.clone();
        board.charge(&queue, Duration::from_millis(100));
        board.ripen(&id, now);
        Some(id.to_string())
    };
    (0..take).filter_map(next).collect()
}

#[test]
fn queues_take_turns_by_weight_and_their_jobs_by_age_within_them() {
    let (mut board, now) = board_of_queues(&[("x", 0, 3), ("y", 0, 1)]);
    for (name, queue, life) in [("x1", "x", 1), ("x2", "x", 2), ("y1", "y", 3), ("y2", "y", 4)] {
        board.see(&id(name), entry(&format!("subm=5;queue={queue}"), life, 0), now);
    }
    let order = order_with_costs(&mut board, now, 8);
    assert_eq!(order, ["x1", "y1", "x2", "x1", "x2", "y2", "x1", "x2"]);
}

#[test]
fn a_queue_that_may_not_is_passed_over_and_a_higher_priority_comes_before_what_the_dead_left() {
    let (mut board, now) = board_of_queues(&[("x", 0, 1), ("y", 7, 1)]);
    board.see(&id("jx"), entry("subm=5;queue=x", 1, 0), now);
    board.see(&id("jy"), entry("subm=5;queue=y", 2, 0), now);
    board.put_first(&id("jx"), 2, now);
    assert_eq!(order_with_costs(&mut board, now, 2), ["jy", "jy"]);
    assert_eq!(board.next(now, |queue| queue.as_str() == "x"), Some(id("jx")));
    assert_eq!(board.next(now, |_| false), None);
}

#[test]
fn a_queue_whose_only_job_is_being_visited_keeps_its_turn() {
    let (mut board, now) = board_of_queues(&[("x", 0, 3), ("y", 0, 1)]);
    board.see(&id("jx"), entry("subm=5;queue=x", 1, 0), now);
    board.see(&id("jy"), entry("subm=5;queue=y", 2, 0), now);
    let (x, y) = (QueueName::new("x").unwrap(), QueueName::new("y").unwrap());
    let cost = Duration::from_millis(300);
    board.charge(&y, cost);
    assert_eq!(board.next(now, |_| true), Some(id("jx")));
    board.charge(&x, cost);
    let is_x = |queue: &QueueName| queue.as_str() == "x";
    assert_eq!(
        board.next_unless(now, |_| true, is_x),
        None,
        "its tag is a third of the other's"
    );
    assert_eq!(
        board.next_unless(now, |queue| !is_x(queue), is_x),
        Some(id("jy")),
        "it may not"
    );
}

#[test]
fn a_job_that_moves_to_another_queue_waits_there() {
    let (mut board, now) = board_of_queues(&[("x", 0, 1), ("y", 0, 1)]);
    board.see(&id("j"), entry("subm=5;queue=x", 1, 0), now);
    board.see(&id("j"), entry("subm=5;queue=y", 1, 1), now);
    assert_eq!(board.next(now, |queue| queue.as_str() == "x"), None);
    assert_eq!(board.next(now, |_| true), Some(id("j")));
    assert_eq!(board.next(now, |_| true), None);
}

#[test]
fn what_is_left_of_a_job_is_known_for_one_life_of_it() {
    let (mut board, now) = board();
    board.see(&id("j"), entry("subm=5", 1, 0), now);
    assert_eq!(board.left(&id("j")), Some(5));
    board.note_left(&id("j"), Zxid::new(1), 2);
    board.note_left(&id("j"), Zxid::new(9), 4);
    assert_eq!(board.left(&id("j")), Some(2));
    board.see(&id("j"), entry("subm=7", 3, 0), now);
    assert_eq!((board.left(&id("j")), board.left(&id("k"))), (Some(7), None));
}

#[test]
fn what_a_member_made_of_a_job_itself_is_no_news_and_does_not_bring_it_back() {
    let (before, own) = (entry("prcd=5", 1, 1).unwrap(), entry("zpd=5", 1, 2).unwrap());
    let others = entry("cncl=5", 1, 2).unwrap();
    for (heard, is_there, is_news) in [
        (vec![], true, false),
        (vec![Some(own.clone())], true, false),
        (vec![Some(others.clone())], true, true),
        (vec![Some(own.clone()), None], false, false),
    ] {
        let (board, now) = board();
        let mut board = Board::new(
            board.me,
            BoardSettings {
                interest: Interest::Delivery,
                ..board.settings
            },
        );
        board.see(&id("x"), Some(before.clone()), now);
        assert_eq!(board.next(now + HELP_AFTER, |_| true), Some(id("x")));
        for heard in heard {
            board.see(&id("x"), heard, now);
        }
        board.see_own(&id("x"), &before, &own);
        board.park(&id("x"), now);
        assert_eq!(board.entry(&id("x")).is_some(), is_there);
        assert_eq!(board.next(now + HELP_AFTER, |_| true).is_some(), is_news);
        if is_there && !is_news {
            // It is heard of later, which is no news either.
            board.see(&id("x"), Some(own.clone()), now);
            assert_eq!(board.next(now + HELP_AFTER, |_| true), None);
        }
    }
}
