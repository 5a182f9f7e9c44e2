//! The page that a quality meeting prints: count, bounds, cost, and what would change this number. In English or Chinese.
//!
//! One file without scripts, fonts or pictures from elsewhere, and a policy that forbids them; every text of the user's is
//! escaped. Money stands there only if the user's economics were given, and an example is called one.

use super::boundary::Boundary;
use super::fleet_report::{CohortForecast, CohortReport, Share};
use super::page_money::money_part;
use super::workbook::escaped;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageLanguage {
    En,
    Zh,
}

impl PageLanguage {
    pub(super) fn say(self, english: &'static str, chinese: &'static str) -> &'static str {
        match self {
            Self::En => english,
            Self::Zh => chinese,
        }
    }
}

/// Rows of the boundaries that are printed.
const BOUNDARIES: usize = 6;
/// Months in service that are printed, evenly chosen.
const MONTHS: usize = 12;
/// Ids that are printed of those that are not counted.
const IDS: usize = 10;

const HEAD: &str = "<meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"><style>body{font-family:sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#222}h2{margin:1.4em 0 .3em}table{border-collapse:collapse;margin:.5em 0 1em}td,th{border-bottom:1px solid #ccc;padding:.25em .8em;text-align:right}th{vertical-align:bottom}td:first-child,th:first-child{text-align:left}.big{font-size:1.4em;margin:.4em 0}.note{color:#555;margin:.3em 0}.warn{border:2px solid #b00;padding:.4em .8em;display:inline-block}@media print{@page{margin:1.4cm}body{margin:0;padding:0;font-size:10pt}table{font-size:8pt}td,th{padding:.25em .5em}h2{break-after:avoid}table{break-inside:avoid}}</style>";

/// The whole page.
pub fn page(report: &CohortReport, language: PageLanguage) -> String {
    let title = format!("{} · {}", language.say("Recall sizing", "召回规模评估"), report.as_of);
    let mut body = format!("<h1>{}</h1>", escaped(&title));
    body.push_str(&head(report, language));
    body.push_str(&forecasts(report, language));
    body.push_str(&defects(report, language));
    if let Some(money) = &report.money {
        body.push_str(&money_part(money, language));
    }
    body.push_str(&boundaries(report, language));
    body.push_str(&incidents(report, language));
    let heading = language.say("What would change this number", "哪些因素会改变这一数字");
    body.push_str(&format!("<h2>{heading}</h2><ul>"));
    for line in changes(report, language) {
        body.push_str(&format!("<li>{}</li>", escaped(&line)));
    }
    body.push_str("</ul>");
    format!(
        "<!DOCTYPE html>\n<html lang=\"{}\"><head><title>{}</title>{HEAD}</head><body>{body}</body></html>\n",
        language.say("en", "zh"),
        escaped(&title)
    )
}

/// Who: the cohort, the counts, and who is not counted.
fn head(report: &CohortReport, language: PageLanguage) -> String {
    let say = |english, chinese| language.say(english, chinese);
    let mut text = format!(
        "<p>{} <code>{}</code><br>{} {}",
        say("Cohort:", "范围:"),
        escaped(&report.cohort),
        say("Model:", "模型:"),
        escaped(&report.model)
    );
    if let Some(defect) = &report.defect {
        text.push_str(&format!(
            "<br>{} {} ({})",
            say("Defect:", "缺陷:"),
            escaped(&defect.name),
            escaped(&defect.component)
        ));
    }
    text.push_str(&format!(
        "</p><p class=\"big\"><b>{}</b> {} · {}</p>",
        report.affected,
        say("vehicles affected", "辆受影响车辆"),
        match language {
            PageLanguage::En => format!("{} of the fleet in service", percent(report.share_of_fleet)),
            PageLanguage::Zh => format!("占在用车辆的 {}", percent(report.share_of_fleet)),
        }
    ));
    if let Some(suspects) = &report.suspects {
        let share = share(suspects);
        text.push_str(&format!(
            "<p class=\"big\"><b>{}</b> {}</p><p class=\"note\">{}</p>",
            suspects.vehicles,
            match language {
                PageLanguage::En => format!("suspects: {share} of those affected show the defect"),
                PageLanguage::Zh => format!("辆可疑车辆:受影响车辆中 {share} 出现该缺陷"),
            },
            match language {
                PageLanguage::En => format!(
                    "{} of those affected have failed already by known work orders; of {} the part that alarmed is replaced already",
                    report.failed.unwrap_or(0),
                    report.replaced
                ),
                PageLanguage::Zh => format!(
                    "受影响车辆中已有 {} 辆按已知工单失效;可疑车辆中 {} 辆的报警部件已更换",
                    report.failed.unwrap_or(0),
                    report.replaced
                ),
            }
        ));
    }
    let out = report.vehicles - report.affected;
    let told = [
        (out > 0).then(|| match language {
            PageLanguage::En => format!("{out} vehicles of the cohort are not in service"),
            PageLanguage::Zh => format!("范围内 {out} 辆不在用"),
        }),
        (report.undecided > 0).then(|| match language {
            PageLanguage::En => format!(
                "of {} vehicles it is not known whether they belong to the cohort, as an attribute is missing: they are not counted",
                report.undecided
            ),
            PageLanguage::Zh => format!("{} 辆因缺少属性无法判断是否属于该范围,未计入", report.undecided),
        }),
        (!report.unknown.is_empty()).then(|| {
            let shown: Vec<&str> = report.unknown.iter().take(IDS).map(String::as_str).collect();
            let more = if report.unknown.len() > shown.len() { " …" } else { "" };
            let (count, shown) = (report.unknown.len(), escaped(&shown.join(", ")));
            match language {
                PageLanguage::En => format!("{count} ids of the list are not in the data: {shown}{more}"),
                PageLanguage::Zh => format!("清单中 {count} 个编号不在数据中:{shown}{more}"),
            }
        }),
    ];
    for line in told.into_iter().flatten() {
        text.push_str(&format!("<p class=\"note\">{line}</p>"));
    }
    text
}

/// Numbers do not break over lines.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2}\u{a0}%", 100.0 * share)
}

