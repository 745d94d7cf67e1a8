//! The figures as curves, in SVG: what to expect of ten times as many followers.

use crate::figures::Figures;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 240.0;
const MARGIN: f64 = 56.0;
const COLOURS: [&str; 4] = ["#1b6ca8", "#7fb3d5", "#c0561a", "#e8a87c"];

/// One curve: its name and its points.
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Latency and memory beside one another, both axes logarithmic.
pub(crate) fn draw(runs: &[Figures]) -> String {
    let mut shapes = Vec::new();
    for run in runs {
        if !shapes.contains(&run.shape) {
            shapes.push(run.shape);
        }
    }
    let curves = |name: &str, of: &dyn Fn(&Figures) -> f64| -> Vec<Curve> {
        let curve = |shape: &_| Curve {
            name: format!("{shape}{name}"),
            points: runs
                .iter()
                .filter(|run| run.shape == *shape)
                .map(|run| (run.followers as f64, of(run)))
                .collect(),
        };
        shapes.iter().map(curve).collect()
    };
    let mut latency = curves(", p99", &|run| run.last_ms(99));
    latency.extend(curves(", p50", &|run| run.last_ms(50)));
    let memory = curves("", &|run| run.at_idle.resident_mib);
    let (width, height) = (2.0 * WIDTH, HEIGHT);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n{}{}</svg>\n",
        panel(
            0.0,
            "change to last acknowledgement, ms",
            &latency,
            (10.0, 10_000.0)
        ),
        panel(
            WIDTH,
            "voter with idle followers, resident MiB",
            &memory,
            (1.0, 1000.0)
        ),
    )
}

fn panel(left: f64, title: &str, curves: &[Curve], (low, high): (f64, f64)) -> String {
    let (right, bottom) = (left + WIDTH - 16.0, HEIGHT - 36.0);
    let (begin, top) = (left + MARGIN, 28.0);
    let x = |followers: f64| begin + (followers.log10() - 1.0) / 2.0 * (right - begin);
    let y = |value: f64| {
        let part = (value.max(low).log10() - low.log10()) / (high.log10() - low.log10());
        bottom - part * (bottom - top)
    };
    let mut text = format!("<text x=\"{begin}\" y=\"16\" font-weight=\"bold\">{title}</text>\n");
    let mut value = low;
    while value <= high {
        let at = y(value);
        text += &format!(
            "<line x1=\"{begin}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>\n",
            begin - 6.0,
            at + 4.0,
        );
        value *= 10.0;
    }
    for followers in [10.0, 100.0, 1000.0] {
        text += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{followers}</text>\n",
            x(followers),
            bottom + 16.0,
        );
    }
    text += &format!(
        "<text x=\"{right}\" y=\"{:.1}\" text-anchor=\"end\">followers</text>\n",
        bottom + 30.0,
    );
    for (number, (curve, colour)) in curves.iter().zip(COLOURS).enumerate() {
        let points: Vec<String> = curve
            .points
            .iter()
            .map(|(followers, value)| format!("{:.1},{:.1}", x(*followers), y(*value)))
            .collect();
        let line = top + 12.0 + 14.0 * f64::from(u32::try_from(number).unwrap_or(0));
        text += &format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"{line:.1}\" fill=\"{colour}\">{}</text>\n",
            points.join(" "),
            begin + 8.0,
            curve.name,
        );
    }
    text
}
