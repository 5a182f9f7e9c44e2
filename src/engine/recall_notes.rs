//! What a reader of a recall's figures must know, in English and Chinese.

use super::simulate_plan::SimulateReport;
use crate::recall::fleet_report::{CohortReport, Note};
use crate::recall::workbook::Cut;
use crate::simulate::expected::CountKind;

/// Ids that a note names.
const SHOWN: usize = 5;

fn note(english: impl Into<String>, chinese: impl Into<String>) -> Note {
    Note { english: english.into(), chinese: chinese.into() }
}

/// Of everything but the workbook.
pub fn notes(report: &CohortReport, simulated: &SimulateReport, kind: CountKind, is_costed: bool) -> Vec<Note> {
    let mut notes = Vec::new();
    if !report.is_calibrated() && !report.forecasts.is_empty() {
        notes.push(note(
            "the model carries no covariance of its parameters: they are taken as known, nothing is calibrated, and bounds are too narrow; `fleetwear fit` gives a model that carries it",
            "模型不含参数协方差:参数视为已知,未作校准,区间偏窄;`fleetwear fit` 拟合的模型带有协方差",
        ));
    }
    if report.is_calibrated() && report.forecasts.iter().any(|one| !one.calibrated) {
        notes.push(note(
            "some bounds are not calibrated: no level covers what is asked over the drawn parameter errors; more paths would help",
            "部分界限未能校准:在抽取的参数误差下没有水平能达到所要求的覆盖率;增加路径数会有帮助",
        ));
    }
    if let Some(defect) = report.defect.as_ref().filter(|_| report.forecasts.is_empty()) {
        let component = &defect.component;
        let (and, also) =
            if is_costed { (", and no measure is reckoned", ",也不计算措施费用") } else { ("", "") };
        notes.push(note(
            format!("the model has no failure mode of {component}: failures to come are not forecast{and}"),
            format!("模型没有 {component} 的失效模式:不预测未来失效{also}"),
        ));
    }
    let of_forecasts = |name: &str| {
        let detail = simulated.manifest.details.get(name).filter(|_| !report.forecasts.is_empty());
        detail.and_then(serde_json::Value::as_f64)
    };
    if let Some(days) = of_forecasts("report_delay_mean_days") {
        notes.push(match kind {
            CountKind::Failures => note(
                format!(
                    "failures are reported {days:.0} days late in the mean: what has failed and is not reported yet failed before this day and is not among those to come; --count-by reports counts it"
                ),
                format!("失效平均延迟 {days:.0} 天报告:已失效而未报告的部件发生在该日之前,不在未来失效数内;--count-by reports 将其计入"),
            ),
            CountKind::Reports => note(
                format!(
                    "failures are reported {days:.0} days late in the mean: reports of what has failed already are among those to come"
                ),
                format!("失效平均延迟 {days:.0} 天报告:已失效而未报告的部件计入未来报告数"),
            ),
        });
    }
    if let Some(rate) = of_forecasts("retired_per_vehicle_year") {
        let percent = 100.0 * rate;
        notes.push(note(
            format!("{percent:.1} % of the vehicles retire in a year; what has retired does not fail"),
            format!("每年有 {percent:.1} % 的车辆退役;退役车辆不再失效"),
        ));
    }
    if report.undecided > 0 {
        let count = report.undecided;
        notes.push(note(
            format!("of {count} vehicles it is not known whether they belong to the cohort, as an attribute or date that it asks for is missing: they are not counted, and the table not_counted lists them"),
            format!("{count} 辆因缺少所问的属性或日期,无法判断是否属于该范围:未计入,见 not_counted 表"),
        ));
    }
    if !report.unknown.is_empty() {
        let shown: Vec<&str> = report.unknown.iter().take(SHOWN).map(String::as_str).collect();
        let more = if report.unknown.len() > shown.len() { " …" } else { "" };
        let (count, shown) = (report.unknown.len(), shown.join(", "));
        notes.push(note(
            format!("{count} ids of the list are in neither the vehicles nor the events table and are not counted: {shown}{more}"),
            format!("清单中 {count} 个编号在车辆表和事件表中均不存在,未计入:{shown}{more}"),
        ));
    }
    if report.repeated > 0 {
        let rows = report.repeated;
        notes.push(note(
            format!("{rows} rows of the list name a vehicle again"),
            format!("清单中有 {rows} 行重复列出同一车辆"),
        ));
    }
    notes
}

/// What the workbook does not hold.
pub fn of_workbook(cut: &Cut) -> Vec<Note> {
    let rows = cut.rows.iter().map(|(table, rows)| {
        note(
            format!("recall.xlsx holds the table {table} without its last {rows} rows: the Parquet file has all"),
            format!("recall.xlsx 中的 {table} 表缺最后 {rows} 行:Parquet 文件完整"),
        )
    });
    let cells = (cut.cells > 0).then(|| {
        let cells = cut.cells;
        note(
            format!("{cells} texts are longer than a cell of recall.xlsx may be and are cut off there: the Parquet files have all"),
            format!("{cells} 个文本超过 recall.xlsx 单元格长度上限,已截断:Parquet 文件完整"),
        )
    });
    rows.chain(cells).collect()
}
