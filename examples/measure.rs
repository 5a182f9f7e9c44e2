//! Measures.
use fleetwear::run::Control;
use fleetwear::synth::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let mut plan = SynthPlan::new(a[1].parse().unwrap(), a[2].parse().unwrap(), 7);
    if a.len() > 4 && a[4] == "day" {
        plan.layout = Layout::Day;
    }
    if a.len() > 5 {
        plan.threads = a[5].parse().unwrap();
    }
    let r = generate(&plan, std::path::Path::new(&a[3]), &Control::silent()).unwrap();
    println!("{r:#?}");
    println!(
        "{:.2} M rows/s, {:.1} bytes/row",
        r.rows as f64 / r.seconds / 1e6,
        r.history_bytes as f64 / r.rows as f64
    );
}
