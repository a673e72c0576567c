//! What the system is asked for: directories that only the owner can read, files that are whole or
//! not there, and errors that name the file.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// The ending of files that are not initialised yet.
pub(in crate::store) const UNFINISHED: &str = ".tmp";

/// Turns a system error into one that says what was being done to which file.
pub(in crate::store) fn io(
    doing: &'static str,
    path: &Path,
) -> impl Fn(std::io::Error) -> StoreError {
    let path = path.display().to_string();
    move |source| StoreError::Io { doing, path: path.clone(), source }
}

/// Makes a directory, with those above it, that only its owner can read; one that stands is left
/// as the operator made it.
pub(super) fn make_dir(dir: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io("making", dir))
}

/// Takes the directory for this process until the file is closed.
pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(io("opening", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { dir: dir.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(io("locking", &path)(error)),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("syncing", dir))
}

/// Writes a file under a temporary name, syncs it and gives it its own name: whole, or not there.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    let unfinished = PathBuf::from(name);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(io("making", &unfinished))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(io("writing", &unfinished))?;
    std::fs::rename(&unfinished, path).map_err(io("naming", path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Opens a file whose every write goes to its end.
pub(super) fn open_append(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new().append(true).open(path).map_err(io("opening", path))
}

/// Cuts a file to this length, on a descriptor of its own, and makes that durable.
pub(super) fn cut(path: &Path, length: u64) -> Result<(), StoreError> {
    let file = OpenOptions::new().write(true).open(path).map_err(io("opening", path))?;
    file.set_len(length).and_then(|()| file.sync_all()).map_err(io("cutting", path))
}

/// The names in a directory, sorted; none where there is no such directory. Files that were never
/// finished are passed over.
pub(in crate::store) fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("listing", dir)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(io("listing", dir))?.file_name().to_string_lossy().into_owned();
        if !name.ends_with(UNFINISHED) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
