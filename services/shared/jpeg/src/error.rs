//! Why a JPEG cannot be read.

use std::io;

/// Why nothing, or nothing more, can be read.
///
/// Files that are cut off or damaged after their first scan began are no errors: what is
/// there is answered, and [`Outcome`](crate::Outcome) tells.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source of the bytes failed.
    #[error("the source cannot be read")]
    Source(#[from] io::Error),
    /// The first bytes are not those of a JPEG.
    #[error("no start of image")]
    NotJpeg,
    /// The file ends before its first scan.
    #[error("the file ends before its first scan")]
    CutOff,
    /// A JPEG, of a kind that this reader leaves to others.
    #[error("not supported: {0}")]
    Unsupported(#[from] Unsupported),
    /// A segment does not hold what the standard asks for.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A scan before any frame.
    #[error("a scan without a frame")]
    NoFrame,
    /// Frames after the first belong to the hierarchical kind.
    #[error("a second frame")]
    SecondFrame,
    /// A scan uses a Huffman table that the file does not define.
    #[error("Huffman table {0} is not there")]
    NoHuffmanTable(u8),
    /// A component uses a quantisation table that the file does not define.
    #[error("quantisation table {0} is not there")]
    NoQuantisationTable(u8),
    /// More than [`Limits::pixels`](crate::Limits::pixels).
    #[error("{pixels} pixels, more than {most}")]
    TooManyPixels {
        /// Width times height.
        pixels: u64,
        /// The limit.
        most: u64,
    },
    /// More than [`Limits::memory_bytes`](crate::Limits::memory_bytes).
    #[error("decoding needs {bytes} bytes of memory, more than {most}")]
    TooMuchMemory {
        /// What decoding would need.
        bytes: u64,
        /// The limit.
        most: u64,
    },
}

/// Kinds of JPEG that are rare enough to be left to other readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// Arithmetic coding in place of Huffman's.
    #[error("arithmetic coding")]
    Arithmetic,
    /// The lossless process.
    #[error("lossless coding")]
    Lossless,
    /// The hierarchical process.
    #[error("hierarchical coding")]
    Hierarchical,
    /// Samples that have not 8 bits.
    #[error("samples of {0} bits")]
    Precision(u8),
    /// The number of lines comes after the first scan.
    #[error("a number of lines that is only defined later (DNL)")]
    LinesLater,
    /// A number of components that no color model has.
    #[error("{0} components")]
    Components(u8),
    /// The sampling factors ask for more than ten blocks in an MCU.
    #[error("more than ten blocks in an MCU")]
    LargeMcu,
}