fn share(of: &Share) -> String {
    format!("{} ({}\u{a0}…\u{a0}{})", percent(of.share), percent(of.lower), percent(of.upper))
}

pub(super) fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |tag: &str, cells: &mut dyn Iterator<Item = String>| {
        let cells: String = cells.map(|cell| format!("<{tag}>{}</{tag}>", escaped(&cell))).collect();
        format!("<tr>{cells}</tr>")
    };
    let head = line("th", &mut headings.iter().map(|&heading| heading.to_owned()));
    let rows: String = rows.into_iter().map(|row| line("td", &mut row.into_iter())).collect();
    format!("<table>{head}{rows}</table>")
}

/// How many to come, each tail with what it covers, and how that was found.
fn forecasts(report: &CohortReport, language: PageLanguage) -> String {
    if report.forecasts.is_empty() {
        return String::new();
    }
    let say = |english, chinese| language.say(english, chinese);
    let one_sided = format!("{:.4}", 100.0 * report.confidence);
    let one_sided = one_sided.trim_end_matches('0').trim_end_matches('.');
    let heading = match report.counts {
        "reports" => say("Reports of failures to come", "未来报告的失效数"),
        _ => say("Failures to come", "未来失效数"),
    };
    let headings = [
        say("failure mode", "失效模式"),
        say("within days", "今后天数"),
        say("expected", "预计"),
        &format!("≥ ({one_sided}\u{a0}%)"),
        say("covers", "覆盖率"),
        &format!("≤ ({one_sided}\u{a0}%)"),
        say("covers", "覆盖率"),
        say("calibrated", "已校准"),
        say("if parameters were known", "参数视为已知时"),
    ];
    let row = |one: &CohortForecast| {
        let (lower, upper) = (one.bounds.lower, one.bounds.upper);
        let cover = |cover: f64| if report.is_calibrated() { percent(cover) } else { "–".to_owned() };
        vec![
            one.failure_mode.clone(),
            one.horizon_days.to_string(),
            format!("{:.1}", one.expected),
            one.lower.to_string(),
            cover(lower.cover),
            one.upper.to_string(),
            cover(upper.cover),
            if one.calibrated { say("yes", "是") } else { say("NO", "否") }.to_owned(),
            format!("{}\u{a0}…\u{a0}{}", lower.plug_in, upper.plug_in),
        ]
    };
    let method = say(report.method.english(), report.method.chinese());
    let covers = say(
        "Covers: how often a bound found in this way holds, over the drawn parameter errors; each bound by itself.",
        "覆盖率:在抽取的参数误差下,按此法得到的单侧界限成立的频率。",
    );
    format!(
        "<h2>{heading}</h2>{}<p class=\"note\">{} {}. {}</p>",
        table(&headings, report.forecasts.iter().map(row)),
        say("Method:", "方法:"),
        escaped(method),
        if report.is_calibrated() { covers } else { "" }
    )
}

fn defects(report: &CohortReport, language: PageLanguage) -> String {
    if report.defects.is_empty() {
        return String::new();
    }
    let say = |english, chinese| language.say(english, chinese);
    let interval = format!("{:.0} %", 100.0 * (2.0 * report.confidence - 1.0));
    let headings = [
        say("shown by", "表现"),
        say("vehicles", "车辆数"),
        say("share", "占比"),
        &interval,
        say("of all others", "其余车辆"),
    ];
    let rows = report.defects.iter().map(|one| {
        let shows_as = match one.shows_as {
            "alarms" => say("alarms", "报警"),
            _ => say("failures", "失效"),
        };
        vec![
            format!("{} ({shows_as})", one.name),
            one.inside.vehicles.to_string(),
            percent(one.inside.share),
            format!("{}\u{a0}…\u{a0}{}", percent(one.inside.lower), percent(one.inside.upper)),
            percent(one.share_of_others),
        ]
    });
    format!("<h2>{}</h2>{}", say("Share with the defect", "缺陷占比"), table(&headings, rows))
}

/// A p as short as it can be.
pub fn small(p: f64) -> String {
    if p < 1e-4 { "< 0.0001".to_owned() } else { format!("{p:.4}") }
}

