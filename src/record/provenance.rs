//! Where a result came from and what it cost: machine, source revision, clock, processor time, memory.
//!
//! Everything here may be unknown (another operating system, no repository), and is then absent, never wrong.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardware {
    /// The processor's model name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// The cores this process may use.
    pub cores: usize,
}

/// A git revision: of the program's sources when it was built, or of an experiment's folder when a run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The commit's full hash.
    pub commit: String,
    /// Whether files differed from that commit: the program's sources, or tracked files of the experiment's repository.
    pub dirty: bool,
}

impl std::fmt::Display for Revision {
    /// The first twelve digits, and whether files differed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short = self.commit.get(..12).unwrap_or(&self.commit);
        write!(f, "{short}{}", if self.dirty { " with changes" } else { "" })
    }
}

/// The revision of the sources that this program was built from; `None` if they were in no git repository of their own.
pub fn program_revision() -> Option<Revision> {
    Some(Revision {
        commit: option_env!("LATENT_LAB_COMMIT")?.to_owned(),
        dirty: option_env!("LATENT_LAB_DIRTY") == Some("true"),
    })
}

/// The machine this process runs on, asked once per process.
pub(super) fn hardware() -> Hardware {
    static HARDWARE: OnceLock<Hardware> = OnceLock::new();
    HARDWARE.get_or_init(ask_system).clone()
}

fn ask_system() -> Hardware {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    Hardware {
        cpu: model.map(|(_, name)| name.trim().to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// The revision of the repository around `folder`, asked of git once per process and folder; `None` without git,
/// without a repository, or before its first commit.
pub(super) fn folder_revision(folder: &Path) -> Option<Revision> {
    static KNOWN: OnceLock<Mutex<HashMap<PathBuf, Option<Revision>>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known
        .entry(folder.to_owned())
        .or_insert_with(|| ask_git(folder))
        .clone()
}

fn ask_git(folder: &Path) -> Option<Revision> {
    let mut command = Command::new("git");
    // No optional lock and no file monitor: the query must not change or start anything.
    command.args(["--no-optional-locks", "-c", "core.fsmonitor=false"]);
    command.args(["status", "--porcelain=v2", "--branch", "--untracked-files=no"]);
    // Git sets these for its hooks; only the folder must determine the repository.
    command.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
    if folder != Path::new("") {
        command.current_dir(folder);
    }
    let output = command.output().ok().filter(|output| output.status.success())?;
    parse_status(&String::from_utf8_lossy(&output.stdout))
}

/// Reads `git status --porcelain=v2 --branch`: header lines begin with `#`, every other line is a change.
fn parse_status(text: &str) -> Option<Revision> {
    let commit = text.lines().find_map(|line| line.strip_prefix("# branch.oid "))?;
    (commit != "(initial)").then(|| Revision {
        commit: commit.to_owned(),
        dirty: text.lines().any(|line| !line.starts_with('#')),
    })
}

/// Seconds this *thread* has spent on a processor; a run is one thread, and other runs' time does not count.
pub(super) fn thread_cpu_seconds() -> Option<f64> {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = schedule.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds * 1e-9)
}

/// The most memory this *process* has held, in bytes.
pub(super) fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(kibibytes.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The wall clock in UTC, to the second: `2026-11-03T09:05:00Z`.
pub fn now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    utc(seconds)
}

/// Calendar date of a Unix time, counting days in the 400-year cycle of the Gregorian calendar with the year
/// beginning in March, so that the leap day is a year's last (Hinnant 2013, `civil_from_days`).
fn utc(unix_seconds: u64) -> String {
    let (days, second) = (unix_seconds / 86_400 + 719_468, unix_seconds % 86_400);
    let (cycle, day_of_cycle) = (days / 146_097, days % 146_097);
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = 400 * cycle + year_of_cycle + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_the_calendars() {
        // date -u -d @SECONDS +%FT%TZ
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_704_067_199), "2023-12-31T23:59:59Z");
        assert_eq!(utc(1_709_251_200), "2024-03-01T00:00:00Z");
        assert_eq!(utc(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn a_changed_file_makes_the_revision_dirty() {
        let clean = "# branch.oid 1f3c\n# branch.head main\n";
        let changed = format!("{clean}1 .M N... 100644 100644 100644 a b src/lib.rs\n");
        let revision = |dirty| {
            Some(Revision {
                commit: "1f3c".into(),
                dirty,
            })
        };
        assert_eq!(parse_status(clean), revision(false));
        assert_eq!(parse_status(&changed), revision(true));
        assert_eq!(parse_status("# branch.oid (initial)\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_knows_its_costs() {
        assert!(thread_cpu_seconds().unwrap() >= 0.0);
        assert!(peak_memory_bytes().unwrap() > 100_000);
        assert!(hardware().cores >= 1);
    }
}
