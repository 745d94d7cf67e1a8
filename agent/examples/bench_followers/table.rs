//! The figures as a Markdown table.

use crate::figures::Figures;

/// One column for each run.
pub(crate) fn table(runs: &[Figures], changes: u32, idle_s: u64) -> String {
    let mut text = format!(
        "{changes} changes in each run, {idle_s} s idle before them. The voter and all simulated \
         followers share this machine.\n\n| |"
    );
    for run in runs {
        text += &format!(" {} followers, {} |", run.followers, run.shape);
    }
    text += "\n|---|";
    text += &"--:|".repeat(runs.len());
    text += "\n";
    let mut row = |title: &str, digits: usize, of: &dyn Fn(&Figures) -> f64| {
        text += &format!("| {title} |");
        for run in runs {
            text += &format!(" {:.digits$} |", of(run));
        }
        text += "\n";
    };
    row("change to last acknowledgement, p50, ms", 0, &|run| {
        run.last_ms(50)
    });
    row("change to last acknowledgement, p99, ms", 0, &|run| {
        run.last_ms(99)
    });
    row("change to each acknowledgement, p50, ms", 0, &|run| {
        run.each_ms(50)
    });
    row("change to each acknowledgement, p99, ms", 0, &|run| {
        run.each_ms(99)
    });
    row("of it until the change is answered, p50, ms", 0, &|run| {
        run.commit_ms(50)
    });
    row("voter: processor time of a change, ms", 0, &|run| {
        run.change_cpu_ms(&run.busy, &run.idle)
    });
    row("simulators: processor time of a change, ms", 0, &|run| {
        run.change_cpu_ms(&run.busy_own, &run.idle_own)
    });
    row("voter idle: processor, % of one core", 1, &|run| {
        run.idle.cpu_percent()
    });
    row("simulators idle: processor, % of one core", 1, &|run| {
        run.idle_own.cpu_percent()
    });
    row("voter before anybody came: resident, MiB", 1, &|run| {
        run.bare.resident_mib
    });
    row("voter idle: resident, MiB", 1, &|run| {
        run.at_idle.resident_mib
    });
    row("voter idle: proportional share (PSS), MiB", 1, &|run| {
        run.at_idle.proportional_mib
    });
    row("voter after the changes: resident, MiB", 1, &|run| {
        run.at_end.resident_mib
    });
    row("voter: most that was ever resident, MiB", 1, &|run| {
        run.at_end.resident_max_mib
    });
    text
}
