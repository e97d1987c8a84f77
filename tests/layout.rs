//! The source's own order: no two files, and no two rooms, use each other.
//!
//! A file uses another where one of its paths leads there, through re-exports too. Between a folder's `mod.rs` and
//! the files behind it either direction is fine: the one is the other's door. Tests may use what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The names on the way to a module or to an item in it, from the crate's root.
type Names = Vec<String>;

/// What a file uses, in the names that it uses.
#[derive(Default)]
struct File {
    /// Paths of `use` items, resolved to the root; `true` for those handed on with `pub`.
    uses: Vec<(bool, Names)>,
    /// Paths in the code.
    paths: Vec<Names>,
}

/// Words and signs without comments, literals and what only tests see.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end =
            |from: usize, mark: &str| rest[from..].find(mark).map_or(rest.len(), |at| from + at);
        let length = if rest.starts_with("//") {
            end(0, "\n")
        } else if rest.starts_with("r#\"") {
            end(3, "\"#") + 2
        } else if first == '"' {
            let mut escaped = false;
            let closing = rest[1..].char_indices().find(|&(_, c)| {
                let closes = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            });
            2 + closing.map_or(rest.len() - 2, |(at, _)| at)
        } else if first == '\'' {
            // A character, or a lifetime.
            match rest[1..].chars().next() {
                Some('\\') => end(3, "'") + 1,
                Some(c) if rest[1 + c.len_utf8()..].starts_with('\'') => 2 + c.len_utf8(),
                _ => 1,
            }
        } else if first.is_alphanumeric() || first == '_' {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let length = rest.find(|c| !word(c)).unwrap_or(rest.len());
            words.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("::") {
            words.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                words.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length.min(rest.len())..];
    }
    without_tests(words)
}

/// Where the bracket that opens at `open` is closed.
fn closing(words: &[String], open: usize) -> usize {
    let mut depth = 0;
    for (at, word) in words.iter().enumerate().skip(open) {
        match word.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    words.len() - 1
}

fn without_tests(words: Vec<String>) -> Vec<String> {
    let mut kept = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let attribute = words[at] == "#" && words.get(at + 1).is_some_and(|word| word == "[");
        if !attribute {
            kept.push(words[at].clone());
            at += 1;
            continue;
        }
        let end = closing(&words, at + 1);
        let of_tests = words[at..end].iter().any(|word| word == "test")
            && !words[at..end].iter().any(|word| word == "not");
        at = end + 1;
        while of_tests && at < words.len() {
            match words[at].as_str() {
                ";" => break,
                "{" => {
                    at = closing(&words, at);
                    break;
                }
                _ => at += 1,
            }
        }
        at += usize::from(of_tests);
    }
    kept
}

/// The paths of a `use` item's tree, from `at` on, each after `before`; returns where the tree ends.
fn tree(words: &[String], mut at: usize, before: &[String], into: &mut Vec<Names>) -> usize {
    let mut path = before.to_vec();
    loop {
        match words.get(at).map(String::as_str) {
            Some("{") => {
                let end = closing(words, at);
                at += 1;
                while at < end {
                    at = tree(words, at, &path, into);
                    at += usize::from(words[at] == ",");
                }
                return end + 1;
            }
            Some("as") => at += 2,
            Some("::") => at += 1,
            Some("self") if !path.is_empty() => at += 1,
            Some("," | ";" | "}") | None => {
                into.push(path);
                return at;
            }
            Some(name) => {
                path.push(name.to_owned());
                at += 1;
            }
        }
    }
}

/// A path as the file `module` writes it, from the crate's root; `None` where it leads to another crate.
fn from_root(module: &[String], path: &[String], modules: &BTreeSet<Names>) -> Option<Names> {
    let (first, rest) = path.split_first()?;
    let mut root = module.to_vec();
    let mut rest = rest;
    match first.as_str() {
        "crate" => root.clear(),
        "self" => {}
        "super" => {
            root.pop();
            while let Some(("super", further)) = rest.split_first().map(|(f, r)| (f.as_str(), r)) {
                root.pop();
                rest = further;
            }
        }
        name => {
            root.push(name.to_owned());
            if !modules.contains(&root) {
                return None;
            }
        }
    }
    root.extend_from_slice(rest);
    Some(root)
}

