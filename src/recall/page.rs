//! The page that a quality meeting prints: count, bounds, cost, and what would change this number. In English or Chinese.
//!
//! One file without scripts, fonts or pictures from elsewhere, and a policy that forbids them; every text of the user's is
//! escaped. Money stands there only if the user's economics were given, and an example is called one.

use super::economics::ProgrammeValue;
use super::fleet_report::{CohortForecast, CohortReport, Money};
use super::money::{Measure, Outcome, Spread};
use super::workbook::escaped;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageLanguage {
    En,
    Zh,
}

/// Rows of the boundaries that are printed.
const BOUNDARIES: usize = 6;
/// Months in service that are printed, evenly chosen.
const MONTHS: usize = 12;

const HEAD: &str = "<meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"><style>body{font-family:sans-serif;max-width:60em;margin:2em auto;color:#222}table{border-collapse:collapse;margin:.5em 0 1.5em}td,th{border-bottom:1px solid #ccc;padding:.25em .8em;text-align:right}td:first-child,th:first-child{text-align:left}.big{font-size:1.4em}.note{color:#555}@media print{body{margin:0;font-size:10pt}h2{break-after:avoid}table{break-inside:avoid}}</style>";

/// The whole page.
pub fn page(report: &CohortReport, language: PageLanguage) -> String {
    let say = |english: &'static str, chinese: &'static str| match language {
        PageLanguage::En => english,
        PageLanguage::Zh => chinese,
    };
    let words = Words { language };
    let title = format!("{} · {}", say("Recall sizing", "召回规模评估"), report.as_of);
    let lang = say("en", "zh");
    let mut body = format!("<h1>{}</h1>", escaped(&title));
    body.push_str(&format!(
        "<p>{} <code>{}</code><br>{} {}</p>",
        say("Cohort", "范围"),
        escaped(&report.cohort),
        say("Model", "模型"),
        escaped(&report.model)
    ));
    body.push_str(&format!(
        "<p class=\"big\"><b>{}</b> {} · <b>{}</b> {} · {}</p>",
        report.affected,
        say("vehicles affected", "辆受影响车辆"),
        report.suspects,
        say("suspects", "辆可疑车辆"),
        percent_of(report.share_of_fleet, say("of the fleet in service", "占在用车辆")),
    ));
    if report.vehicles > report.affected || !report.unknown.is_empty() {
        let unknown = if report.unknown.is_empty() {
            String::new()
        } else {
            format!("; {} {}", report.unknown.len(), say("ids of the list are not in the data", "个编号不在数据中"))
        };
        body.push_str(&format!(
            "<p class=\"note\">{} {}{unknown}</p>",
            report.vehicles - report.affected,
            say("of the cohort are not in service", "辆不在用"),
        ));
    }
    body.push_str(&words.defects(report));
    body.push_str(&words.forecasts(report));
    if let Some(money) = &report.money {
        body.push_str(&words.money(money));
    }
    body.push_str(&words.boundaries(report));
    body.push_str(&words.incidents(report));
    body.push_str(&format!("<h2>{}</h2><ul>", say("What would change this number", "哪些因素会改变这一数字")));
    for line in words.changes(report) {
        body.push_str(&format!("<li>{}</li>", escaped(&line)));
    }
    body.push_str("</ul>");
    format!(
        "<!DOCTYPE html>\n<html lang=\"{lang}\"><head><title>{}</title>{HEAD}</head><body>{body}</body></html>\n",
        escaped(&title)
    )
}

fn percent_of(share: f64, of: &str) -> String {
    format!("{:.2} % {of}", 100.0 * share)
}

/// Money in whole units, in groups of three digits.
fn money(value: f64) -> String {
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

fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |tag: &str, cells: &mut dyn Iterator<Item = String>| {
        let cells: String = cells.map(|cell| format!("<{tag}>{}</{tag}>", escaped(&cell))).collect();
        format!("<tr>{cells}</tr>")
    };
    let head = line("th", &mut headings.iter().map(|&heading| heading.to_owned()));
    let rows: String = rows.into_iter().map(|row| line("td", &mut row.into_iter())).collect();
    format!("<table>{head}{rows}</table>")
}

struct Words {
    language: PageLanguage,
}

impl Words {
    fn say(&self, english: &'static str, chinese: &'static str) -> &'static str {
        match self.language {
            PageLanguage::En => english,
            PageLanguage::Zh => chinese,
        }
    }

    fn defects(&self, report: &CohortReport) -> String {
        if report.defects.is_empty() {
            return String::new();
        }
        let interval = format!("{:.0} %", 100.0 * (2.0 * report.confidence - 1.0));
        let headings = [
            self.say("Share with the defect", "缺陷占比"),
            self.say("vehicles", "车辆数"),
            self.say("share", "占比"),
            &interval,
            self.say("of all others", "其余车辆"),
        ];
        let rows = report.defects.iter().map(|one| {
            let percent = |share: f64| format!("{:.2} %", 100.0 * share);
            vec![
                format!("{} ({})", one.name, one.shows_as),
                one.vehicles.to_string(),
                percent(one.share),
                format!("{} … {}", percent(one.share_lower), percent(one.share_upper)),
                percent(one.share_of_others),
            ]
        });
        table(&headings, rows)
    }

    fn forecasts(&self, report: &CohortReport) -> String {
        let one_sided = format!("{:.4}", 100.0 * report.confidence);
        let one_sided = one_sided.trim_end_matches('0').trim_end_matches('.');
        let lower = format!("≥ ({one_sided} %)");
        let upper = format!("≤ ({one_sided} %)");
        let headings = [
            self.say("Failures to come", "未来失效数"),
            self.say("within days", "今后天数"),
            self.say("expected", "预计"),
            &lower,
            &upper,
            self.say("parameters taken as known", "参数视为已知时"),
        ];
        let row = |one: &CohortForecast| {
            vec![
                one.failure_mode.clone(),
                one.horizon_days.to_string(),
                format!("{:.1}", one.expected),
                one.lower.to_string(),
                one.upper.to_string(),
                format!("{} … {}", one.bounds.lower.plug_in, one.bounds.upper.plug_in),
            ]
        };
        table(&headings, report.forecasts.iter().map(row))
    }

    fn money(&self, of: &Money) -> String {
        let mut text = format!("<h2>{} ({})</h2>", self.say("Money", "费用"), escaped(&of.currency));
        if of.example {
            let told = self.say("EXAMPLE figures: not yours", "示例数字,并非贵方数据");
            text.push_str(&format!("<p><b>{told}</b></p>"));
        }
        if let (Some(mode), Some(days)) = (&of.failure_mode, of.horizon_days) {
            text.push_str(&format!("<p class=\"note\">{}, {days} d</p>", escaped(mode)));
            let headings = [
                self.say("measure", "措施"),
                self.say("cost, mean (5 … 95 %)", "总费用,均值(5 … 95 %)"),
                self.say("net value", "净收益"),
                self.say("P(net > 0)", "净收益为正的概率"),
                self.say("benefit/cost", "收益成本比"),
                self.say("net ROI", "净投资回报率"),
                self.say("payback, days", "回收期,天"),
            ];
            text.push_str(&table(&headings, of.outcomes.iter().map(|one| self.outcome(one))));
            text.push_str(&format!(
                "<p class=\"note\">{}</p>",
                self.say(
                    "Net value: repair and liability that the measure avoids, less what it costs. Benefit/cost: the first over \
                     the second. Net ROI: net value over cost. Payback: when the failures prevented by then have paid for it.",
                    "净收益:措施所避免的维修与赔偿费用减去措施费用。收益成本比:前者除以后者。净投资回报率:净收益除以措施费用。回收期:所避免的费用抵偿措施费用之时。"
                )
            ));
        }
        if !of.programmes.is_empty() {
            let headings = [
                self.say("programme", "项目"),
                self.say("cost", "投入"),
                self.say("benefit of a year", "一年收益"),
                self.say("benefit/cost", "收益成本比"),
                self.say("net ROI", "净投资回报率"),
                self.say("payback, months", "回收期,月"),
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
        }
        text
    }

    fn outcome(&self, one: &Outcome) -> Vec<String> {
        let name = match one.measure {
            Measure::DoNothing => self.say("do nothing", "不采取措施"),
            Measure::Inspect => self.say("inspect", "检查"),
            Measure::ReplaceNow => self.say("replace now", "立即更换"),
            Measure::ReplaceAtService => self.say("replace at the next service", "下次保养时更换"),
        };
        let spread = |of: Spread, show: &dyn Fn(f64) -> String| {
            format!("{} ({} … {})", show(of.mean), show(of.p05), show(of.p95))
        };
        let or_none =
            |of: Option<Spread>, show: &dyn Fn(f64) -> String| of.map_or_else(|| "–".to_owned(), |of| spread(of, show));
        vec![
            name.to_owned(),
            spread(one.cost, &money),
            spread(one.net_value, &money),
            format!("{:.1} %", 100.0 * one.positive),
            or_none(one.benefit_over_cost, &|value| format!("{value:.2}")),
            or_none(one.net_roi, &|value| format!("{:.0} %", 100.0 * value)),
            or_none(one.payback, &|value| format!("{value:.0}")),
        ]
    }

    fn boundaries(&self, report: &CohortReport) -> String {
        if report.boundaries.is_empty() {
            return String::new();
        }
        let headings = [
            self.say("Where it is to be found", "缺陷所在范围"),
            self.say("attribute", "属性"),
            self.say("value", "取值"),
            self.say("vehicles", "车辆数"),
            self.say("marked", "标记数"),
            self.say("by its share", "按比例应有"),
            "p",
        ];
        let rows = report.boundaries.iter().take(BOUNDARIES).map(|(defect, one)| {
            vec![
                defect.clone(),
                one.attribute.clone(),
                one.value.clone().unwrap_or_default(),
                one.vehicles.to_string(),
                one.marked.to_string(),
                format!("{:.1}", one.expected),
                format!("{:.3}", one.p),
            ]
        });
        table(&headings, rows)
    }

    fn incidents(&self, report: &CohortReport) -> String {
        let months = &report.incidents.months;
        if months.is_empty() {
            return String::new();
        }
        let headings = [
            self.say("Month in service", "使用月数"),
            self.say("vehicles", "车辆数"),
            self.say("incidents per 1,000", "每千辆故障数"),
            self.say("all before it too", "累计"),
            self.say("of all others", "其余车辆累计"),
            self.say("cost per 1,000", "每千辆费用"),
        ];
        let shown = months.len().min(MONTHS);
        let places = (0..shown).map(|place| if shown > 1 { place * (months.len() - 1) / (shown - 1) } else { 0 });
        let rows = places.map(|place| {
            let one = &months[place];
            let other = report.incidents_of_others.months.iter().find(|other| other.month == one.month);
            vec![
                one.month.to_string(),
                one.vehicles.to_string(),
                format!("{:.2}", one.incidents_per_1000),
                format!("{:.2}", one.cumulative_per_1000),
                other.map_or_else(|| "–".to_owned(), |other| format!("{:.2}", other.cumulative_per_1000)),
                one.cost_per_1000.map_or_else(|| "–".to_owned(), money),
            ]
        });
        table(&headings, rows)
    }

    /// In plain sentences, from the figures at hand.
    fn changes(&self, report: &CohortReport) -> Vec<String> {
        let mut lines = Vec::new();
        for one in &report.forecasts {
            let parts = [one.share_chance, one.share_weather, one.share_parameters].map(|share| 100.0 * share);
            let [chance, weather, parameters] = parts;
            let (mode, days) = (&one.failure_mode, one.horizon_days);
            lines.push(match self.language {
                PageLanguage::En => format!(
                    "{mode}, {days} d: {chance:.0} % of the uncertainty is chance, {weather:.0} % weather, {parameters:.0} % the model's parameters; more data would narrow the last alone"
                ),
                PageLanguage::Zh => format!(
                    "{mode},{days} 天:不确定性中 {chance:.0} % 来自偶然,{weather:.0} % 来自天气,{parameters:.0} % 来自模型参数;更多数据只能缩小最后一项"
                ),
            });
        }
        if let Some((defect, one)) = report.boundaries.first() {
            let value = one.value.clone().unwrap_or_default();
            lines.push(match self.language {
                PageLanguage::En => format!(
                    "{defect}: if the true border is {} {value}, the number is that of its {} vehicles",
                    one.attribute, one.vehicles
                ),
                PageLanguage::Zh => {
                    format!("{defect}:若真实边界为 {} {value},则应按其 {} 辆车计算", one.attribute, one.vehicles)
                }
            });
        }
        lines.extend(report.notes.iter().cloned());
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_grouped_and_texts_are_escaped() {
        assert_eq!([0.0, 999.4, 1_000.0, -1_234_567.8, -0.2].map(money), ["0", "999", "1,000", "−1,234,568", "0"]);
        let told = table(&["<b>"], [vec!["<script>".to_owned()]]);
        assert!(told.contains("&lt;script&gt;") && !told.contains("<script>") && told.contains("&lt;b&gt;"), "{told}");
    }
}
