//! Tables as people and their spreadsheets write them: separated by commas, semicolons or tabs, in
//! UTF-8 or UTF-16, with column names in any case and order.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use csv::StringRecord;

use super::files::open_bounded;

/// A first line of more bytes than this is none of a table.
const MOST_HEAD: usize = 1 << 16;

/// What separates columns; of several that a head holds, the one of which it holds most.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// A table whose head was read; its rows come one by one.
pub struct Table {
    rows: csv::Reader<Box<dyn Read + Send>>,
    /// The columns' names: lower case, `_` for spaces.
    columns: Vec<String>,
    separator: u8,
    record: StringRecord,
    /// Lines before the head.
    skipped: u64,
}

/// One row of a table.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    record: &'a StringRecord,
    separator: u8,
    /// Its line in the file, from 1.
    pub line: u64,
}

impl Table {
    /// Opens a table of at most `most` bytes and reads its head.
    ///
    /// # Errors
    /// When it cannot be read, is larger, or is no text; what it is instead is said where that shows.
    pub fn open(path: &Path, most: u64) -> Result<Table> {
        let file = open_bounded(path, most)?;
        let mut text = as_utf8(BufReader::new(file))?;
        let mut skipped = 0;
        // Spreadsheets may say in a line of its own what separates.
        let mut head = first_line(&mut *text)?;
        let mut separator = None;
        if let Some(named) = head
            .trim()
            .strip_prefix("sep=")
            .and_then(|s| s.bytes().next())
        {
            separator = Some(named);
            skipped = 1;
            head = first_line(&mut *text)?;
        }
        ensure!(
            !head.trim().is_empty(),
            "its first line, which names the columns (path and others), is empty"
        );
        let separator = separator.unwrap_or_else(|| separator_of(&head));
        let whole = Cursor::new(head.clone().into_bytes()).chain(text);
        let mut rows = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .delimiter(separator)
            .from_reader(Box::new(whole) as Box<dyn Read + Send>);
        let columns: Vec<String> = rows.headers()?.iter().map(plain).collect();
        if let [only] = &columns[..]
            && let Some(other) = ['|', ':'].into_iter().find(|&c| only.contains(c))
        {
            bail!("its columns are separated by {other:?}; commas, semicolons and tabs are read");
        }
        Ok(Table {
            rows,
            columns,
            separator,
            record: StringRecord::new(),
            skipped,
        })
    }

    /// Where a column is, whatever the case of its name, and with spaces for `_`.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// Where these columns are.
    ///
    /// # Errors
    /// Naming all that are missing, and those that are there.
    pub fn needed<const N: usize>(&self, names: [&str; N]) -> Result<[usize; N]> {
        let missing: Vec<&str> = (names.iter().copied())
            .filter(|name| self.column(name).is_none())
            .collect();
        ensure!(
            missing.is_empty(),
            "it has no column {}; its columns are {}",
            missing.join(", "),
            self.columns.join(", ")
        );
        Ok(names.map(|name| self.column(name).unwrap_or_default()))
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// When the row is damaged, or has more or fewer fields than there are columns.
    pub fn next_row(&mut self) -> Result<Option<Row<'_>>> {
        if !self.rows.read_record(&mut self.record)? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        Ok(Some(Row {
            record: &self.record,
            separator: self.separator,
            line: line + self.skipped,
        }))
    }
}

impl<'a> Row<'a> {
    /// The field of a column; empty where the row has none.
    pub fn field(&self, column: usize) -> &'a str {
        self.record.get(column).unwrap_or_default()
    }

    /// A number; where commas do not separate columns, one may stand for the point.
    ///
    /// # Errors
    /// When the field is no number.
    pub fn number(&self, column: usize) -> Result<f32> {
        let field = self.field(column);
        let parsed = match self.separator {
            b',' => field.parse(),
            _ => field.replace(',', ".").parse(),
        };
        parsed
            .ok()
            .with_context(|| format!("{field:?} is not a number"))
    }

    /// The path in a column, from `folder` on; `\` separates folders, too, where nothing of that name
    /// is there.
    pub fn path(&self, column: usize, folder: &Path) -> PathBuf {
        let field = self.field(column);
        let path = folder.join(field);
        match field.contains('\\') && !path.exists() {
            true => folder.join(field.replace('\\', "/")),
            false => path,
        }
    }
}

/// A column's name as it is looked for.
fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-'], "_")
}

fn separator_of(head: &str) -> u8 {
    let count = |separator: u8| head.bytes().filter(|&byte| byte == separator).count();
    let most = SEPARATORS.into_iter().rev().max_by_key(|&s| count(s));
    most.unwrap_or(b',')
}

