//! The money on the printable page: what each measure costs and brings, and what whole programmes do; every figure in
//! words beneath. Figures are in the user's currency, without decimals.

use super::economics::ProgrammeValue;
use super::fleet_report::Money;
use super::money::{Measure, Outcome, Spread};
use super::page::{PageLanguage, percent, table};
use super::workbook::escaped;

/// Nothing where the economics say nothing.
pub fn money_part(of: &Money, language: PageLanguage) -> String {
    let say = |english, chinese| language.say(english, chinese);
    let mut text = format!("<h2>{} ({})</h2>", say("Money", "费用"), escaped(&of.currency));
    if of.example {
        let told = say("EXAMPLE figures: not yours", "示例数字,并非贵方数据");
        text.push_str(&format!("<p class=\"warn\"><b>{told}</b></p>"));
    }
    if let (Some(mode), Some(days)) = (&of.failure_mode, of.horizon_days) {
        text.push_str(&format!(
            "<p class=\"note\">{}</p>",
            match language {
                PageLanguage::En => format!(
                    "{}, within {days} days; mean, and 5 to 95 % over {} equally likely numbers of failures",
                    escaped(mode),
                    of.draws
                ),
                PageLanguage::Zh =>
                    format!("{},今后 {days} 天;均值及 5 至 95 %,取自 {} 个等概率失效数", escaped(mode), of.draws),
            }
        ));
        let headings = [
            say("measure", "措施"),
            say("vehicles that come", "到店车辆"),
            say("cost in all", "总费用"),
            say("net value", "净收益"),
            say("P(net > 0)", "净收益为正的概率"),
            say("benefit/cost", "收益成本比"),
            say("net ROI", "净投资回报率"),
            say("payback, days", "回收期,天"),
            say("P(pays back)", "期内收回的概率"),
        ];
        text.push_str(&table(&headings, of.outcomes.iter().map(|one| outcome(one, language))));
        text.push_str(&format!(
            "<p class=\"note\">{}</p>",
            say(
                "All within these days. Cost in all: what the measure costs, and the repair and liability of the failures that come all \
                 the same. Net value: repair and liability that the measure avoids, less what it costs. Benefit/cost: the first over the \
                 second. Net ROI: net value over the measure's cost. Payback: the first day by which the failures prevented so far would \
                 have cost as much as the whole measure, of the futures in which there is one. At the next service: vehicles whose \
                 service lies beyond these days cost nothing and prevent nothing. A part that is replaced does not fail within these days.",
                "均在上述天数内。总费用:措施费用,加上仍会发生的失效的维修与赔偿费用。净收益:措施所避免的维修与赔偿费用减去措施费用。收益成本比:前者除以后者。净投资回报率:净收益除以措施费用。回收期:已避免的失效本会花费的金额首次达到全部措施费用之日(仅计能收回的情形)。下次保养时更换:保养在此期限之后的车辆不计费用,也不计收益。已更换的部件在此期限内视为不再失效。"
            )
        ));
    }
    if !of.programmes.is_empty() {
        let headings = [
            say("programme", "项目"),
            say("cost", "投入"),
            say("benefit of a year", "一年收益"),
            say("benefit/cost", "收益成本比"),
            say("net ROI", "净投资回报率"),
            say("payback, months", "回收期,月"),
        ];
        let row = |one: &ProgrammeValue| {
            vec![
                one.name.clone(),
                money(one.cost),
                money(one.benefit),
                format!("{:.2}", one.benefit_over_cost),
                format!("{:.0} %", 100.0 * one.net_roi),
                one.payback_months.map_or_else(|| "–".to_owned(), |months| format!("{months:.1}")),
            ]
        };
        text.push_str(&table(&headings, of.programmes.iter().map(row)));
        text.push_str(&format!(
            "<p class=\"note\">{}</p>",
            say(
                "Programmes stand as the economics state them, without a forecast: benefit of the first year over cost; net ROI is benefit \
                 less cost, over cost; payback with the year's benefit spread evenly.",
                "项目数字按所给经济参数计算,不含预测:首年收益除以投入;净投资回报率为收益减投入再除以投入;回收期按全年收益均匀分布计算。"
            )
        ));
    }
    text
}

fn outcome(one: &Outcome, language: PageLanguage) -> Vec<String> {
    let name = match one.measure {
        Measure::DoNothing => language.say("do nothing", "不采取措施"),
        Measure::Inspect => language.say("inspect", "检查"),
        Measure::ReplaceNow => language.say("replace now", "立即更换"),
        Measure::ReplaceAtService => language.say("replace at the next service", "下次保养时更换"),
    };
    let spread = |of: Spread, show: &dyn Fn(f64) -> String| {
        format!("{} ({}\u{a0}… {})", show(of.mean), show(of.p05), show(of.p95))
    };
    let or_none =
        |of: Option<Spread>, show: &dyn Fn(f64) -> String| of.map_or_else(|| "–".to_owned(), |of| spread(of, show));
    let is_measure = one.measure != Measure::DoNothing;
    let if_measure = |text: String| if is_measure { text } else { "–".to_owned() };
    vec![
        name.to_owned(),
        if_measure(money(one.treated)),
        spread(one.cost, &money),
        if_measure(spread(one.net_value, &money)),
        if_measure(percent(one.positive)),
        or_none(one.benefit_over_cost, &|value| format!("{value:.2}")),
        or_none(one.net_roi, &|value| format!("{:.0}\u{a0}%", 100.0 * value)),
        or_none(one.payback, &|value| format!("{value:.0}")),
        if_measure(percent(one.pays_back)),
    ]
}

/// Money in whole units, in groups of three digits.
pub fn money(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let grouped: Vec<&str> = (0..digits.len().div_ceil(3))
        .map(|group| {
            let end = digits.len() - 3 * group;
            &digits[end.saturating_sub(3)..end]
        })
        .collect();
    let sign = if value < 0.0 && digits != "0" { "−" } else { "" };
    format!("{sign}{}", grouped.into_iter().rev().collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_grouped() {
        assert_eq!([0.0, 999.4, 1_000.0, -1_234_567.8, -0.2].map(money), ["0", "999", "1,000", "−1,234,568", "0"]);
    }
}
