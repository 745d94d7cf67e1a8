//! When something recurs: five fields as `cron` has them, in UTC.
//!
//! Minute, hour, day of the month, month and day of the week; each is `*`, a number, a range or a list of
//! those, with an optional step (`*/15`, `1-5`, `0,30`). Sunday is 0 or 7. As everywhere, a day counts if
//! either of both day fields names it, unless one of them is `*`. It knows no clock: moments are given.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const MINUTE_S: u64 = 60;
const DAY_S: u64 = 86_400;
/// The 29th of February comes after eight years at the latest.
const DAYS_MAX: u64 = 366 * 8 + 2;

/// A schedule, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day counts if either of its fields names it.
    either_day: bool,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// It has too few fields, or too many.
    #[error(
        "a schedule has five fields (minute, hour, day, month, weekday), in UTC, like \
         `30 3 * * 0`, not {0}"
    )]
    Fields(usize),
    /// A field says nothing that is known.
    #[error(
        "`{field}` is no {name}: write {low} to {high}, `*`, ranges, lists or steps like `*/2`"
    )]
    Field {
        /// What it says.
        field: String,
        /// What it is to be.
        name: &'static str,
        /// The least.
        low: u32,
        /// The most.
        high: u32,
    },
    /// There is no such day.
    #[error("`{0}` names a day that never comes")]
    Never(String),
}

impl Schedule {
    /// The first moment after another one, both in seconds since 1970.
    #[must_use]
    pub fn next_after(&self, unix_s: u64) -> Option<u64> {
        let from = (unix_s / MINUTE_S + 1) * MINUTE_S;
        let first_day = from / DAY_S;
        (first_day..first_day + DAYS_MAX)
            .filter(|day| self.has_day(*day))
            .find_map(|day| {
                let begin = from.max(day * DAY_S);
                let minute = |at: &u64| {
                    let minutes = at % DAY_S / MINUTE_S;
                    has(self.hours, minutes / 60) && has(self.minutes, minutes % 60)
                };
                let mut moments = (begin..(day + 1) * DAY_S).step_by(60);
                moments.find(minute)
            })
    }

    /// Whether it has a moment between two, the first of them left out.
    #[must_use]
    pub fn has_moment(&self, after_unix_s: u64, until_unix_s: u64) -> bool {
        let next = self.next_after(after_unix_s);
        next.is_some_and(|next| next <= until_unix_s)
    }

    fn has_day(&self, day: u64) -> bool {
        let (month, of_month) = date(day);
        // The first of January 1970 was a Thursday.
        let of_week = (day + 4) % 7;
        let (by_month, by_week) = (has(self.days, of_month), has(self.weekdays, of_week));
        has(self.months, month)
            && match self.either_day {
                true => by_month || by_week,
                false => by_month && by_week,
            }
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(ScheduleError::Fields(fields.len()));
        };
        let weekdays = field(weekday, "weekday", (0, 7))?;
        let schedule = Self {
            text: fields.join(" "),
            minutes: field(minute, "minute", (0, 59))?,
            hours: field(hour, "hour", (0, 23))?,
            days: field(day, "day of the month", (1, 31))?,
            months: field(month, "month", (1, 12))?,
            // Sunday has two numbers.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        match schedule.next_after(0) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never(schedule.text)),
        }
    }
}

impl TryFrom<String> for Schedule {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, ScheduleError> {
        text.parse()
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.text
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn has(set: u64, number: u64) -> bool {
    set & (1 << number) != 0
}

/// The numbers that a field names, a bit each.
fn field(text: &str, name: &'static str, (low, high): (u32, u32)) -> Result<u64, ScheduleError> {
    let wrong = || ScheduleError::Field {
        field: text.chars().take(32).collect(),
        name,
        low,
        high,
    };
    let number = |text: &str| {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<u32> = text.parse().ok().filter(|_| is_plain);
        number
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(wrong)
    };
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (part, None),
        };
        let (first, last) = match (range, range.split_once('-'), step) {
            ("*", _, _) => (low, high),
            (_, Some((first, last)), _) => (number(first)?, number(last)?),
            (one, None, None) => (number(one)?, number(one)?),
            // From there on, as `cron` has it.
            (one, None, Some(_)) => (number(one)?, high),
        };
        let step = match step {
            None => 1,
            Some(text) => text
                .parse::<usize>()
                .ok()
                .filter(|step| (1..=64).contains(step))
                .ok_or_else(wrong)?,
        };
        if first > last {
            return Err(wrong());
        }
        for number in (first..=last).step_by(step) {
            set |= 1_u64 << number;
        }
    }
    Ok(set)
}

/// Month and day of the month of a day since 1970, by the Gregorian calendar.
fn date(day: u64) -> (u64, u64) {
    // Years begin in March here, so that the day that leap years have more is their last.
    let day = day + 719_468;
    let of_era = day % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    (if month < 10 { month + 3 } else { month - 9 }, of_month)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Saturday, the 21st of November 2026, at noon.
    const NOON: u64 = 1_795_262_400;

    fn next(text: &str, after: u64) -> u64 {
        text.parse::<Schedule>().unwrap().next_after(after).unwrap()
    }

    #[test]
    fn moments_are_those_that_the_fields_name() {
        assert_eq!(next("* * * * *", NOON), NOON + 60);
        assert_eq!(next("30 3 * * *", NOON), NOON + 15 * 3600 + 1800);
        assert_eq!(next("*/20 * * * *", NOON + 1), NOON + 1200);
        assert_eq!(next("0 12 * * 6", NOON - 60), NOON);
        let sunday = NOON + DAY_S;
        assert_eq!(next("0 12 * * 0", NOON), sunday);
        assert_eq!(next("0 12 * * 7", NOON), sunday);
        assert_eq!(next("0 12 * * 1-5", NOON), NOON + 2 * DAY_S);
        assert_eq!(next("0 12 1 12 *", NOON), NOON + 10 * DAY_S);
        assert_eq!(next("0 12 22,30 * *", NOON), sunday);
        // Either of both days, as everywhere.
        assert_eq!(next("0 12 30 * 0", NOON), sunday);
        let leap = next("0 0 29 2 *", NOON);
        assert_eq!(date(leap / DAY_S), (2, 29));
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_the_field_that_is_wrong() {
        for (text, part) in [
            ("", "five fields"),
            ("@daily", "five fields"),
            ("* * * * * *", "not 6"),
            ("60 * * * *", "`60` is no minute"),
            ("* 24 * * *", "hour"),
            ("* * 0 * *", "day of the month"),
            ("* * * 13 *", "month"),
            ("* * * * 8", "weekday"),
            ("*/0 * * * *", "minute"),
            ("5-1 * * * *", "minute"),
            ("+5 * * * *", "minute"),
            (",, * * * *", "minute"),
            ("0 0 31 2 *", "never comes"),
        ] {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_moment_is_always_later_and_the_first(after in 0_u64..4_000_000_000) {
            let schedule: Schedule = "7,37 */3 * * *".parse().unwrap();
            let next = schedule.next_after(after).unwrap();
            prop_assert!(next > after && next <= after + 3 * 3600 + 60);
            prop_assert!(schedule.has_moment(after, next));
            prop_assert!(!schedule.has_moment(after, next - 1));
        }

        #[test]
        fn any_text_is_a_schedule_or_an_error(text in ".{0,40}") {
            let _ = text.parse::<Schedule>();
        }
    }
}
