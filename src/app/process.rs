//! What the system says about this process's memory and file descriptors.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors that are not an agent's connection or a peer's: listeners, the ledger, the runtimes.
const OWN_DESCRIPTORS: u64 = 64;
/// Connections that are tried however few descriptors there are.
const FEWEST: usize = 16;
/// A limit beyond this is none: cgroups of version 1 write a huge number instead of a word.
const ENDLESS: u64 = 1 << 60;

/// Bytes of memory that this process holds now; `None` where the system does not tell.
pub(super) fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Bytes of memory that this process's cgroup allows it; `None` where there is no such limit.
pub(super) fn allowed() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    allowed_under(Path::new("/sys/fs/cgroup"), &groups)
}

/// Takes all file descriptors that the system grants, and tells how many connections of agents they
/// are enough for: each may need one to a peer.
pub(super) fn most_connections() -> usize {
    let granted = getrlimit(Resource::Nofile);
    let all = Rlimit { current: granted.maximum, maximum: granted.maximum };
    let most = match setrlimit(Resource::Nofile, all) {
        Ok(()) => granted.maximum,
        // Not granted after all: there are as many as before.
        Err(_) => granted.current,
    };
    let most = most.map_or(usize::MAX, |most| {
        usize::try_from(most.saturating_sub(OWN_DESCRIPTORS) / 2).unwrap_or(usize::MAX)
    });
    most.max(FEWEST)
}

/// The smallest limit on the way from the process's group up to the root of what is mounted.
fn allowed_under(mounted: &Path, groups: &str) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        let (root, file) = if controllers.is_empty() {
            (mounted.to_owned(), "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            (mounted.join("memory"), "memory.limit_in_bytes")
        } else {
            return None;
        };
        // In a container the group may be named as its host sees it; then only the root is there.
        let groups = Path::new(group.trim_start_matches('/')).ancestors();
        groups.filter_map(|group| limit_in(&root.join(group).join(file))).min()
    });
    limits.min()
}

fn limit_in(file: &Path) -> Option<u64> {
    let limit = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (limit < ENDLESS).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_on_the_way_up_counts() {
        let mounted = tempfile::tempdir().unwrap();
        let write = |group: &str, file: &str, text: &str| {
            let group = mounted.path().join(group);
            fs::create_dir_all(&group).unwrap();
            fs::write(group.join(file), text).unwrap();
        };
        let allowed = |groups| allowed_under(mounted.path(), groups);
        assert_eq!(allowed("0::/a/b\n"), None);
        write("a/b", "memory.max", "max\n");
        assert_eq!(allowed("0::/a/b\n"), None);
        write("a", "memory.max", "1000\n");
        assert_eq!(allowed("0::/a/b\n"), Some(1000));
        write("a/b", "memory.max", "500\n");
        assert_eq!(allowed("0::/a/b\n"), Some(500));
        // Version 1, seen from inside a container: the host's name leads nowhere.
        write("memory", "memory.limit_in_bytes", "300\n");
        assert_eq!(allowed("5:cpu,memory:/docker/x\n4:pids:/\n"), Some(300));
        write("memory", "memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(allowed("5:cpu,memory:/docker/x\n"), None);
        assert_eq!(allowed("not a group\n"), None);
    }

    #[test]
    fn this_process_holds_memory() {
        assert!(resident().unwrap() > 1 << 20);
    }
}
