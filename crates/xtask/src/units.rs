//! systemd's own check of the units in `deploy/systemd`.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    shell::{command, on_path, root, target},
    steps::Outcome,
};

/// What stands in for our programs, which are not installed where the check runs.
const STAND_IN: &str = "/bin/true";

/// Runs `systemd-analyze verify` on copies of the units; what it merely warns of counts as an error.
pub(crate) fn verify() -> Result<Outcome> {
    let Some(systemd_analyze) = on_path("systemd-analyze") else {
        return Ok(Outcome::NotChecked(
            "systemd-analyze is not here; Debian's package is systemd".to_owned(),
        ));
    };
    let directory = root().join("deploy/systemd");
    if !directory.is_dir() {
        return Ok(Outcome::NotChecked("there is no deploy/systemd".to_owned()));
    }
    let copies = copy_units(&directory, &target().join("xtask/systemd"))?;
    if copies.is_empty() {
        bail!("no unit in {}", directory.display());
    }
    let mut analyze = command(systemd_analyze, ["verify", "--man=no", "--"]);
    let output = analyze.args(&copies).output().context("start systemd-analyze")?;
    let text = String::from_utf8_lossy(&output.stderr);
    // Lines about other units come from the machine's own ones that ours name.
    let ours = copies
        .iter()
        .filter_map(|path| path.file_name()?.to_str())
        .collect::<Vec<_>>();
    let complaints = text
        .lines()
        .filter(|line| ours.iter().any(|unit| line.contains(unit)))
        .collect::<Vec<_>>();
    if complaints.is_empty() && output.status.success() {
        return Ok(Outcome::Passed);
    }
    eprint!("{text}");
    bail!(
        "systemd-analyze verify has {} complaints about units in deploy/systemd",
        complaints.len().max(1)
    )
}

/// Copies every unit into an emptied `scratch`, with programs that exist.
fn copy_units(from: &Path, scratch: &Path) -> Result<Vec<PathBuf>> {
    if scratch.exists() {
        fs::remove_dir_all(scratch).with_context(|| format!("empty {}", scratch.display()))?;
    }
    fs::create_dir_all(scratch).with_context(|| format!("create {}", scratch.display()))?;
    let mut copies = Vec::new();
    for entry in fs::read_dir(from).with_context(|| format!("list {}", from.display()))? {
        let path = entry?.path();
        let is_unit = path
            .extension()
            .and_then(OsStr::to_str)
            .is_some_and(|kind| ["service", "timer", "socket", "target", "slice"].contains(&kind));
        let Some(name) = path.file_name().filter(|_| is_unit) else {
            continue;
        };
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let copy = scratch.join(name);
        fs::write(&copy, with_stand_ins(&text)).with_context(|| format!("write {}", copy.display()))?;
        copies.push(copy);
    }
    copies.sort();
    Ok(copies)
}

/// The unit with the program of each `Exec…=` line that does not exist here replaced; its prefixes (`-`, `+`, …) and
/// arguments stay.
fn with_stand_ins(unit: &str) -> String {
    let mut text = unit.lines().map(with_stand_in).collect::<Vec<_>>().join("\n");
    text.push('\n');
    text
}

fn with_stand_in(line: &str) -> String {
    let Some((key, value)) = line.split_once('=').filter(|(key, _)| key.starts_with("Exec")) else {
        return line.to_owned();
    };
    let program_at = value.len() - value.trim_start_matches(['-', '@', ':', '+', '!', ' ']).len();
    let (prefix, rest) = value.split_at(program_at);
    let (program, arguments) = rest
        .split_once(' ')
        .map_or((rest, ""), |(program, rest)| (program, rest));
    if !program.starts_with('/') || Path::new(program).exists() {
        return line.to_owned();
    }
    format!("{key}={prefix}{STAND_IN} {arguments}")
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_that_do_not_exist_are_replaced() {
        let unit = "[Service]\nExecStartPre=-/no/such/program\nExecStart=/no/such/program --config %i\n\
                    ExecReload=/bin/sh -c true\nUser=distjob\n";
        assert_eq!(
            with_stand_ins(unit),
            "[Service]\nExecStartPre=-/bin/true\nExecStart=/bin/true --config %i\n\
             ExecReload=/bin/sh -c true\nUser=distjob\n"
        );
    }
}
