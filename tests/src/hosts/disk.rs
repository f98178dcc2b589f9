//! Disks that can lose power or run full, each mounted where a validator keeps its data.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::Outcome;
use super::process::is_gone;
use super::system::run;

const CUT_POWER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/cut_power.py");
/// Directories of runs begin so, followed by the number of the process.
pub const PREFIX: &str = "tonle-hosts-";
/// Sizes of disks are given in these.
const MIB: u64 = 1024 * 1024;
/// What a file takes at least.
const PAGE_BYTES: u64 = 4_096;
/// More than any file has set aside beyond its end.
const SET_ASIDE_BYTES_MAX: u64 = 1024 * MIB;
/// How often the rest of a disk is taken while others take some of it too.
const FILL_TRIES_MAX: usize = 1_000;

/// What a disk is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file system of its own in a file: what was not synced is lost with the power.
    Image {
        /// Its size.
        mib: u64,
    },
    /// Memory: small, so that it is soon full.
    Memory {
        /// Its size.
        mib: u64,
    },
}

/// A disk; unmounted with the test.
pub struct Disk {
    kind: Kind,
    mounted_at: PathBuf,
    image: PathBuf,
}

impl Disk {
    /// Makes a disk and mounts it at an empty directory.
    pub fn new(kind: Kind, mounted_at: &Path) -> Outcome<Self> {
        let image = mounted_at.with_extension("image");
        let disk = Self { kind, mounted_at: mounted_at.to_owned(), image };
        if let Kind::Image { mib } = kind {
            let file = File::create(&disk.image).map_err(|error| error.to_string())?;
            file.set_len(mib * MIB).map_err(|error| error.to_string())?;
            // Everything is laid out at once: nothing is to be written in the background.
            let whole = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
            run("mkfs.ext4", &["-q", "-F", "-J", "size=16", "-E", whole, &text(&disk.image)])?;
        }
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&self) -> Outcome<()> {
        let at = text(&self.mounted_at);
        match self.kind {
            Kind::Image { .. } => run("mount", &["-o", "loop", &text(&self.image), &at]),
            Kind::Memory { mib } => {
                run("mount", &["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs", &at])
            }
        }
        .map(drop)
    }

    /// Takes the power from disks at one moment. What was not synced is gone for good; the
    /// processes that used them must be over, for they can only be mounted again now.
    pub fn cut_power(disks: &[Self]) -> Outcome<()> {
        for disk in disks {
            fs::write(disk.canary(), "not synced").map_err(|error| error.to_string())?;
        }
        let places: Vec<_> = disks.iter().map(|disk| text(&disk.mounted_at)).collect();
        let places: Vec<_> = places.iter().map(String::as_str).collect();
        run("python3", &[&[CUT_POWER], &places[..]].concat()).map(drop)
    }

    /// Mounts a disk again, which replays its journal as after any power cut. An error if the power
    /// was not cut after all: what was written just before it and not synced must be gone.
    pub fn remount(&self) -> Outcome<()> {
        run("umount", &[&text(&self.mounted_at)])?;
        self.mount()?;
        match self.canary().exists() {
            true => Err(format!("{} did not lose its power", self.mounted_at.display())),
            false => Ok(()),
        }
    }

    /// Leaves so many bytes free and no more, whoever else writes.
    pub fn fill(&self, left_bytes: u64) -> Outcome<()> {
        let file = File::create(self.filling()).map_err(|error| error.to_string())?;
        let (mut length, mut divisor) = (0u64, 1u64);
        for _ in 0..FILL_TRIES_MAX {
            let wanted = self.free_bytes()?.saturating_sub(left_bytes);
            if wanted == 0 {
                return Ok(());
            }
            let part = (wanted / divisor).max(1).next_multiple_of(PAGE_BYTES);
            match fallocate(&file, FallocateFlags::empty(), length, part) {
                Ok(()) => (length, divisor) = (length + part, 1),
                // It takes all or nothing, and somebody took a page meanwhile.
                Err(Errno::NOSPC) => divisor = divisor.saturating_mul(2),
                Err(error) => return Err(format!("{}: {error}", self.filling().display())),
            }
        }
        Err(format!("others take and give back too much of {}", self.mounted_at.display()))
    }

    /// Takes away what files have set aside beyond their ends, as if the file system set nothing
    /// aside: a database that did so writes for a long time after its disk is full. Whoever has
    /// the files open must stand still meanwhile.
    pub fn release(&self) -> Outcome<()> {
        release(&self.mounted_at).map_err(|error| error.to_string())
    }

    /// Makes room again.
    pub fn empty(&self) -> Outcome<()> {
        fs::remove_file(self.filling()).map_err(|error| error.to_string())
    }

    /// Free bytes.
    pub fn free_bytes(&self) -> Outcome<u64> {
        let found = rustix::fs::statvfs(&self.mounted_at).map_err(|error| error.to_string())?;
        Ok(found.f_bavail * found.f_frsize)
    }

    fn canary(&self) -> PathBuf {
        self.mounted_at.join("canary")
    }

    fn filling(&self) -> PathBuf {
        self.mounted_at.join("filling")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process that is about to end may still hold a file.
        let _gone = run("umount", &["--lazy", &text(&self.mounted_at)]);
    }
}

fn release(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            release(&entry.path())?;
            continue;
        }
        let file = File::options().write(true).open(entry.path())?;
        let end = file.metadata()?.len().next_multiple_of(PAGE_BYTES);
        let beyond = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&file, beyond, end, SET_ASIDE_BYTES_MAX)?;
    }
    Ok(())
}

