//! Makes a failing schedule shorter while it still fails.

use cache::simulation::Defect;

use super::plan::Schedule;
use super::run::run;

/// The shortest failing schedule that leaving out steps leads to.
pub fn shrink(schedule: &Schedule, defect: Option<Defect>) -> Schedule {
    let fails = |steps: &[_]| !run(&schedule.with(steps.to_vec()), defect, false).violations.is_empty();
    let mut steps = schedule.steps.clone();
    let mut size = steps.len() / 2;
    while size > 0 {
        let (mut at, before) = (0, steps.len());
        while at < steps.len() {
            let end = (at + size).min(steps.len());
            let mut fewer = [&steps[..at], &steps[end..]].concat();
            // What is left out takes its time with it, or leaves it to the step after it.
            let mut found = fails(&fewer);
            if !found && end < steps.len() {
                let time: u64 = steps[at..end].iter().map(|step| step.after_ms).sum();
                fewer[at].after_ms += time;
                found = fails(&fewer);
            }
            if found {
                steps = fewer;
            } else {
                at = end;
            }
        }
        if size > 1 || steps.len() == before {
            size /= 2;
        }
    }
    schedule.with(steps)
}

/// The schedule for people.
pub fn described(schedule: &Schedule) -> String {
    let mut text = format!("seed {}\n{:?}\n", schedule.seed, schedule.setting);
    for step in &schedule.steps {
        text.extend(["  after ", &step.after_ms.to_string(), " ms: ", &format!("{:?}\n", step.act)]);
    }
    text
}
