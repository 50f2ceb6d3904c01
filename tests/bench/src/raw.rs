//! Raw `C_Sign` in one process: nothing but the module, through the same bindings the signer uses, one
//! session a thread. Its rate is the ceiling; its processor time is what a signature costs without us.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};

use crate::Outcome;
use crate::errand::wait_for_the_word;

/// Signatures before the measurement: caches fill, the token's files are read.
const WARM_UP: usize = 30;
/// `DigestInfo` of SHA-256 up to the digest.
const SHA256: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// Arguments of `raw`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    module: PathBuf,
    #[arg(long)]
    pin_file: PathBuf,
    /// `CKA_ID`, one octet pair after another, hexadecimal
    #[arg(long)]
    id: String,
    /// rsa-… or p-…
    #[arg(long)]
    algorithm: String,
    #[arg(long)]
    threads: usize,
    #[arg(long)]
    seconds: f64,
}

/// Signs for a while and prints how often.
pub(crate) fn run(args: &Args) -> Outcome<()> {
    let context = Pkcs11::new(&args.module)?;
    context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    let slot = (context.get_slots_with_initialized_token()?.into_iter().next()).ok_or("no token")?;
    let pin = std::fs::read_to_string(&args.pin_file)?.trim_end().to_owned();
    let id = (0..args.id.len() / 2)
        .map(|at| u8::from_str_radix(&args.id[2 * at..2 * at + 2], 16))
        .collect::<Result<Vec<u8>, _>>()?;
    let first = context.open_ro_session(slot)?;
    first.login(UserType::User, Some(&pin.into_boxed_str().into()))?;
    let found = first.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(id)])?;
    let key = *found.first().ok_or("no such key")?;
    let rsa = args.algorithm.starts_with("rsa");
    let data = if rsa { [&SHA256[..], &[7; 32]].concat() } else { vec![7; 32] };

    let (over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (warm, go) = (Arc::new(Barrier::new(args.threads + 1)), Arc::new(Barrier::new(args.threads + 1)));
    let mut threads = Vec::new();
    for _ in 0..args.threads {
        let session = context.open_ro_session(slot)?;
        let (over, count, warm, go) = (over.clone(), count.clone(), warm.clone(), go.clone());
        let data = data.clone();
        threads.push(std::thread::spawn(move || -> Result<(), cryptoki::error::Error> {
            let mechanism = if rsa { Mechanism::RsaPkcs } else { Mechanism::Ecdsa };
            let warmed = (0..WARM_UP).try_for_each(|_| sign(&session, &mechanism, key, &data));
            warm.wait();
            go.wait();
            warmed?;
            while !over.load(Ordering::Relaxed) {
                sign(&session, &mechanism, key, &data)?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }));
    }
    warm.wait();
    let start = wait_for_the_word()?;
    go.wait();
    std::thread::sleep(Duration::from_secs_f64(args.seconds));
    let done = start.done(count.load(Ordering::Relaxed))?;
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    println!("{}", serde_json::to_string(&done)?);
    Ok(())
}

fn sign(
    session: &Session,
    mechanism: &Mechanism<'_>,
    key: ObjectHandle,
    data: &[u8],
) -> Result<(), cryptoki::error::Error> {
    session.sign(mechanism, key, data).map(drop)
}
