//! What is on disk of one token's PIN: the mark of a refusal, the tries that had no answer, the proof that it was
//! right, and the lock that lets one process at a time go through.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::pkcs11::Fault;

/// Tries without an answer that says whether the PIN is right, after which nobody tries again: the token may have
/// counted each of them.
const UNANSWERED: usize = 2;
/// How long a process waits for another one to go first.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);

/// What a `pin-proved` mark must say to count: this boot, and this runtime directory, or that a person had the PIN
/// tried since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    here: String,
    unlocked: String,
}

impl Stamp {
    /// Of this boot, as the unit tells it, or as the kernel does where it can be asked. Before lock-down.
    pub(crate) fn now() -> Option<Self> {
        let told = std::env::var("CHANCERY_BOOT").ok();
        let told = told.or_else(|| std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok())?;
        Self::of(&told, &crate::sys::places::runtime_directory())
    }

    fn of(boot: &str, place: &Path) -> Option<Self> {
        let boot = boot.trim().replace('-', "");
        let stamp = || Self { here: format!("{boot} {}\n", place.display()), unlocked: format!("{boot} unlocked\n") };
        (!boot.is_empty()).then(stamp)
    }
}

/// Does what stands in the way of the disk go away without anybody who changes a configuration?
pub(crate) fn passes(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, Interrupted, OutOfMemory, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let kinds = [FileTooLarge, Interrupted, OutOfMemory, QuotaExceeded, ReadOnlyFilesystem, StorageFull];
    let codes = [libc::EIO, libc::EMFILE, libc::ENFILE, libc::ESTALE];
    kinds.contains(&error.kind()) || error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// The files that speak of one token's PIN.
#[derive(Clone)]
pub(crate) struct Marks {
    directory: PathBuf,
    name: String,
}

impl Marks {
    /// Of the security officer's PIN of that token.
    pub(crate) fn of_officer(directory: &Path, serial: &str) -> Self {
        let Self { directory, name } = Self::new(directory, serial);
        Self { directory, name: format!("officer-{name}") }
    }

    /// For the token of that serial number.
    pub(crate) fn new(directory: &Path, serial: &str) -> Self {
        // A serial number is the vendor's text; it does not get to choose a path.
        let name = match serial.bytes().all(|octet| octet.is_ascii_alphanumeric()) && !serial.is_empty() {
            true => serial.to_owned(),
            false => format!("x{}", crate::config::signer::hex(serial.as_bytes())),
        };
        Self { directory: directory.to_owned(), name }
    }

    pub(crate) fn refused(&self) -> PathBuf {
        self.directory.join(format!("pin-refused-{}", self.name))
    }

    /// The file that says where signers were logged in, last. Neither a refusal nor an unlock takes it away: that a
    /// token was there says nothing of a PIN.
    fn service(&self) -> PathBuf {
        self.directory.join(format!("pin-served-{}", self.name))
    }

    fn proof(&self) -> PathBuf {
        self.directory.join(format!("pin-proved-{}", self.name))
    }

    /// The file that becomes the mark of a refusal. Until then its name says how many tries had no answer.
    fn room(&self, unanswered: usize) -> PathBuf {
        self.directory.join(match unanswered {
            0 => format!("pin-spare-{}", self.name),
            tries => format!("pin-tried-{tries}-{}", self.name),
        })
    }

    fn unanswered(&self) -> usize {
        (1..=UNANSWERED).rev().find(|tries| self.room(*tries).exists()).unwrap_or(0)
    }

    /// Why no PIN was tried: without the marks the rule cannot be kept.
    fn fault(&self, path: &Path, error: &io::Error) -> Fault {
        let why = format!("{}: {error}; without its marks no PIN is tried", path.display());
        if passes(error) { Fault::NotYet(why) } else { Fault::Refused(why) }
    }

    /// Is the mark there?
    pub(crate) fn is_refused(&self) -> Result<bool, Fault> {
        let path = self.refused();
        path.try_exists().map_err(|error| self.fault(&path, &error))
    }

    /// Refused when it is.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if self.is_refused()? {
            return Err(Fault::Refused(format!(
                "{} is there: the PIN was refused once and is not tried again; `chancery token unlock`",
                self.refused().display()
            )));
        }
        Ok(())
    }

    /// Waits for the lock all signers of this token share.
    pub(crate) fn lock(&self) -> Result<File, Fault> {
        let path = self.lock_path();
        let file = self.lock_file().map_err(|error| self.fault(&path, &error))?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) if began.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(Fault::NotYet("another signer is logging in".to_owned()));
                }
                Err(std::fs::TryLockError::Error(error)) => return Err(self.fault(&path, &error)),
            }
        }
    }

    /// The same if nobody has it now.
    pub(super) fn try_lock(&self) -> Option<File> {
        let file = self.lock_file().ok()?;
        file.try_lock().is_ok().then_some(file)
    }

    fn lock_path(&self) -> PathBuf {
        self.directory.join(format!("pin-{}.lock", self.name))
    }

    fn lock_file(&self) -> io::Result<File> {
        std::fs::create_dir_all(&self.directory)?;
        OpenOptions::new().write(true).create(true).truncate(false).open(self.lock_path())
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), Fault> {
        let write = || {
            let mut file = File::create(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(|error| self.fault(path, &error))
    }

    /// Sees to it that [`Self::refuse`] needs no room on the disk. Before the PIN is touched.
    pub(crate) fn make_room(&self) -> Result<(), Fault> {
        let path = self.room(self.unanswered());
        match std::fs::metadata(&path) {
            Ok(spare) if spare.len() > 0 => Ok(()),
            _ => self.write(&path, "a PIN was refused\n"),
        }
    }

    /// A try begins, and is on disk when this returns: a module that dies or hangs within `C_Login` takes the process
    /// with it, and whoever starts it again must not go on for ever with what may be a wrong PIN. One that is `known`
    /// to be right in this boot may be tried as long as its HSM takes to come back, and so may one that a person gives.
    /// Gives how many there were before.
    pub(crate) fn begin(&self, known: bool) -> Result<usize, Fault> {
        self.begin_synced(known, |directory| File::open(directory)?.sync_all())
    }

    fn begin_synced(&self, known: bool, sync: impl Fn(&Path) -> io::Result<()>) -> Result<usize, Fault> {
        let tries = self.unanswered();
        if tries >= UNANSWERED && known {
            return Ok(tries);
        }
        if tries >= UNANSWERED {
            return Err(Fault::Refused(format!(
                "the PIN was tried {tries} times, and each time the process ended before the token answered, or its \
                 answer did not say whether the PIN is right; it is not tried again before `chancery token unlock`"
            )));
        }
        let (path, begun) = (self.room(tries), self.room(tries + 1));
        std::fs::rename(&path, &begun).map_err(|error| self.fault(&path, &error))?;
        if let Err(error) = sync(&self.directory) {
            // A disk that fails twice must not look like two tries.
            self.rename(&begun, &path);
            return Err(self.fault(&path, &error));
        }
        Ok(tries)
    }

    /// The token answered, and not that the PIN is wrong.
    pub(crate) fn answered(&self) {
        self.not_tried(0);
    }

    /// The token did not get as far as the PIN: there were as many tries as `before`.
    pub(crate) fn not_tried(&self, before: usize) {
        self.rename(&self.room(self.unanswered()), &self.room(before));
    }

    /// Is there when so many tries had no answer that there is no other.
    pub(crate) fn given_up(&self) -> PathBuf {
        self.room(UNANSWERED)
    }

    fn rename(&self, path: &Path, to: &Path) {
        if let Err(error) = std::fs::rename(path, to) {
            tracing::warn!(event = "pin-try-not-closed", path = %path.display(), %error);
        }
    }

    fn renamed(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to).and_then(|()| File::open(&self.directory)?.sync_all())
    }

    /// The PIN was refused: never again. On disk when this returns; when it cannot be, the process must end and not be
    /// started again by itself.
    pub(crate) fn refuse(&self, why: &str) -> Result<(), Fault> {
        let taken = self.renamed(&self.room(self.unanswered()), &self.refused());
        let _ = std::fs::remove_file(self.proof());
        // From here on it is the mark that counts, not what stands in it.
        let written = self.write(&self.refused(), &format!("{why}\n"));
        match (taken, written) {
            (Ok(()), _) | (_, Ok(())) => Ok(()),
            (Err(_), Err(fault)) => Err(Fault::Refused(format!("the PIN was refused ({why}), but {fault}"))),
        }
    }

    pub(super) fn prove(&self, stamp: Option<&Stamp>) -> Result<(), Fault> {
        if let Some(stamp) = stamp.filter(|stamp| !self.served(Some(stamp))) {
            self.write(&self.service(), &stamp.here)?;
        }
        self.prove_as(stamp, |stamp| &stamp.here)
    }

    /// Was a signer of this boot and place logged in to this token?
    pub(super) fn served(&self, stamp: Option<&Stamp>) -> bool {
        stamp.is_some_and(|stamp| says(&self.service(), |text| text == stamp.here))
    }

    /// A person had the PIN tried, and it was right.
    pub(crate) fn prove_unlocked(&self, stamp: Option<&Stamp>) -> Result<(), Fault> {
        self.prove_as(stamp, |stamp| &stamp.unlocked)
    }

    fn prove_as(&self, stamp: Option<&Stamp>, words: impl Fn(&Stamp) -> &str) -> Result<(), Fault> {
        let Some(words) = stamp.map(words) else {
            let why = "no proof of the PIN can be left: this boot has no id (CHANCERY_BOOT, /proc/sys)";
            return Err(Fault::NotYet(why.to_owned()));
        };
        if self.proof_says(|text| text == words) { Ok(()) } else { self.write(&self.proof(), words) }
    }

    pub(super) fn proved(&self, stamp: Option<&Stamp>) -> bool {
        stamp.is_some_and(|stamp| self.proof_says(|text| text == stamp.here || text == stamp.unlocked))
    }

    /// By a signer, and not by whoever unlocked.
    pub(super) fn proved_here(&self, stamp: Option<&Stamp>) -> bool {
        stamp.is_some_and(|stamp| self.proof_says(|text| text == stamp.here))
    }

    /// Was the last proof that of whoever unlocked?
    pub(super) fn is_unlocked(&self, stamp: Option<&Stamp>) -> bool {
        stamp.is_some_and(|stamp| self.proof_says(|text| text == stamp.unlocked))
    }

    fn proof_says(&self, good: impl Fn(&str) -> bool) -> bool {
        says(&self.proof(), good)
    }

    /// A person has seen to it. What was proved before is so no more: there may be another PIN now.
    pub(crate) fn clear(&self) -> io::Result<()> {
        for path in [self.proof(), self.refused()] {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) | Ok(()) => {}
            }
        }
        match self.unanswered() {
            0 => File::open(&self.directory)?.sync_all(),
            tries => self.renamed(&self.room(tries), &self.room(0)),
        }
    }
}

