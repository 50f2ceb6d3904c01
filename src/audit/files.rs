//! The files of a record in order, and one file frame by frame. Reading only: it tells a torn end from
//! damage and leaves both to its caller.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::format::{HEADER, Header, Kind, PREFIX, length};

/// Numbers of the files of that kind in a directory, ascending.
///
/// # Errors
/// When the directory cannot be read.
pub fn numbers(directory: &Path, kind: Kind) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| kind.number(name)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// What stands next in a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A whole frame, without its lengths.
    Frame(Vec<u8>),
    /// The file ends where a frame ends.
    End,
    /// The file ends within a frame, or from within its lengths on in zeros: a write that did not finish.
    Torn,
    /// Octets that no unfinished write leaves behind.
    Broken,
}

/// Reads the frames of one file.
#[derive(Debug)]
pub struct Frames {
    reader: BufReader<File>,
    header: Option<Header>,
    offset: u64,
}

impl Frames {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// What the kernel says; `UnexpectedEof` when the file is shorter than a header.
    pub fn open(directory: &Path, kind: Kind, number: u32) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(256 * 1024, File::open(directory.join(kind.file(number)))?);
        let mut octets = [0; HEADER];
        reader.read_exact(&mut octets)?;
        Ok(Self { reader, header: Header::decode(&octets, kind), offset: HEADER as u64 })
    }

    /// The header, when it is one of ours.
    #[must_use]
    pub fn header(&self) -> Option<Header> {
        self.header
    }

    /// Where the next frame begins.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next frame. After anything but [`Step::Frame`] it stands where it stood, so a file that grows can
    /// be asked again.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn step(&mut self) -> io::Result<Step> {
        let step = self.attempt()?;
        if let Step::Frame(frame) = &step {
            self.offset += (PREFIX + frame.len()) as u64;
        } else {
            self.reader.seek(SeekFrom::Start(self.offset))?;
        }
        Ok(step)
    }

    /// Is this frame, the one just given, which is not as it should be, what a write leaves whose first octets alone
    /// came as far as the disk: is its last octet zero, and all that follow?
    ///
    /// # Errors
    /// What the kernel says.
    pub fn is_torn(&mut self, frame: &[u8]) -> io::Result<bool> {
        let zeros = frame.last() == Some(&0) && self.only_zeros()?;
        self.reader.seek(SeekFrom::Start(self.offset))?;
        Ok(zeros)
    }

    /// Takes the frame just given back: it is given again.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn take_back(&mut self, frame: &[u8]) -> io::Result<()> {
        self.offset -= (PREFIX + frame.len()) as u64;
        self.reader.seek(SeekFrom::Start(self.offset)).map(|_| ())
    }

    fn attempt(&mut self) -> io::Result<Step> {
        let mut prefix = [0; PREFIX];
        match fill(&mut self.reader, &mut prefix)? {
            0 => return Ok(Step::End),
            PREFIX => {}
            _ => return Ok(Step::Torn),
        }
        let Some(length) = length(prefix) else {
            let zeros = prefix.last() == Some(&0) && self.only_zeros()?;
            return Ok(if zeros { Step::Torn } else { Step::Broken });
        };
        let mut frame = vec![0; length];
        let whole = fill(&mut self.reader, &mut frame)? == length;
        Ok(if whole { Step::Frame(frame) } else { Step::Torn })
    }

    fn only_zeros(&mut self) -> io::Result<bool> {
        let mut octets = [0; 4096];
        loop {
            match self.reader.read(&mut octets)? {
                0 => return Ok(true),
                length if octets[..length].iter().any(|octet| *octet != 0) => return Ok(false),
                _ => {}
            }
        }
    }
}

/// Reads until the buffer is full or the file ends; gives how much there was.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
