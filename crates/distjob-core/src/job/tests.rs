use proptest::prelude::*;

use super::*;

#[test]
fn a_bare_count_is_a_complete_job() {
    let job = JobData::parse(b"subm=5000").unwrap();
    assert_eq!(
        job,
        JobData::submitted(5000, QueueName::default_queue(), Source::Plain)
    );
    assert_eq!(job.to_string(), "subm=5000");
}

#[test]
fn all_keys_are_read_and_unknown_ones_survive_a_change_of_state() {
    let text = "subm=7;queue=primes;from=t1;next=later;x=";
    let job = JobData::parse(text.as_bytes()).unwrap();
    assert_eq!(job.source, Source::Staged(Token::new("t1").unwrap()));
    assert_eq!(job.to_string(), text);
    let lost = job.lost("hole at 3; really\n");
    assert_eq!(
        lost.to_string(),
        "lost=7;queue=primes;from=t1;why=hole at 3, really,;next=later;x="
    );
    assert_eq!(JobData::parse(lost.to_string().as_bytes()), Ok(lost.clone()));
    assert_eq!(lost.in_state(JobState::Submitted), job);
}

#[test]
fn a_deadline_stays_and_what_was_concluded_is_said_of_an_uploaded_job_only() {
    let job = JobData::parse(b"prcd=7;deadline=1790000000000;x=1").unwrap();
    assert_eq!(job.deadline_ms, Some(1_790_000_000_000));
    let kept = Some(Token::new("failed-1").unwrap());
    let uploaded = job.uploaded(2, Conclusion::PartlyFailed, kept);
    assert_eq!(
        uploaded.to_string(),
        "uploaded=7;deadline=1790000000000;failed=2;conclusion=partly-failed;kept=failed-1;x=1"
    );
    assert_eq!(
        JobData::parse(uploaded.to_string().as_bytes()),
        Ok(uploaded.clone())
    );
    assert_eq!(uploaded.in_state(JobState::Processed), job);
    let ending = |failed, conclusion| {
        Some(Ending {
            count: 7,
            failed,
            conclusion,
        })
    };
    assert_eq!(uploaded.ending(), ending(2, Conclusion::PartlyFailed));
    let cancelled = job.in_state(JobState::Cancelled);
    assert_eq!(cancelled.ending(), ending(0, Conclusion::Cancelled));
    assert_eq!(
        (job.ending(), job.in_state(JobState::Uploaded).ending()),
        (None, None)
    );
}

#[test]
fn what_a_job_follows_and_what_is_skipped_survives_a_change_of_state_and_what_follows_it_does_not() {
    let text = "prcd=7;from=t;parent=p;depth=2;joins=g;group=h;skip=s3,hook";
    let job = JobData::parse(text.as_bytes()).unwrap();
    assert_eq!(job.to_string(), text);
    let uploaded = job.uploaded(0, Conclusion::Succeeded, None);
    let then = ["a", "b"].map(|id| JobId::new(id).unwrap());
    let followed = uploaded.clone().followed_by(then.to_vec());
    assert_eq!(
        followed.to_string(),
        "uploaded=7;from=t;parent=p;depth=2;joins=g;group=h;failed=0;conclusion=succeeded;then=a,b;skip=s3,hook"
    );
    assert_eq!(
        JobData::parse(followed.to_string().as_bytes()),
        Ok(followed.clone())
    );
    assert_eq!(followed.in_state(JobState::Uploaded).ties.then, []);
    assert_eq!(followed.in_state(JobState::Processed), job);
}

#[test]
fn a_follow_up_names_what_it_follows_and_is_one_deeper() {
    let parent = JobData::parse(b"prcd=7;queue=words;depth=2;group=g;skip=s3;x=1").unwrap();
    let (id, token) = (JobId::new("p").unwrap(), Token::new("t").unwrap());
    let follow_up = parent.follow_up(&id, 3, QueueName::new("merge").unwrap(), token);
    assert_eq!(
        follow_up.to_string(),
        "subm=3;queue=merge;from=t;parent=p;depth=3"
    );
    let group = GroupName::new("g").unwrap();
    assert_eq!(
        follow_up.joining(group).to_string(),
        "subm=3;queue=merge;from=t;parent=p;depth=3;joins=g"
    );
}

