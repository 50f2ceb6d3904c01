//! The instructions, one a line; `#` begins a comment. The file is read again when it was replaced (another
//! inode, time or size), which costs one `stat` a call. Writers rename a whole file into place.
//!
//! ```text
//! sign_delay_us 10000        # C_Sign sleeps that long, outside any lock, before the real call
//! fail C_Sign 0x5 3          # C_Sign answers 0x5 until it has done so 3 times since the counters began
//! fail_after C_Login 0x5 7   # C_Login answers 0x5 once there were 7 calls since the counters began
//! hang C_Sign                # C_Sign never returns
//! hang exit                  # what runs when a process exits never returns, once C_Initialize has been called with this
//! slow C_Login 1500          # C_Login sleeps that many milliseconds before the real call
//! flip_signature             # one bit of every signature is wrong
//! removed                    # the token is out of its slot
//! no_objects                 # C_FindObjects finds nothing
//! no_pin                     # the token says that no PIN is set
//! move_handles               # object handles are others after each C_Initialize
//! reach tcp 127.0.0.1:1792   # C_Initialize and each C_Sign greet a server there, and fail with 0x30 where it does not
//! reach unix /run/daemon     # answer, as the client of an HSM behind TCP or a daemon would
//! reach device /dev/urandom  # or give a command to a device
//! ```

use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, OnceLock};

/// What to do now.
#[derive(Debug, Default)]
pub(crate) struct Control {
    pub(crate) sign_delay_us: u64,
    /// Function, code, limit.
    pub(crate) fail: Vec<(String, u64, u64)>,
    /// Function, code, calls before.
    pub(crate) fail_after: Vec<(String, u64, u64)>,
    pub(crate) hang: Vec<String>,
    /// Function, milliseconds.
    pub(crate) slow: Vec<(String, u64)>,
    pub(crate) flip_signature: bool,
    pub(crate) removed: bool,
    pub(crate) no_objects: bool,
    pub(crate) no_pin: bool,
    pub(crate) move_handles: bool,
    /// How the HSM is reached, and where.
    pub(crate) reach: Option<(String, String)>,
}

type Stamp = (u64, i64, i64, u64);

struct Reader {
    path: Option<std::path::PathBuf>,
    seen: Mutex<(Option<Stamp>, Arc<Control>)>,
}

/// The instructions that hold now.
pub(crate) fn now() -> Arc<Control> {
    static READER: OnceLock<Reader> = OnceLock::new();
    let reader = READER.get_or_init(|| Reader {
        path: std::env::var_os("CHANCERY_FAULT_CONTROL").map(Into::into),
        seen: Mutex::new((None, Arc::new(Control::default()))),
    });
    let stamp = reader.path.as_ref().and_then(|path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size()))
    });
    let mut seen = reader.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if seen.0 != stamp {
        let text = reader.path.as_ref().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        *seen = (stamp, Arc::new(parse(&text)));
    }
    Arc::clone(&seen.1)
}

fn parse(text: &str) -> Control {
    let mut control = Control::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split('#').next().unwrap_or("").split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            ["sign_delay_us", delay] => control.sign_delay_us = number(delay),
            ["fail", function, code, limit] => {
                control.fail.push(((*function).to_owned(), number(code), number(limit)));
            }
            ["fail_after", function, code, calls] => {
                control.fail_after.push(((*function).to_owned(), number(code), number(calls)));
            }
            ["hang", function] => control.hang.push((*function).to_owned()),
            ["slow", function, delay] => control.slow.push(((*function).to_owned(), number(delay))),
            ["flip_signature"] => control.flip_signature = true,
            ["removed"] => control.removed = true,
            ["no_objects"] => control.no_objects = true,
            ["no_pin"] => control.no_pin = true,
            ["move_handles"] => control.move_handles = true,
            ["reach", how @ ("tcp" | "unix" | "device"), place] => {
                control.reach = Some(((*how).to_owned(), (*place).to_owned()));
            }
            // A test that misspells its instruction must not pass.
            _ => panic!("unknown instruction: {line}"),
        }
    }
    control
}

fn number(word: &str) -> u64 {
    let parsed = match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => word.parse(),
    };
    parsed.unwrap_or_else(|_| panic!("not a number: {word}"))
}