/// Unmounts the disks of runs that were killed, and removes their directories. One run at a time.
pub(super) fn sweep() -> Outcome<()> {
    let mounts = fs::read_to_string("/proc/mounts").map_err(|error| error.to_string())?;
    for place in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
        if left_behind(place) {
            run("umount", &["--lazy", place])?;
        }
    }
    sweep_directories(&std::env::temp_dir()).map_err(|error| error.to_string())
}

fn sweep_directories(place: &Path) -> io::Result<()> {
    for entry in fs::read_dir(place)? {
        let entry = entry?;
        if left_behind(&entry.file_name().to_string_lossy()) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Whether a path leads into the directory of a process that is no more.
fn left_behind(path: &str) -> bool {
    let name = path.split('/').find_map(|part| part.strip_prefix(PREFIX));
    name.and_then(|rest| rest.split_once('-')).is_some_and(|(process, _)| is_gone(process))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tempfile::TempDir;

    /// Swept by the next run, should this one be killed.
    fn directory() -> TempDir {
        let prefix = format!("{PREFIX}{}-", std::process::id());
        tempfile::Builder::new().prefix(&prefix).tempdir().unwrap()
    }

    #[test]
    fn a_disk_without_power_keeps_what_was_synced_and_nothing_else() {
        super::super::system::check().unwrap();
        let directory = directory();
        let place = directory.path().join("data");
        fs::create_dir(&place).unwrap();
        let disk = Disk::new(Kind::Image { mib: 64 }, &place).unwrap();
        let mut file = File::create(place.join("log")).unwrap();
        file.write_all(b"synced").unwrap();
        file.sync_all().unwrap();
        File::open(&place).unwrap().sync_all().unwrap();
        file.write_all(b" and not synced").unwrap();
        fs::write(place.join("another"), "not synced").unwrap();
        drop(file);
        let disks = [disk];
        Disk::cut_power(&disks).unwrap();
        disks[0].remount().unwrap();
        assert_eq!(fs::read_to_string(place.join("log")).unwrap(), "synced");
        assert!(!place.join("another").exists());
        fs::write(disks[0].canary(), "not synced").unwrap();
        assert!(disks[0].remount().unwrap_err().contains("did not lose its power"));
    }

    #[test]
    fn a_full_disk_takes_nothing_until_there_is_room() {
        super::super::system::check().unwrap();
        let directory = directory();
        let disk = Disk::new(Kind::Memory { mib: 8 }, directory.path()).unwrap();
        disk.fill(0).unwrap();
        let file = directory.path().join("file");
        assert!(fs::write(&file, vec![0; 64 * 1024]).is_err());
        disk.empty().unwrap();
        assert!(fs::write(&file, vec![0; 64 * 1024]).is_ok());
    }

    #[test]
    fn a_disk_is_filled_though_others_write_to_it() {
        super::super::system::check().unwrap();
        let directory = directory();
        let disk = Disk::new(Kind::Memory { mib: 64 }, directory.path()).unwrap();
        let mut other = File::create(directory.path().join("other")).unwrap();
        std::thread::scope(|scope| {
            // It ends when there is no space.
            let writer = scope.spawn(move || while other.write_all(&[1; 4_096]).is_ok() {});
            disk.fill(0).unwrap();
            writer.join().unwrap();
        });
        assert_eq!(disk.free_bytes().unwrap(), 0);
    }

    #[test]
    fn what_a_file_set_aside_is_released_and_what_it_holds_is_not() {
        super::super::system::check().unwrap();
        let directory = directory();
        let disk = Disk::new(Kind::Memory { mib: 8 }, directory.path()).unwrap();
        let inner = directory.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let held = vec![7; 10_000];
        fs::write(inner.join("log"), &held).unwrap();
        let mut log = File::options().append(true).open(inner.join("log")).unwrap();
        fallocate(&log, FallocateFlags::KEEP_SIZE, 0, 4 * MIB).unwrap();
        disk.fill(0).unwrap();
        assert!(log.write_all(&[8; 8_192]).is_ok(), "into what it set aside");
        disk.empty().unwrap();
        disk.release().unwrap();
        disk.fill(0).unwrap();
        assert!(log.write_all(&[9; 8_192]).is_err());
        let found = fs::read(inner.join("log")).unwrap();
        assert_eq!(found[..10_000], held);
        assert_eq!(found[10_000..18_192], [8; 8_192]);
    }

    #[test]
    fn only_directories_of_ended_runs_are_removed() {
        let directory = directory();
        let gone = directory.path().join(format!("{PREFIX}4194305-x1"));
        let own = directory.path().join(format!("{PREFIX}{}-x1", std::process::id()));
        let other = directory.path().join("other");
        for place in [&gone, &own, &other] {
            fs::create_dir_all(place.join("validator-0/data")).unwrap();
        }
        sweep_directories(directory.path()).unwrap();
        assert!(!gone.exists() && own.exists() && other.exists());
    }

    #[test]
    fn only_disks_of_ended_runs_are_swept() {
        assert!(left_behind("/tmp/tonle-hosts-4194305-x1/validator-0/data"));
        let own = format!("/tmp/{PREFIX}{}-x1/validator-0/data", std::process::id());
        assert!(!left_behind(&own) && !left_behind("/home") && !left_behind("/tmp/tonle-hosts-x"));
    }
}