#[test]
fn no_more_sinks_are_skipped_than_a_job_has_room_for() {
    let sink = |number: usize| SinkName::new(format!("{number:064}")).unwrap();
    let longest = format!("prcd=1;x={:width$}", "", width = DATA_BYTES_MAX - "=1;x=".len());
    let mut job = JobData::parse(longest.as_bytes()).unwrap();
    for number in 0..SKIPS_MAX {
        job = job.skipping(&sink(number)).unwrap();
        assert_eq!(job.skipping(&sink(number)), Some(job.clone()));
    }
    assert_eq!(job.skipping(&sink(SKIPS_MAX)), None);
    let then = (0..FOLLOW_UPS_MAX).map(|number| JobId::new(format!("{number:064}")).unwrap());
    let uploaded = job
        .uploaded(
            TASKS_MAX,
            Conclusion::PartlyFailed,
            Token::new("a".repeat(64)).ok(),
        )
        .followed_by(then.collect());
    assert_eq!(
        JobData::parse(uploaded.to_string().as_bytes()),
        Ok(uploaded.clone())
    );
    assert!(uploaded.to_string().len() <= TEXT_BYTES_MAX);
}

#[test]
fn the_longest_job_can_become_lost_and_be_delivered() {
    let longest = format!("subm=1;x={:width$}", "", width = DATA_BYTES_MAX - "=1;x=".len());
    let job = JobData::parse(longest.as_bytes()).unwrap();
    for state in JobState::ALL {
        let later = job.in_state(state);
        assert_eq!(JobData::parse(later.to_string().as_bytes()), Ok(later));
    }
    let lost = job.lost(&"\u{1f980}".repeat(300));
    assert_eq!(JobData::parse(lost.to_string().as_bytes()), Ok(lost));
    let uploaded = job.uploaded(
        TASKS_MAX,
        Conclusion::PartlyFailed,
        Token::new("a".repeat(64)).ok(),
    );
    assert_eq!(JobData::parse(uploaded.to_string().as_bytes()), Ok(uploaded));
    assert!(JobData::parse((longest + " ").as_bytes()).is_err());
}

#[test]
fn data_of_other_programs_is_refused_with_a_reason() {
    for (data, reason) in [
        (&b""[..], "begins with"),
        (b"hello", "begins with"),
        (b"{\"a\":1}", "begins with"),
        (b"done=1", "has the state"),
        (b"subm=", "has the count"),
        (b"subm=-1", "has the count"),
        (b"subm=+1", "has the count"),
        (b"subm=99999999999999999999999", "has the count"),
        (b"subm=1;", "has the part"),
        (b"subm=1;queue=a;queue=b", "has the part"),
        (b"subm=1;queue=a/b", "has a bad queue"),
        (b"subm=1;from=", "has a bad from"),
        (b"subm=1;deadline=tomorrow", "has the deadline"),
        (b"subm=1;deadline=-1", "has the deadline"),
        (b"subm=1;deadline=99999999999999999999", "has the deadline"),
        (b"uploaded=1;failed=", "has the failed"),
        (b"subm=1;parent=", "has a bad parent"),
        (b"subm=1;depth=deep", "has the depth"),
        (b"subm=1;group=a/b", "has a bad group"),
        (b"subm=1;joins=", "has a bad joins"),
        (b"uploaded=1;then=a,,b", "has a bad then"),
        (b"subm=1;skip=", "has a bad skip"),
        (b"uploaded=1;conclusion=good", "has the conclusion"),
        (b"\xff\xfe", "is not printable"),
        (&[b'a'; 7000], "has 7000 bytes"),
        (format!("subm=1;x={:4096}", "").as_bytes(), "has 4105 bytes"),
    ] {
        let error = JobData::parse(data).unwrap_err().to_string();
        assert!(error.starts_with(reason), "{error}");
    }
}

proptest! {
    #[test]
    fn no_data_makes_the_parser_panic_and_what_it_takes_it_writes_again(text in "(subm|prcd|lost)=[0-9]{1,6}(;[a-z]{1,5}=[ -:<-~]{0,9}){0,3}|.*") {
        if let Ok(job) = JobData::parse(text.as_bytes()) {
            prop_assert_eq!(JobData::parse(job.to_string().as_bytes()), Ok(job));
        }
    }
}