fn boundaries(report: &CohortReport, language: PageLanguage) -> String {
    if report.boundaries.is_empty() {
        return String::new();
    }
    let say = |english, chinese| language.say(english, chinese);
    let headings = [
        say("defect", "缺陷"),
        say("attribute", "属性"),
        say("value", "取值"),
        say("vehicles", "车辆数"),
        say("marked", "标记数"),
        say("to be expected", "按同类应有"),
        say("inside over outside", "内外之比"),
        say("p, corrected", "校正后 p"),
    ];
    let row = |one: &Boundary| {
        vec![
            one.defect.clone(),
            one.attribute.clone(),
            one.value.clone().unwrap_or_default(),
            one.vehicles.to_string(),
            one.marked.to_string(),
            format!("{:.1}", one.expected),
            one.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.1}")),
            small(one.p),
        ]
    };
    let strata = match report.strata.is_empty() {
        true => String::new(),
        false => match language {
            PageLanguage::En => format!(", within {}", report.strata.join(", ")),
            PageLanguage::Zh => format!(",分层:{}", report.strata.join("、")),
        },
    };
    format!(
        "<h2>{}</h2>{}<p class=\"note\">{}{}. {}</p>",
        say("Where it is to be found", "缺陷所在范围"),
        table(&headings, report.boundaries.iter().take(BOUNDARIES).map(row)),
        say("To be expected at the fleet's rate in the same months in service", "按全体车辆在相同使用月数的发生率"),
        escaped(&strata),
        say(
            "p is corrected within each attribute by the number of its values, and over all attributes and defects by Holm.",
            "p 在每个属性内按取值个数校正,并对所有属性与缺陷按 Holm 法校正。"
        )
    )
}

fn incidents(report: &CohortReport, language: PageLanguage) -> String {
    let months = &report.incidents.months;
    if months.is_empty() {
        return String::new();
    }
    let say = |english, chinese| language.say(english, chinese);
    let headings = [
        say("month in service", "使用月数"),
        say("vehicles", "车辆数"),
        say("incidents per 1,000", "每千辆故障数"),
        say("all before it too", "累计"),
        say("of all others", "其余车辆累计"),
        say("cost per 1,000", "每千辆费用"),
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
            one.cost_per_1000.map_or_else(|| "–".to_owned(), super::page_money::money),
        ]
    });
    format!(
        "<h2>{}</h2>{}<p class=\"note\">{}</p>",
        say("Incidents by months in service", "按使用月数的故障"),
        table(&headings, rows),
        say(
            "Failures of all components, by known work orders; cost as these say.",
            "所有部件的失效,按已知工单;费用按工单所载。"
        )
    )
}

/// In plain sentences, from the figures at hand.
fn changes(report: &CohortReport, language: PageLanguage) -> Vec<String> {
    let mut lines = Vec::new();
    for one in &report.forecasts {
        let [chance, weather] = [one.share_chance, one.share_weather].map(|share| 100.0 * share);
        let (mode, days) = (&one.failure_mode, one.horizon_days);
        lines.push(match (language, one.share_parameters.map(|share| 100.0 * share)) {
            (PageLanguage::En, Some(parameters)) => format!(
                "{mode}, {days} d: {chance:.0} % of the variance is chance, {weather:.0} % weather, {parameters:.0} % the model's parameters; more data would narrow the last alone"
            ),
            (PageLanguage::Zh, Some(parameters)) => format!(
                "{mode},{days} 天:方差中 {chance:.0} % 来自偶然,{weather:.0} % 来自天气,{parameters:.0} % 来自模型参数;更多数据只能缩小最后一项"
            ),
            (PageLanguage::En, None) => format!(
                "{mode}, {days} d: {chance:.0} % of the variance is chance, {weather:.0} % weather; the model's parameters were not varied, and what they add is not known"
            ),
            (PageLanguage::Zh, None) => format!(
                "{mode},{days} 天:方差中 {chance:.0} % 来自偶然,{weather:.0} % 来自天气;模型参数未作变动,其影响未知"
            ),
        });
    }
    if let Some(one) = report.boundaries.first() {
        let value = one.value.clone().unwrap_or_default();
        let (defect, attribute, vehicles) = (&one.defect, &one.attribute, one.vehicles);
        lines.push(match language {
            PageLanguage::En => {
                format!(
                    "{defect}: if the true border is {attribute} {value}, the number is that of its {vehicles} vehicles"
                )
            }
            PageLanguage::Zh => format!("{defect}:若真实边界为 {attribute} {value},则应按其 {vehicles} 辆车计算"),
        });
    }
    lines.extend(report.notes.iter().map(|note| match language {
        PageLanguage::En => note.english.clone(),
        PageLanguage::Zh => note.chinese.clone(),
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_small_chances_are_short() {
        let told = table(&["<b>"], [vec!["<script>".to_owned()]]);
        assert!(told.contains("&lt;script&gt;") && !told.contains("<script>") && told.contains("&lt;b&gt;"), "{told}");
        assert_eq!([0.0, 3e-5, 0.0123].map(small), ["< 0.0001", "< 0.0001", "0.0123"]);
    }
}
