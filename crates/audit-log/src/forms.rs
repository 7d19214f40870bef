//! Caches the constant parts of lines: a service reads the same secrets again and again, and their lines differ in a
//! few fields only.

use crate::line::{Form, Identity};
use crate::packed::Packed;

/// The number of cached forms, a power of two. A form has one possible slot and replaces the form that was there.
const PLACES: usize = 512;

/// The forms of one instance's records.
#[derive(Debug, Default)]
pub struct Forms {
    instance: String,
    kept: Vec<Kept>,
    scratch: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    /// The content of a packed record. No record has the default.
    said: (u64, Vec<u64>),
    form: Form,
}

impl Forms {
    /// Sets whose records come next.
    pub fn belong_to(&mut self, who: &Identity) {
        if self.instance != who.instance || self.kept.is_empty() {
            self.instance.clone_from(&who.instance);
            self.kept.clear();
            self.kept.resize(PLACES, Kept::default());
        }
    }

    /// The form of a record of `who`; `None` if the record is invalid.
    #[inline]
    pub fn of(&mut self, who: &Identity, packed: Packed<'_>) -> Option<&Form> {
        let (first, rest) = packed.said();
        let kept = &mut self.kept[place(first, rest)];
        if kept.said.0 != first || kept.said.1 != rest {
            let record = packed.unpack(&mut self.scratch)?;
            kept.form.fill(who, &record, "");
            kept.said.0 = first;
            kept.said.1.clear();
            kept.said.1.extend_from_slice(rest);
        }
        Some(&kept.form)
    }
}

#[inline]
fn place(first: u64, rest: &[u64]) -> usize {
    let sum = rest.iter().fold(first, |sum, word| sum.rotate_left(7).wrapping_add(*word));
    let [.., low, high] = sum.wrapping_mul(0x517c_c1b7_2722_0a95).to_le_bytes();
    usize::from(u16::from_le_bytes([low, high])) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Varying, write_line};
    use crate::packed::pack;
    use crate::record::{Cache, Event, Outcome, Record};
    use crate::time::TimeText;

    fn line(form: &Form, latency_us: u32) -> String {
        let mut out = Vec::new();
        write_line(&mut out, &mut TimeText::default(), 1, Varying::one(2, latency_us), form);
        String::from_utf8(out).expect("UTF-8")
    }

    /// Uses more records than there are slots, repeatedly, in changing order, of two instances.
    #[test]
    fn a_kept_form_is_that_of_its_record() {
        let names: Vec<String> = (0..3 * PLACES).map(|n| "\u{1}x\"".repeat(n % 40) + &n.to_string()).collect();
        let (mut forms, record) = (Forms::default(), Record::new(Event::Access));
        for (turn, instance) in [(1, "a"), (5, "a"), (7, "b"), (1, "a")] {
            let who = Identity::new(instance.repeat(16), 1, "test".into());
            forms.belong_to(&who);
            for n in 0..2 * names.len() {
                let (name, other) = (&names[n * turn % names.len()][..], &names[n % 3][..]);
                let latency_us = u32::try_from(n).expect("small");
                for record in [
                    Record { caller: name, latency_us, ..record },
                    Record { secret: name, tool: other, latency_us, ..record },
                    Record { secret: other, tool: name, outcome: Outcome::Ok, ..record },
                    Record { secret: other, tool: name, outcome: Outcome::Failed, ..record },
                    Record { secret: other, cache: Cache::Hit, event: Event::Rotate, ..record },
                    Record { environment: "other", version: name, ..record },
                ] {
                    let words = pack(&record, 2, false, |words| words.to_vec()).expect("short enough");
                    let form = forms.of(&who, Packed::new(&words).expect("whole")).expect("a record");
                    assert_eq!(line(form, record.latency_us), line(&Form::new(&who, &record, ""), record.latency_us));
                    assert_eq!(form.outcome, record.outcome);
                }
            }
        }
    }

    #[test]
    fn texts_that_end_differently_are_told_apart() {
        let who = Identity::new("a".repeat(16), 1, "test".into());
        let mut forms = Forms::default();
        forms.belong_to(&who);
        for caller in ["a", "a\0", "", "\0"] {
            let record = Record { caller, ..Record::new(Event::Access) };
            let words = pack(&record, 2, false, |words| words.to_vec()).expect("short enough");
            let form = forms.of(&who, Packed::new(&words).expect("whole")).expect("a record");
            assert_eq!(line(form, 0), line(&Form::new(&who, &record, ""), 0));
        }
    }
}