fn says(path: &Path, good: impl Fn(&str) -> bool) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| good(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stops_every_later_try_until_it_is_cleared() {
        let directory = tempfile::tempdir().unwrap();
        let marks = Marks::new(directory.path(), "0123");
        assert!(marks.check().is_ok());
        marks.refuse("CKR_PIN_INCORRECT").unwrap();
        assert!(matches!(marks.check(), Err(Fault::Refused(_))));
        assert!(Marks::new(directory.path(), "9").check().is_ok(), "another token's PIN is not concerned");
        marks.clear().unwrap();
        assert!(marks.check().is_ok());
    }

    #[test]
    fn a_mark_takes_the_place_of_its_spare_and_needs_no_room() {
        let directory = tempfile::tempdir().unwrap();
        let marks = Marks::new(directory.path(), "0123");
        marks.make_room().unwrap();
        assert!(marks.check().is_ok() && marks.room(0).exists());
        marks.refuse("CKR_PIN_INCORRECT").unwrap();
        assert!(marks.check().is_err() && !marks.room(0).exists());
        assert_eq!(std::fs::read_to_string(marks.refused()).unwrap(), "CKR_PIN_INCORRECT\n");
    }

    #[test]
    fn two_tries_without_an_answer_are_all_there_are() {
        let directory = tempfile::tempdir().unwrap();
        let marks = Marks::new(directory.path(), "0123");
        let begin = || marks.make_room().and_then(|()| marks.begin(false));
        // One that is answered counts no more, however often.
        for _ in 0..5 {
            begin().unwrap();
            marks.answered();
        }
        begin().unwrap();
        begin().unwrap();
        assert!(matches!(begin(), Err(Fault::Refused(_))));
        let next = Marks::new(directory.path(), "0123");
        assert!(matches!(next.begin(false), Err(Fault::Refused(_))), "nor by the next");
        assert!(next.begin(true).is_ok(), "a PIN that was right in this boot is not what ends the process");
        marks.clear().unwrap();
        begin().unwrap();
        // A refusal finds its room whatever the name is.
        marks.refuse("CKR_PIN_INCORRECT").unwrap();
        assert!(marks.check().is_err() && marks.unanswered() == 0);
    }

    #[test]
    fn a_full_disk_passes_and_a_directory_that_may_not_be_written_does_not() {
        let full = io::Error::from_raw_os_error;
        for code in [libc::ENOSPC, libc::EDQUOT, libc::EIO, libc::EROFS, libc::EFBIG] {
            assert!(passes(&full(code)), "{code}");
        }
        for code in [libc::EACCES, libc::EPERM, libc::ENOENT, libc::ENOTDIR] {
            assert!(!passes(&full(code)), "{code}");
        }
    }

    #[test]
    fn a_proof_counts_in_the_boot_and_place_it_was_made_in() {
        let directory = tempfile::tempdir().unwrap();
        let marks = Marks::new(directory.path(), "0123");
        let stamp = |boot, place| Stamp::of(boot, Path::new(place));
        let (here, there) = (stamp("boot-1", "/run/a"), stamp("boot-1", "/run/b"));
        let later = stamp("boot-2", "/run/a");
        marks.prove(here.as_ref()).unwrap();
        assert!(marks.proved(here.as_ref()) && !marks.proved(there.as_ref()));
        assert!(!marks.proved(later.as_ref()) && !marks.proved(None));
        assert!(marks.prove(None).is_err());
        // Whoever unlocks knows the boot, and not where the signers are.
        marks.refuse("CKR_PIN_INCORRECT").unwrap();
        marks.clear().unwrap();
        assert!(marks.served(here.as_ref()) && !marks.served(there.as_ref()) && !marks.served(later.as_ref()));
        assert!(!marks.proved(here.as_ref()));
        marks.prove_unlocked(there.as_ref()).unwrap();
        assert!(marks.proved(here.as_ref()) && marks.proved(there.as_ref()) && !marks.proved(later.as_ref()));
        marks.prove(here.as_ref()).unwrap();
        assert!(marks.proved(here.as_ref()) && !marks.proved(there.as_ref()));
        assert_eq!(stamp("0123-45\n", "/run/a"), stamp("012345", "/run/a"));
        assert!(stamp(" \n", "/run/a").is_none() && Stamp::now().is_some());
    }

    #[test]
    fn a_try_that_could_not_be_put_on_disk_was_none() {
        let directory = tempfile::tempdir().unwrap();
        let marks = Marks::new(directory.path(), "0123");
        for _ in 0..3 {
            marks.make_room().unwrap();
            let failing = marks.begin_synced(false, |_| Err(io::Error::from_raw_os_error(libc::EIO)));
            assert!(matches!(failing, Err(Fault::NotYet(_))), "{failing:?}");
        }
        assert_eq!(marks.begin(false).unwrap(), 0);
        assert_eq!(marks.begin(false).unwrap(), 1);
    }

    #[test]
    fn a_try_that_did_not_get_as_far_as_the_pin_leaves_the_count_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let marks = Marks::new(directory.path(), "0123");
        marks.make_room().unwrap();
        assert_eq!(marks.begin(false).unwrap(), 0);
        for _ in 0..3 {
            let before = marks.begin(false).unwrap();
            assert_eq!(before, 1);
            marks.not_tried(before);
        }
        assert!(!marks.room(UNANSWERED).exists());
        marks.begin(false).unwrap();
        assert!(marks.room(UNANSWERED).exists() && marks.begin(false).is_err());
    }

    #[test]
    fn a_serial_number_cannot_leave_the_directory() {
        let marks = Marks::new(Path::new("/state"), "../../etc/x");
        assert!(!marks.refused().to_string_lossy().contains(".."));
    }
}
