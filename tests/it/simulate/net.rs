//! Modes that compete, from the model's key to the forecasts, and what the key refuses.

use fleetwear::model::spec::Model;

use super::{numbers, simulated, steady_fleet, table, texts};
use crate::small_fleet::{Layout, MODEL};

/// The small model with a second mode of the pads, of the same law as the first; both compete or neither does.
fn with_a_rival(competes: bool) -> String {
    let pads = MODEL.find("[[failure_mode]]").unwrap()..MODEL.rfind("[[failure_mode]]\n").unwrap();
    let rival = MODEL[pads].replace("\"pads\"", "\"rival\"");
    let text = format!("{MODEL}\n{rival}");
    if !competes {
        return text;
    }
    text.replace("component = \"brake_pad\"", "component = \"brake_pad\"\ncompetes = true")
}

/// Of each mode the chances of its parts within 90 days.
fn chances(competes: bool) -> [Vec<f64>; 3] {
    let change = |plan: &mut fleetwear::engine::SimulatePlan| {
        std::fs::write(&plan.model, with_a_rival(competes)).unwrap();
    };
    simulated(&steady_fleet(20), Layout::ByVehicle(1), change, |out, _| {
        let rows = table(out, "forecasts");
        let (modes, chances) = (texts(&rows, "failure_mode"), numbers(&rows, "p_fail_90d"));
        ["pads", "rival", "noise"].map(|wanted| {
            let own = modes.iter().zip(&chances).filter(|(mode, _)| mode.as_deref() == Some(wanted));
            own.map(|(_, chance)| chance.unwrap()).collect()
        })
    })
}

#[test]
fn equal_rivals_share_what_either_would_do() {
    let ([gross, same, noise], [pads, rival, other]) = (chances(false), chances(true));
    assert!(gross == same && pads == rival && noise == other, "others are left alone");
    for (gross, net) in gross.iter().zip(&pads) {
        // Means over paths, whose spread is small.
        let expected = 0.5 * (1.0 - (1.0 - gross) * (1.0 - gross));
        assert!((net / expected - 1.0).abs() < 2e-3, "{net} instead of {expected}");
    }
    assert!(gross.iter().any(|&gross| gross > 0.05), "too small to tell");
}

#[test]
fn the_key_is_a_truth_value_and_known() {
    let error = |text: &str| Model::parse(text, "model.toml").unwrap_err().to_string();
    let wrong = error(&with_a_rival(true).replace("competes = true", "competes = \"yes\""));
    assert!(wrong.contains("model.toml:") && wrong.contains("competes"), "{wrong}");
    let near = error(&with_a_rival(true).replace("competes = true", "compete = true"));
    assert!(near.contains("competes"), "the nearest key is named: {near}");
}
