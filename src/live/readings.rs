//! What becomes of readings: the newest is shown, letters become text, and each may be a line.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result};

use super::pipeline::ReadingSink;
use crate::recognize::Reading;
use crate::recognize::practice::Practice;
use crate::recognize::speller::{Speller, Typed};
use crate::sink::lines;
use crate::stats::{Stage, Stats};

/// The newest reading, handed from the thread that reads to the one that shows.
#[derive(Debug, Clone, Default)]
pub struct NewestReading(Arc<Mutex<Option<Arc<Reading>>>>);

impl NewestReading {
    /// Puts a newer one in.
    pub fn set(&self, reading: Reading) {
        *self.0.lock().unwrap_or_else(|held| held.into_inner()) = Some(Arc::new(reading));
    }

    /// Looks at it.
    pub fn get(&self) -> Option<Arc<Reading>> {
        let reading = self.0.lock().unwrap_or_else(|held| held.into_inner());
        reading.clone()
    }
}

/// A speller that readings write with and keys change.
#[derive(Debug, Clone)]
pub struct SharedSpeller(Arc<Mutex<Speller>>);

impl SharedSpeller {
    /// Shares a speller.
    pub fn new(speller: Speller) -> SharedSpeller {
        SharedSpeller(Arc::new(Mutex::new(speller)))
    }

    /// The speller, which nobody else uses meanwhile.
    pub fn lock(&self) -> MutexGuard<'_, Speller> {
        self.0.lock().unwrap_or_else(|held| held.into_inner())
    }
}

/// A practice that readings further and the screen shows.
#[derive(Debug, Clone)]
pub struct SharedPractice(Arc<Mutex<Practice>>);

impl SharedPractice {
    /// Shares a practice.
    pub fn new(practice: Practice) -> SharedPractice {
        SharedPractice(Arc::new(Mutex::new(practice)))
    }

    /// How far it has got.
    pub fn get(&self) -> Practice {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Practice> {
        self.0.lock().unwrap_or_else(|held| held.into_inner())
    }
}

/// Takes readings from the thread that reads letters.
pub struct Readings {
    newest: NewestReading,
    speller: Option<SharedSpeller>,
    practice: Option<SharedPractice>,
    lines: Option<Box<dyn Write + Send>>,
    /// The last reading's media time.
    time: Duration,
    stats: Stats,
}

impl Readings {
    /// Puts readings into `newest`, writes with `speller` and to `lines`, and furthers `practice`
    /// with the letters that are typed.
    pub fn new(
        newest: NewestReading,
        speller: Option<SharedSpeller>,
        practice: Option<SharedPractice>,
        lines: Option<Box<dyn Write + Send>>,
        stats: Stats,
    ) -> Readings {
        Readings {
            newest,
            speller,
            practice,
            lines,
            time: Duration::ZERO,
            stats,
        }
    }
}

impl Readings {
    /// Lets the practice know what was typed. `false` where nobody listens any more and, without a
    /// screen, once all letters were signed.
    fn practise(&mut self, changes: &[Typed]) -> io::Result<bool> {
        let Some(practice) = &self.practice else {
            return Ok(true);
        };
        let mut practice = practice.lock();
        let steps = practice.read(changes);
        let Some(lines) = &mut self.lines else {
            return Ok(true);
        };
        let mut goes_on = practice.asked().is_some();
        for step in &steps {
            goes_on &= lines::write_practice(step, self.time, lines)?;
        }
        Ok(goes_on)
    }
}

impl ReadingSink for Readings {
    fn take(&mut self, reading: Reading) -> Result<bool> {
        self.time = reading.time;
        let (changes, text) = match &self.speller {
            Some(speller) => {
                let mut speller = speller.lock();
                (speller.read(&reading), speller.text().to_owned())
            }
            None => Default::default(),
        };
        let mut goes_on = true;
        if let Some(lines) = &mut self.lines {
            let context = "cannot write a reading";
            goes_on = lines::write(&reading, &text, lines).context(context)?;
            for typed in &changes {
                goes_on &= lines::write_change(typed, reading.time, lines).context(context)?;
            }
            self.stats
                .time(Stage::AgeAtPresent, reading.captured.elapsed());
        }
        goes_on &= self.practise(&changes).context("cannot write a letter")?;
        self.newest.set(reading);
        Ok(goes_on)
    }

    fn end(&mut self) -> Result<()> {
        let (Some(lines), Some(speller)) = (&mut self.lines, &self.speller) else {
            return Ok(());
        };
        let text = speller.lock().text().to_owned();
        if !text.is_empty() {
            lines::write_text(&text, self.time, lines).context("cannot write the text")?;
        }
        Ok(())
    }
}