fn read(text: &str, module: &Names, modules: &BTreeSet<Names>) -> File {
    let words = words(text);
    let mut file = File::default();
    let mut known: BTreeMap<String, Names> = BTreeMap::new();
    let mut at = 0;
    let mut written = Vec::new();
    while at < words.len() {
        let starts = at == 0 || words[at - 1] != "::";
        if words[at] == "use" {
            // `pub`, or `pub(super)` and its kin.
            let public = at > 0 && (words[at - 1] == "pub" || words[at - 1] == ")");
            let mut paths = Vec::new();
            at = tree(&words, at + 1, &[], &mut paths);
            for path in paths {
                if let Some(path) = from_root(module, &path, modules) {
                    if let Some(last) = path.last() {
                        known.insert(last.clone(), path.clone());
                    }
                    file.uses.push((public, path));
                }
            }
        } else if starts && words.get(at + 1).is_some_and(|word| word == "::") {
            let mut path = vec![words[at].clone()];
            while words.get(at + 1).is_some_and(|word| word == "::") {
                path.extend(words.get(at + 2).cloned());
                at += 2;
            }
            written.push(path);
        }
        at += 1;
    }
    file.paths = (written.into_iter())
        .filter_map(|path| match known.get(&path[0]) {
            Some(start) => Some([start, &path[1..]].concat()),
            None => from_root(module, &path, modules),
        })
        .collect();
    file
}

/// The module that a path leads to.
fn owner(path: &[String], files: &BTreeMap<Names, File>, depth: usize) -> Names {
    let length = (0..=path.len())
        .rfind(|&length| files.contains_key(&path[..length]))
        .unwrap_or(0);
    let (module, item) = path.split_at(length);
    let handed_on = item.first().and_then(|item| {
        let uses = files[module].uses.iter();
        uses.filter(|(public, _)| *public)
            .find(|(_, path)| path.last() == Some(item))
    });
    match handed_on {
        Some((_, to)) if depth < 8 && to != path => {
            owner(&[to, &item[1..]].concat(), files, depth + 1)
        }
        _ => module.to_vec(),
    }
}

/// Every file of the library that is no test, by its module.
fn source() -> BTreeMap<Names, File> {
    fn gather(folder: &Path, module: &Names, into: &mut BTreeMap<Names, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let inner = [module.clone(), vec![name.clone()]].concat();
            if path.is_dir() && name != "bin" {
                gather(&path, &inner, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                match name.as_str() {
                    "tests" | "main" => continue,
                    "lib" | "mod" => {
                        into.insert(module.clone(), fs::read_to_string(&path).unwrap())
                    }
                    _ => into.insert(inner, fs::read_to_string(&path).unwrap()),
                };
            }
        }
    }
    let mut texts = BTreeMap::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    gather(&folder, &Names::new(), &mut texts);
    let modules: BTreeSet<Names> = texts.keys().cloned().collect();
    let read = |(module, text): (Names, String)| {
        let file = read(&text, &module, &modules);
        (module, file)
    };
    texts.into_iter().map(read).collect()
}

/// Which files each file uses, its folder's door and what lies behind its own left out.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let files = source();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, file) in &files {
        let paths = file.uses.iter().map(|(_, path)| path).chain(&file.paths);
        let owners = paths.map(|path| owner(path, &files, 0));
        let owners = owners.filter(|used| !module.starts_with(used));
        uses.insert(
            module.join("::"),
            owners.map(|used| used.join("::")).collect(),
        );
    }
    uses
}

/// A way from a file or room back to itself.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(
        at: &String,
        uses: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> bool {
        if let Some(start) = way.iter().position(|name| name == at) {
            way.drain(..start);
            way.push(at.clone());
            return true;
        }
        if !done.insert(at.clone()) {
            return false;
        }
        way.push(at.clone());
        let found = (uses.get(at).into_iter().flatten()).any(|used| walk(used, uses, way, done));
        if !found {
            way.pop();
        }
        found
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|start| {
        let mut way = Vec::new();
        walk(start, uses, &mut way, &mut done).then_some(way)
    })
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let uses = uses();
    assert!(
        uses["live::pipeline"].contains("mailbox"),
        "{:?}",
        uses["live::pipeline"]
    );
    assert_eq!(circle(&uses), None);
}

#[test]
fn no_rooms_use_each_other_in_a_circle() {
    let room = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
    let mut rooms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, used) in uses() {
        let own = room(&module);
        let others = used.iter().map(|used| room(used));
        let others = others.filter(|other| *other != own);
        rooms.entry(own.clone()).or_default().extend(others);
    }
    assert_eq!(circle(&rooms), None);
}
