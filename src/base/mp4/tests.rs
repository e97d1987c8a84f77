use std::io::Cursor;
use std::time::Duration;

use super::writer::put_box;
use super::*;

fn track() -> Track {
    Track {
        width: 640,
        height: 480,
        sps: vec![0x67, 66, 192, 30, 1, 2, 3],
        pps: vec![0x68, 4, 5],
    }
}

/// Ten pictures at uneven times, each a byte more than the one before.
fn recording() -> (Vec<u8>, Vec<Duration>) {
    let times: Vec<_> = [0, 33, 67, 140, 180, 260, 261, 700, 1700, 1733]
        .map(Duration::from_millis)
        .into();
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, &track()).unwrap();
    for (at, &time) in times.iter().enumerate() {
        writer.push(time, at == 0, &vec![at as u8; at + 5]).unwrap();
    }
    writer.flush().unwrap();
    assert_eq!(writer.written(), file.len() as u64);
    (file, times)
}

fn read(file: &[u8]) -> Option<Index> {
    read_index(&mut Cursor::new(file)).unwrap()
}

#[test]
fn what_was_written_is_read_back_with_its_times() {
    let (file, times) = recording();
    let index = read(&file).unwrap();
    assert_eq!(index.track, track());
    assert_eq!(index.samples.len(), times.len());
    for (at, (sample, time)) in index.samples.iter().zip(&times).enumerate() {
        assert!(sample.time.abs_diff(*time) < Duration::from_micros(12));
        assert_eq!(sample.key, at == 0);
        let data = &file[sample.offset as usize..][..sample.size as usize];
        assert_eq!(data, vec![at as u8; at + 5]);
    }
}

#[test]
fn another_reader_finds_the_same_samples() {
    let (file, _) = recording();
    let ours = read(&file).unwrap();
    let theirs = re_mp4::Mp4::read_bytes(&file).unwrap();
    let track = theirs.tracks().values().next().unwrap();
    assert_eq!((track.width, track.height), (640, 480));
    assert_eq!(track.samples.len(), ours.samples.len());
    for (theirs, ours) in track.samples.iter().zip(&ours.samples) {
        assert_eq!(
            (theirs.offset, theirs.size),
            (ours.offset, ours.size.into())
        );
        assert_eq!(theirs.is_sync, ours.key);
        let time = theirs.composition_timestamp as f64 / theirs.timescale as f64;
        assert!((time - ours.time.as_secs_f64()).abs() < 1e-6);
    }
}

#[test]
fn a_file_cut_anywhere_keeps_its_complete_pictures() {
    let (file, _) = recording();
    let whole = read(&file).unwrap();
    let mut last = 0;
    for length in 0..file.len() {
        let count = read(&file[..length]).map_or(0, |index| {
            assert_eq!(index.samples[..], whole.samples[..index.samples.len()]);
            index.samples.len()
        });
        assert!(
            count >= last,
            "{length} bytes hold fewer pictures than less"
        );
        last = count;
    }
    assert_eq!(last, whole.samples.len() - 1);
}

#[test]
fn a_killed_recorder_loses_less_than_half_a_second() {
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, &track()).unwrap();
    for frame in 0..60 {
        let time = Duration::from_millis(frame * 33);
        writer.push(time, false, &[1; 50]).unwrap();
    }
    drop(writer);
    let last = read(&file).unwrap().samples.last().unwrap().time;
    assert!(last > Duration::from_millis(59 * 33 - 500), "{last:?}");
}

#[test]
fn a_pause_that_was_flushed_does_not_shift_later_times() {
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, &track()).unwrap();
    for time in [0, 40] {
        writer
            .push(Duration::from_millis(time), false, &[0; 8])
            .unwrap();
    }
    writer.flush().unwrap();
    writer.push(Duration::from_secs(5), false, &[0; 8]).unwrap();
    writer.flush().unwrap();
    let times: Vec<_> = read(&file)
        .unwrap()
        .samples
        .iter()
        .map(|s| s.time)
        .collect();
    assert_eq!(times, [0, 40, 5000].map(Duration::from_millis));
}

#[test]
fn any_damaged_byte_is_survived() {
    let (file, _) = recording();
    for at in 0..file.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut damaged = file.clone();
            damaged[at] = value;
            if let Some(index) = read(&damaged) {
                assert!(index.samples.len() <= 10);
            }
        }
    }
}

#[test]
fn a_box_that_claims_more_than_there_is_or_than_it_needs_takes_no_memory() {
    let (file, _) = recording();
    let moof = file.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    for claim in [u32::MAX, 1 << 30, 7, 0] {
        let mut claiming = file.clone();
        claiming[moof..moof + 4].copy_from_slice(&claim.to_be_bytes());
        // What lies before it stays readable.
        assert_eq!(read(&claiming).unwrap().samples.len(), 0, "{claim}");
    }
    // A header box that is really there, but larger than any that is needed.
    let mut large = file[..moof].to_vec();
    put_box(&mut large, b"moof", |b| b.resize(2 << 20, 0));
    assert!(read(&large).is_none());

    let sample = file.windows(4).position(|kind| kind == b"trun").unwrap() + 20;
    let mut claiming = file.clone();
    claiming[sample..sample + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    let index = read(&claiming).unwrap();
    assert!(index.samples.iter().all(|sample| sample.size < 100));
}

#[test]
fn files_of_another_make_are_left_to_others() {
    assert!(read(b"").is_none());
    assert!(read(b"This is a text file, whatever its name.").is_none());
    let mut no_track = Vec::new();
    put_box(&mut no_track, b"ftyp", |b| b.extend(b"isom\0\0\0\0"));
    assert!(read(&no_track).is_none());
}
