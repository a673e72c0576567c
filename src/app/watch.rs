//! Looks whether the configuration file is another one.
//!
//! The file is looked at twice a second, by what the system says of the file that its path leads to now:
//! an editor that renames a new file over it, a directory that is a symbolic link and is pointed elsewhere
//! (Kubernetes), a network file system, all show. A change is told once two looks agree, so that a file
//! is not read while it is being written. The watch of a kernel (inotify) would need a watch for each
//! directory and link on the way, and is silent on network file systems; a look costs 2 microseconds.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What tells one state of a file from another: device, inode, length, time of change in nanoseconds.
type Sight = (u64, u64, u64, i128);

/// Watches one file.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    /// What was told last.
    told: Option<Sight>,
    /// What the last look saw.
    last: Option<Sight>,
}

impl Watch {
    /// Watches this file. What it is now counts as a change: it may be another one already than was read
    /// at the start.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), told: None, last: None }
    }

    /// Looks; true where the file is another one than was told before, and two looks agree on it. A
    /// file that is gone is awaited.
    pub(super) fn changed(&mut self) -> bool {
        let now = sight(&self.path);
        let settled = now == self.last;
        self.last = now;
        if !settled || now.is_none() || now == self.told {
            return false;
        }
        self.told = now;
        true
    }
}

fn sight(path: &Path) -> Option<Sight> {
    let file = std::fs::metadata(path).ok()?;
    let changed = i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
    Some((file.dev(), file.ino(), file.len(), changed))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// How many looks it takes until a change is told, of three.
    fn looks(watch: &mut Watch) -> Option<usize> {
        (0..3).find(|_| watch.changed())
    }

    #[test]
    fn a_change_is_told_once_when_it_has_settled() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stipula.yaml");
        fs::write(&file, "a").unwrap();
        let mut watch = Watch::new(&file);
        assert_eq!(looks(&mut watch), Some(1), "what it is at the start");
        assert_eq!(looks(&mut watch), None);
        fs::write(&file, "a longer text").unwrap();
        assert!(!watch.changed());
        fs::write(&file, "a still longer text").unwrap();
        assert!(!watch.changed(), "it is being written");
        assert_eq!(looks(&mut watch), Some(0));
        assert_eq!(looks(&mut watch), None);
        // An editor: another file, renamed over it.
        let new = dir.path().join("new");
        fs::write(&new, "a still longer text").unwrap();
        fs::rename(&new, &file).unwrap();
        assert_eq!(looks(&mut watch), Some(1));
        fs::remove_file(&file).unwrap();
        assert_eq!(looks(&mut watch), None);
        fs::write(&file, "back again, with another text").unwrap();
        assert_eq!(looks(&mut watch), Some(1));
    }

    #[test]
    fn a_directory_that_is_pointed_elsewhere_shows() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("stipula.yaml"), text).unwrap();
        }
        // As a ConfigMap is mounted: the file is a link through `..data`.
        let data = dir.path().join("..data");
        symlink("..1", &data).unwrap();
        let file = dir.path().join("stipula.yaml");
        symlink("..data/stipula.yaml", &file).unwrap();
        let mut watch = Watch::new(&file);
        assert_eq!(looks(&mut watch), Some(1));
        let next = dir.path().join("..next");
        symlink("..2", &next).unwrap();
        fs::rename(&next, &data).unwrap();
        assert_eq!(looks(&mut watch), Some(1));
    }
}
