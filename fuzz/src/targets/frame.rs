//! A stream of bytes from a peer, cut into commands.

use bytes::BytesMut;
use rmq_remoting::command::Command;
use rmq_remoting::frame::{FrameDecoder, FrameError, MAX_FRAME};

use super::wire::survives;

/// What a stream came to.
#[derive(Debug, PartialEq)]
struct Read {
    commands: Vec<Command>,
    error: Option<FrameError>,
    left: usize,
}

/// Reads a stream that arrives in pieces which end at `cuts`, and at the end.
fn read(data: &[u8], cuts: impl Iterator<Item = usize>) -> Read {
    let mut decoder = FrameDecoder::new();
    let mut input = BytesMut::new();
    let mut read = Read {
        commands: Vec::new(),
        error: None,
        left: 0,
    };
    let mut at = 0;
    for cut in cuts.chain([data.len()]) {
        input.extend_from_slice(&data[at..cut]);
        at = cut;
        while read.error.is_none() {
            let before = input.len();
            match decoder.decode(&mut input) {
                Ok(Some(command)) => {
                    let taken = before - input.len();
                    assert!(
                        (8..=MAX_FRAME).contains(&taken),
                        "a frame took {taken} bytes"
                    );
                    assert!(command.body.len() <= taken - 8);
                    read.commands.push(command);
                }
                Ok(None) => {
                    assert_eq!(input.len(), before, "half a frame was taken");
                    break;
                }
                Err(error) => read.error = Some(error),
            }
        }
        if read.error.is_some() {
            break;
        }
    }
    if read.error.is_none() {
        read.left = input.len();
    }
    read
}

/// A stream means the same however it is cut into pieces, whatever follows a frame leaves it as it
/// is, and what was read can be written and read again.
///
/// # Panics
///
/// What the target checks does not hold: the fuzzer takes the panic as a find.
pub fn frame(data: &[u8]) {
    let whole = read(data, std::iter::empty());
    assert!(whole.commands.len() <= data.len() / 8);

    // Byte by byte, as far as that does not take too long; then at a place that the data choose.
    let single = data.len().min(64);
    let halved = data.len() / 2;
    let cuts = (1..=single).chain((halved > single).then_some(halved));
    assert_eq!(read(data, cuts), whole, "cutting changed the meaning");

    if whole.error.is_none() {
        let mut longer = data[..data.len() - whole.left].to_vec();
        longer.extend_from_slice(&[0xff; 8]);
        let longer = read(&longer, std::iter::empty());
        assert_eq!(longer.commands, whole.commands, "it read what follows");
        assert_eq!(longer.error, Some(FrameError::Length { total: -1 }));
    }
    whole.commands.iter().for_each(survives);
}
