//! An HSM that is elsewhere: some octets to a server and back, over a connection of one's own, as a vendor's client
//! exchanges them in a call.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// Is somebody there who answers?
pub(crate) fn reached(how: &str, place: &str) -> bool {
    let reached = match how {
        "tcp" => tcp(place),
        "unix" => UnixStream::connect(place).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            greet(stream)
        }),
        _ => device(place),
    };
    reached.inspect_err(|error| eprintln!("fault module: {how} {place}: {error}")).is_ok()
}

fn tcp(place: &str) -> io::Result<()> {
    let address: SocketAddr = place.parse().map_err(io::Error::other)?;
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    greet(stream)
}

fn greet(mut stream: impl Read + Write) -> io::Result<()> {
    stream.write_all(b"hello")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    if &answer == b"world" { Ok(()) } else { Err(io::Error::other("another answer")) }
}

/// RNDGETENTCNT of linux/random.h, which every device of the kernel's generator knows.
fn device(place: &str) -> io::Result<()> {
    let device = std::fs::File::options().read(true).write(true).open(place)?;
    let mut count: libc::c_int = 0;
    // SAFETY: the command writes one int there.
    match unsafe { libc::ioctl(device.as_raw_fd(), 0x8004_5200, &raw mut count) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
