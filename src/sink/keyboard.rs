//! What a key means, whatever script the keyboard types.

/// The places of the Latin letters on a keyboard, row by row.
const PLACES: &str = "qwertyuiopasdfghjklzxcvbnm";

/// What keyboards of other scripts type at the same places; `_` where that is no letter. Where two
/// of them disagree on a character's place, the first one counts.
const LAYOUTS: [(&str, &str); 7] = [
    ("Russian", "йцукенгшщзфывапролдячсмить"),
    ("Ukrainian, Belarusian", "________ў__і______________"),
    ("Greek", "_ςερτυθιοπασδφγηξκλζχψωβνμ"),
    ("Hebrew", "__קראטוןםפשדגכעיחלךזסבהנמצ"),
    ("Arabic", "ضصثقفغعهخحشسيبلاتنمئءؤر_ىة"),
    ("Persian", "____________ی______ظطز_ذدپ"),
    ("Georgian", "ქწერტყუიოპასდფგჰჯკლზხცვბნმ"),
];

/// A character that was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol {
    /// As the keyboard's layout has it.
    pub typed: char,
    /// In lower case; of a script other than Latin, the Latin letter of the same key, as far as it
    /// is known.
    pub latin: char,
}

impl Symbol {
    /// What was typed with the key that types `place`, a small letter, on a Latin keyboard; `None`
    /// where the system does not say which key it was, or where it is no letter's.
    pub fn new(typed: char, place: Option<char>) -> Symbol {
        let small = typed.to_lowercase().next().unwrap_or(typed);
        let latin = match small {
            // Turkish: the other letter I.
            'ı' => 'i',
            // Keyboards of Latin letters are not all laid out alike: what is typed counts.
            '\0'..'\u{250}' => small,
            _ => place.or_else(|| usual_place(small)).unwrap_or(small),
        };
        Symbol { typed, latin }
    }
}

impl From<char> for Symbol {
    fn from(typed: char) -> Symbol {
        Symbol::new(typed, None)
    }
}

/// The Latin letter that most keyboards have beside this one.
fn usual_place(letter: char) -> Option<char> {
    let at = LAYOUTS
        .iter()
        .find_map(|(_, letters)| letters.chars().position(|other| other == letter))?;
    PLACES.chars().nth(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latin(typed: &str) -> String {
        typed
            .chars()
            .map(|typed| Symbol::from(typed).latin)
            .collect()
    }

    #[test]
    fn letters_of_other_scripts_stand_for_the_latin_ones_of_their_keys() {
        assert_eq!(latin("йрь"), "qhm");
        assert_eq!(latin("ЙРЬ"), "qhm");
        assert_eq!(latin("фіф"), "asa");
        assert_eq!(latin("ημαφλρψ"), "hmaflrc");
        assert_eq!(latin("יצשכךרב"), "hmaflrc");
        assert_eq!(latin("اةشبمقؤ"), "hmaflrc");
        assert_eq!(latin("ჰმაფლრც"), "hmaflrc");
    }

    #[test]
    fn every_layout_names_each_letters_place() {
        for (name, letters) in LAYOUTS {
            assert_eq!(letters.chars().count(), PLACES.len(), "{name}");
        }
    }

    #[test]
    fn latin_letters_signs_and_digits_stand_for_themselves() {
        assert_eq!(latin("aQzé+-= 7"), "aqzé+-= 7");
        assert_eq!(latin("Iİı"), "iii");
        // AZERTY types a where QWERTY types q.
        assert_eq!(Symbol::new('a', Some('q')).latin, 'a');
    }

    #[test]
    fn where_the_key_is_known_it_counts_more_than_the_usual_layout() {
        // A Bulgarian keyboard's е lies on the key of w.
        assert_eq!(Symbol::new('е', Some('w')).latin, 'w');
        assert_eq!(Symbol::new('е', None).latin, 't');
    }
}