/// The content without its byte order mark, in UTF-8.
fn as_utf8(mut file: BufReader<File>) -> Result<Box<dyn BufRead + Send>> {
    let start = file.fill_buf()?;
    match start {
        [0xef, 0xbb, 0xbf, ..] => {
            file.consume(3);
            Ok(Box::new(file))
        }
        [0xff, 0xfe, ..] => from_utf16(file, u16::from_le_bytes),
        [0xfe, 0xff, ..] => from_utf16(file, u16::from_be_bytes),
        [b'P', b'K', 3, 4, ..] => {
            bail!("it is a spreadsheet's own file, not a table in text: save it as CSV (UTF-8)")
        }
        start => {
            ensure!(
                !start.contains(&0),
                "it is no text in UTF-8, or in UTF-16 with a byte order mark: save it as CSV (UTF-8)"
            );
            Ok(Box::new(file))
        }
    }
}

fn from_utf16(
    mut file: BufReader<File>,
    unit: fn([u8; 2]) -> u16,
) -> Result<Box<dyn BufRead + Send>> {
    let mut bytes = Vec::new();
    file.consume(2);
    file.read_to_end(&mut bytes)?;
    let (units, rest) = bytes.as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(units.iter().copied().map(unit)).collect();
    match text {
        Ok(text) if rest.is_empty() => Ok(Box::new(Cursor::new(text.into_bytes()))),
        _ => bail!("it is damaged UTF-16: save it as CSV (UTF-8)"),
    }
}

/// The first line with its end.
fn first_line(text: &mut (dyn BufRead + Send)) -> Result<String> {
    let mut line = Vec::new();
    loop {
        let part = text.fill_buf()?;
        let end = part.iter().position(|&byte| byte == b'\n' || byte == b'\r');
        let taken = end.map_or(part.len(), |at| at + 1);
        line.extend_from_slice(&part[..taken]);
        let is_last = taken == 0;
        text.consume(taken);
        ensure!(
            line.len() <= MOST_HEAD,
            "its first line, which names the columns, is too long for a table's"
        );
        // An empty line is the second half of the end of a line before.
        if is_last || end.is_some() && line.iter().any(|byte| !b"\r\n".contains(byte)) {
            break;
        }
    }
    String::from_utf8(line)
        .ok()
        .context("its first line is not UTF-8: save it as CSV (UTF-8)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The fields `path` and `x0` of a table's only row.
    fn read(bytes: &[u8]) -> Result<(String, f32)> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("t.csv");
        fs::write(&path, bytes)?;
        let mut table = Table::open(&path, 1 << 20)?;
        let [path, x0] = table.needed(["path", "x0"])?;
        let row = table.next_row()?.context("no row")?;
        Ok((row.field(path).to_owned(), row.number(x0)?))
    }

    #[test]
    fn what_spreadsheets_write_is_read() {
        let utf16 = |text: &str, mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
            let units = text.encode_utf16().flat_map(bytes);
            mark.into_iter().chain(units).collect::<Vec<u8>>()
        };
        for bytes in [
            b"path,x0\na/0.png,0.25\n".to_vec(),
            b"\xef\xbb\xbfPath;X0\r\na/0.png;0,25\r\n".to_vec(),
            b"sep=;\r\nx0;PATH\r\n0,25;a/0.png\r\n".to_vec(),
            b"x0\t Path \n0.25\ta/0.png\n".to_vec(),
            b"path,x0\ra/0.png,0.25\r".to_vec(),
            b"\n\"path\",\"x0\"\n\"a/0.png\",\"0.25\"\n".to_vec(),
            utf16(
                "Path\tX0\r\na/0.png\t0,25\r\n",
                [0xff, 0xfe],
                u16::to_le_bytes,
            ),
            utf16(
                "Path\tX0\r\na/0.png\t0,25\r\n",
                [0xfe, 0xff],
                u16::to_be_bytes,
            ),
        ] {
            let told = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(
                read(&bytes).expect(&told),
                ("a/0.png".to_owned(), 0.25),
                "{told}"
            );
        }
    }

    #[test]
    fn what_is_no_such_table_is_refused_with_the_reason() {
        for (bytes, told) in [
            (&b"path|x0\na|1\n"[..], "separated by '|'"),
            (
                b"file,x0\na,1\n",
                "no column path; its columns are file, x0",
            ),
            (b"PK\x03\x04\x14\0", "spreadsheet"),
            (b"p\0a\0t\0h\0,\0", "UTF-16"),
            (b"path,x0\na,wide\n", "\"wide\" is not a number"),
            (b"path,x0\na,0,25\n", "field"),
            (b"\xff\xfe\x00\xd8a\0", "UTF-16"),
            (b"p\xe4th,x0\na,1\n", "UTF-8"),
            (b"", "empty"),
        ] {
            let error = format!("{:#}", read(bytes).unwrap_err());
            assert!(error.contains(told), "{told}: {error}");
        }
    }

    #[test]
    fn a_path_with_backslashes_leads_to_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/0.png"), "").unwrap();
        let table = folder.path().join("t.csv");
        fs::write(&table, "path\na\\0.png\n").unwrap();
        let mut table = Table::open(&table, 1 << 20).unwrap();
        let row = table.next_row().unwrap().unwrap();
        assert!(row.path(0, folder.path()).is_file());
    }
}
