//! The data of a job's znode.

use distjob_core::{
    Conclusion, Token,
    job::{JobData, JobState, TASKS_MAX},
};

/// Whatever is read is written again, no longer than it was, and in every state that the job may come to: data that is
/// a job once is a job until its end.
pub fn job(data: &[u8]) {
    let Ok(job) = JobData::parse(data) else { return };
    let written = job.to_string();
    assert!(written.len() <= data.len(), "it grows: {written}");
    for state in JobState::ALL {
        let later = job.in_state(state);
        assert_eq!((later.state, &later.why), (state, &None));
        reads_as_written(&later);
    }
    for why in [
        "",
        "redis lost payloads of the job",
        &"what; a\nstory ".repeat(40),
    ] {
        let lost = job.lost(why);
        reads_as_written(&lost);
        reads_as_written(&lost.in_state(JobState::Submitted));
    }
    for conclusion in Conclusion::ALL {
        reads_as_written(&job.uploaded(TASKS_MAX, conclusion, Token::new("a".repeat(64)).ok()));
    }
    reads_as_written(&job);
}

fn reads_as_written(job: &JobData) {
    assert_eq!(JobData::parse(job.to_string().as_bytes()).as_ref(), Ok(job));
}
