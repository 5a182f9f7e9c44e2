//! Headings and labels in English and Chinese, each pair in one place. Options, column names and ids stay as they are.

use super::args::Language;

/// Declares the words once: a name, its English and its Chinese text.
macro_rules! words {
    ($($name:ident $english:literal $chinese:literal)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Word { $($name),* }

        const TEXTS: &[(Word, &str, &str)] = &[$((Word::$name, $english, $chinese)),*];
    };
}

words! {
    Rectangles "rectangles searched" "搜索的矩形数"
    ChanceOfAny "chance of as clear a finding" "偶然得到同样结果的概率"
    NothingFound "nothing found that chance does not give as often" "未发现超出偶然的规律"
    NotBorneOut "left out: not borne out by a close look" "经细查不成立而略去"
    NothingBorneOut "nothing found that a close look bears out" "细查后无成立的规律"
    Finding "finding" "发现"
    FindingSentence "{mode} is {ratio} times as likely (95 %: {lower} to {upper}) where {first} and {second}{whom}; a search finds as much by chance with a probability of {p}" "当 {first} 且 {second} 时{whom},{mode} 的发生率是平时的 {ratio} 倍(95 % 区间:{lower} 至 {upper});偶然搜到同样结果的概率为 {p}"
    FindingWhom ", on vehicles whose {name} is {value}" "({name} 为 {value} 的车辆)"
    TooFewToDiscover "too few failures to look for their causes: --vehicles 5000 makes more" "故障太少,无法查找原因:--vehicles 5000 可生成更多"
    Alone "alone" "单独作用"
    CrudeRatio "crude ratio" "粗倍数"
    Error "error" "错误"
    Hint "hint" "提示"
    Warning "warning" "警告"
    Output "output" "输出"
    Horizon "within" "今后"
    PlugIn "taken as known" "按已知分布"
    Covers "covers" "覆盖率"
    Calibrated "calibrated" "校准后"
    OneSided "one-sided" "单侧"
    Method "method" "方法"
    Tail "tail" "侧"
    NestedCover "covers in tables drawn from the law" "在按分布重抽的数据中的覆盖率"
    Vehicles "vehicles" "车辆数"
    Scores "scores" "评分行数"
    AsOf "as of" "截至"
    Device "device" "计算设备"
    ContentHash "content hash" "内容哈希"
    Rows "rows" "行"
    RowsIn "in" "读入"
    Scored "scored" "已评分"
    Quarantined "quarantined" "隔离"
    Skipped "skipped" "跳过"
    Used "used" "采用"
    SetAside "set aside" "未采用"
    FirstAt "first at" "首见于"
    ByItsName "by its name" "按列名识别"
    LateEntries "late entries" "延迟进入"
    WithinIntervals "known to an interval" "区间失效"
    AnyFailure "any failure" "任何失效"
    Law "law" "分布"
    Parameter "parameter" "参数"
    Estimate "estimate" "估计值"
    StandardError "standard error" "标准误"
    Lower "lower" "下限"
    Upper "upper" "上限"
    Held "held" "给定"
    LogLikelihood "log-likelihood" "对数似然"
    ConstantHazard "constant hazard against Weibull" "恒定失效率对威布尔"
    GroupsAlike "one law for all groups against one for each" "各组共用一个分布对各组各用一个"
    ModesTogether "modes together" "各模式合并"
    AtRisk "at risk" "在险数"
    Survival "survival" "可靠度"
    CumulativeHazard "cumulative hazard" "累积失效率"
    MeanCumulative "mean cumulative" "平均累积数"
    Units "units" "单元数"
    Events "events" "事件数"
    NothingDetermined "these lives determine no law: the notes above say why and what to do" "这些寿命数据无法确定任何分布:原因与办法见上"
    Channel "channel" "通道"
    NotAvailable "not available" "无有效值"
    Cells "cells" "单元格"
    Share "share" "占比"
    Stage "stage" "阶段"
    Time "time" "用时"
    Total "total" "合计"
    Dictionary "dictionary" "数据字典"
    Order "read" "读取方式"
    WithoutRecords "without records" "无记录车辆"
    Days "days" "日期范围"
    Unit "unit" "单位"
    Lowest "lowest" "最小"
    Mean "mean" "均值"
    Highest "highest" "最大"
    VehiclesTable "vehicles table" "车辆表"
    EventsTable "events table" "工单表"
    SideTable "side table" "关联表"
    WorkOrders "work orders" "工单数"
    FailureMode "failure mode" "失效模式"
    Failures "failures" "失效数"
    Vehicle "vehicle" "车辆"
    Position "position" "位置"
    Damage "damage" "损伤"
    RelativeRate "against the fleet" "相对车队"
    Driver "driver" "主因"
    Monitor "monitor" "监测"
    When "when" "条件"
    Source "source" "来源"
    Ratio "ratio" "倍率"
    Given "given" "原值"
    Expected "expected" "预期"
    LeftOut "left out" "未采用"
    Run "run" "运行"
    NotRun "not run" "未运行"
    CameLate "came late" "迟到"
    Agrees "one content hash" "内容哈希一致"
    Differs "contents differ" "内容不一致"
    Column "column" "列"
    Records "records" "记录数"
    FirstRecord "the first record" "首条记录"
    Since "since" "起始"
    Exposure "exposure" "暴露量"
    Lives "lives" "寿命"
    NoAdapter "no graphics adapter: scores are computed on the processor" "没有图形适配器:使用处理器计算"
    Yes "yes" "是"
    No "no" "否"
    Taken "taken" "自动选用"
    Kind "kind" "类型"
    DriverVersion "driver" "驱动"
    PciId "PCI id" "PCI 编号"
    Limits "limits" "上限"
    DemoSynth "making a fleet" "生成车队"
    DemoCheck "checking it" "检查数据"
    DemoScore "scoring it" "评分"
    DemoWorst "most worn parts" "磨损最重的部件"
    Forecasts "forecasts" "预测行数"
    Alerts "alerts" "预警数"
    Alarms "alarms" "报警数"
    Budgeted "false alarms budgeted" "误报预算"
    Cohort "leading cohort" "最突出的批次"
    ItsAlarms "its alarms" "其报警数"
    ByShare "by its share" "按占比应有"
    ActBy "act by" "处理期限"
    Component "component" "部件"
    Why "why" "原因"
    Within "within" "期限"
    FailedNotReplaced "failed, not replaced yet" "已故障,尚未更换"
    LimitWithin "limit within" "到达限值"
    ExpectedWithin "expected within" "预期故障数"
    Group "group" "分组"
    DemoSimulate "simulating it forward" "预测未来"
    DemoUrgent "most urgent vehicles" "最紧急的车辆"
    DemoAlarms "drifting sensors" "传感器漂移"
    DemoCounts "failures to expect, by service centre" "各服务站预期故障数"
    DemoDiscover "discovering what the model was not told" "发现模型未知的规律"
    DemoNext "what next" "下一步"
    Median "median" "中位数"
    Spread "spread" "离散"
    ShareOfCopy "of memory copy" "占内存拷贝"
    MemoryCopy "memory copy" "内存拷贝"
    PeakMemory "peak memory" "内存峰值"
    CutDays "cut days" "截止日"
    Predictions "predictions" "预测行数"
    KnownFailed "known failed, not judged" "已知故障,不评判"
    Parts "parts" "部件数"
    CameOverExpected "came/expected" "实际/预期"
    Slope "slope" "斜率"
    LogSkill "log skill" "对数技巧"
    CountsIn90 "counts in 90 %" "计数落入 90 %"
    Warned "warned" "预警数"
    Precision "precision" "精确率"
    Recall "recall" "召回率"
    Accuracy "accuracy" "准确率"
    NeverWarning "never warning" "从不预警"
    BalancedAccuracy "balanced" "平衡准确率"
    BestThreshold "best in hindsight" "事后最佳"
    AlarmsPerDay "alarms/day" "日报警数"
    LeadDays "lead days" "提前天数"
    Pilot "balanced, pilot of" "平衡准确率,试点"
    Cost "cost" "成本"
    CostUnwarned "without warnings" "无预警成本"
}

/// The text of `word`. The table stands in the order of the enum, so the position is the word.
pub fn text(word: Word, language: Language) -> &'static str {
    match (TEXTS.get(word as usize), language) {
        (Some((_, english, _)), Language::En) => english,
        (Some((_, _, chinese)), Language::Zh) => chinese,
        (None, _) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_both_texts() {
        for (position, (word, english, chinese)) in TEXTS.iter().enumerate() {
            assert_eq!(*word as usize, position);
            assert!(english.is_ascii() && !english.is_empty(), "{word:?}");
            assert!(!chinese.is_ascii(), "{word:?}");
        }
    }
}
