//! Logs as Terraform reads them from a provider's standard error: one JSON object a line, with the
//! fields of the call that it belongs to. The framework logs names and durations and never a value,
//! since any value may have come from a sensitive one; a model's `Debug` leaves secrets out.

use std::env;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value as Json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The variables that set the level, the most particular first.
const LEVEL_KEYS: [&str; 2] = ["TF_LOG_PROVIDER", "TF_LOG"];

/// The libraries that carry the calls.
const CARRIERS: [&str; 6] = ["h2", "hyper", "hyper_util", "rustls", "tonic", "tower"];

/// Starts logging where the environment asks for it, and does nothing otherwise.
pub(super) fn install(address: &str) {
    let name = address.rsplit('/').next().unwrap_or(address);
    let own_key = format!("TF_LOG_PROVIDER_{}", name.to_uppercase().replace('-', "_"));
    let keys = [own_key.as_str()].into_iter().chain(LEVEL_KEYS);
    let Some(level) = keys
        .filter_map(|key| env::var(key).ok())
        .find_map(|text| level(&text))
    else {
        return;
    };
    let lines = JsonLines {
        module: format!("provider.{name}"),
    };
    // What carries the calls says much at these levels, and nothing about the provider.
    let carriers = CARRIERS.map(|target| (target, level.min(LevelFilter::WARN)));
    let levels = Targets::new().with_default(level).with_targets(carriers);
    // A second provider in one process, as in tests, keeps the first one's logs.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(levels))
        .try_init();
}

/// `JSON` asks for everything, in the form that this is anyway.
fn level(text: &str) -> Option<LevelFilter> {
    match text.to_uppercase().as_str() {
        "TRACE" | "JSON" => Some(LevelFilter::TRACE),
        "DEBUG" => Some(LevelFilter::DEBUG),
        "INFO" => Some(LevelFilter::INFO),
        "WARN" => Some(LevelFilter::WARN),
        "ERROR" => Some(LevelFilter::ERROR),
        "OFF" => Some(LevelFilter::OFF),
        _ => None,
    }
}

struct JsonLines {
    module: String,
}

impl<S> Layer<S> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields(Map::new());
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        let scope = context.event_scope(event);
        for span in scope.into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.0.extend(of_span.0.clone());
            }
        }
        event.record(&mut fields);
        let line = self.line(event, fields.0, SystemTime::now());
        // There is nobody left to tell when this can't be written.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

impl JsonLines {
    fn line(&self, event: &Event<'_>, mut fields: Map<String, Json>, now: SystemTime) -> Json {
        let metadata = event.metadata();
        let level = match *metadata.level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        // Terraform's reader panics at a message that is no string.
        let message = match fields.remove("message") {
            Some(Json::String(text)) => text,
            Some(other) => other.to_string(),
            None => metadata.name().to_owned(),
        };
        let module = format!("{}.{}", self.module, metadata.target().replace("::", "."));
        fields.insert("@level".to_owned(), level.into());
        fields.insert("@message".to_owned(), message.into());
        fields.insert("@module".to_owned(), module.into());
        fields.insert("@timestamp".to_owned(), timestamp(now).into());
        Json::Object(fields)
    }
}

struct Fields(Map<String, Json>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0
            .insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

/// RFC 3339 in UTC with microseconds.
fn timestamp(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::with_capacity(32);
    // Writing to a string can't fail.
    let _ = write!(
        text,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z",
        since.subsec_micros()
    );
    text
}

/// The Gregorian date of a day counted from 1970. Years are counted from March here, so that the
/// leap day comes last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_rfc_3339() {
        let at = |seconds| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_827_696), "2000-02-29T12:34:56.000000Z");
        assert_eq!(at(4_102_444_799), "2099-12-31T23:59:59.000000Z");
    }

    #[test]
    fn levels_are_read_as_terraform_writes_them() {
        assert_eq!(level("trace"), Some(LevelFilter::TRACE));
        assert_eq!(level("JSON"), Some(LevelFilter::TRACE));
        assert_eq!(level("loud"), None);
    }
}
