"""What is wrong with a query although it parses.

promtool accepts all of it: a quantile of 95, a threshold that no bucket reaches, a series that nobody exports.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import promql_parser as promql

from handbook.monitoring.catalogue import TARGET_LABELS, Catalogue

Finding = tuple[str, str]
"""Message and hint."""

GRAFANA_VARIABLES = {"$__rate_interval": "5m", "$__interval": "1m", "$__range": "1h"}
OF_COUNTERS = ("rate", "irate", "increase")
COMPARISONS = (">", ">=", "<", "<=", "==", "!=")
MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}


@dataclass(frozen=True)
class Known:
    """What a query may name."""

    catalogue: Catalogue
    recorded: dict[str, float | None]
    """Recorded series, each with the largest value it can take where a histogram's last bucket bounds it."""

    @property
    def series(self) -> frozenset[str]:
        return self.catalogue.series | frozenset(self.recorded)


def parse(query: str) -> promql.Expr:
    """Grafana's own variables are put in first. Raises ValueError with the parser's words."""
    for variable, value in GRAFANA_VARIABLES.items():
        query = query.replace(variable, value)
    return promql.parse(query)


def check_query(query: str, known: Known) -> list[Finding]:
    try:
        expression = parse(query)
    except ValueError as error:
        return [(f"not PromQL: {error}", "")]
    found: list[Finding] = []
    for node in nodes(expression):
        if isinstance(node, promql.VectorSelector):
            found += _selector(node, known)
        elif isinstance(node, promql.Call):
            found += _call(node, known)
        elif isinstance(node, promql.AggregateExpr) and str(node.op) == "quantile":
            found += _quantile(node.param)
        elif isinstance(node, promql.BinaryExpr):
            found += _comparison(node, known)
    return list(dict.fromkeys(found))


def nodes(expression: promql.Expr) -> Iterator[promql.Expr]:
    collected: list[promql.Expr] = []
    promql.walk(expression, lambda node: collected.append(node))
    return iter(collected)


def series_of(selector: promql.VectorSelector) -> str | None:
    """Name of the series it selects; None where it names none."""
    if selector.name:
        return str(selector.name)
    matchers = selector.matchers.matchers
    return next((m.value for m in matchers if m.name == "__name__" and m.op == promql.MatchOp.Equal), None)


def selectors(query: str) -> list[promql.VectorSelector]:
    """What the query selects, in order; nothing where it is not PromQL, which `check_query` says."""
    try:
        expression = parse(query)
    except ValueError:
        return []
    return [node for node in nodes(expression) if isinstance(node, promql.VectorSelector)]


def series_in(query: str) -> set[str]:
    """Names of all series that it selects. Raises ValueError with the parser's words."""
    selectors = (node for node in nodes(parse(query)) if isinstance(node, promql.VectorSelector))
    return {name for selector in selectors if (name := series_of(selector))}


def threshold(query: str) -> float | None:
    """The number that the query as a whole compares with; None where it does not end in one comparison."""
    try:
        expression = parse(query)
    except ValueError:
        return None
    if not isinstance(expression, promql.BinaryExpr) or str(expression.op) not in COMPARISONS:
        return None
    return float(expression.rhs.val) if isinstance(expression.rhs, promql.NumberLiteral) else None


def ceiling(expression: promql.Expr, known: Known) -> float | None:
    """The largest value the expression can take where a histogram bounds it."""
    if isinstance(expression, promql.ParenExpr):
        return ceiling(expression.expr, known)
    if isinstance(expression, promql.VectorSelector):
        return known.recorded.get(series_of(expression) or "")
    if isinstance(expression, promql.Call) and expression.func.name == "histogram_quantile":
        metrics = [
            known.catalogue.of_series(series_of(node) or "")
            for node in nodes(expression.args[1])
            if isinstance(node, promql.VectorSelector)
        ]
        return max((metric.last_bucket for metric in metrics if metric and metric.buckets), default=None)
    if isinstance(expression, promql.BinaryExpr) and str(expression.op) in ("*", "/"):
        bound, factor = ceiling(expression.lhs, known), expression.rhs
        if bound is not None and isinstance(factor, promql.NumberLiteral) and factor.val > 0:
            return bound * factor.val if str(expression.op) == "*" else bound / factor.val
    return None


def _selector(selector: promql.VectorSelector, known: Known) -> list[Finding]:
    name = series_of(selector)
    if name is None:
        return [("selects series without naming one", "a query names its series, so that it can be checked")]
    metric = known.catalogue.of_series(name)
    if metric is None:
        if name in known.recorded:
            return []
        return [(f"unknown series {name}", _nearest(name, known))]
    found: list[Finding] = []
    for matcher in selector.matchers.matchers:
        if matcher.name in (*TARGET_LABELS, "__name__", "cluster") or (matcher.name == "le" and metric.buckets):
            continue
        if matcher.name not in metric.labels:
            labels = ", ".join(metric.labels) or "none"
            found.append((f"{metric.name} has no label {matcher.name}", f"its labels: {labels}"))
            continue
        allowed = metric.labels[matcher.name]
        for value in _values(matcher):
            if allowed is not None and value not in allowed:
                found.append((f'{metric.name} never has {matcher.name}="{value}"', f"one of {', '.join(allowed)}"))
    return found


def _values(matcher: promql.Matcher) -> list[str]:
    """Values the matcher spells out; a dashboard variable or a pattern spells out none."""
    if matcher.op in (promql.MatchOp.Equal, promql.MatchOp.NotEqual):
        spelled = [matcher.value]
    else:
        spelled = matcher.value.split("|") if re.fullmatch(r"[\w|]*", matcher.value) else []
    return [value for value in spelled if value and "$" not in value]


def _nearest(name: str, known: Known) -> str:
    if metric := next((m for m in known.catalogue.metrics if m.name == name), None):
        return f"a {metric.type} is stored as {', '.join(metric.series)}"
    close = difflib.get_close_matches(name, sorted(known.series), n=1, cutoff=0.75)
    return f"did you mean {close[0]}?" if close else "metrics are listed in snippets/metrics.yml"


def _call(call: promql.Call, known: Known) -> list[Finding]:
    name = call.func.name
    if name == "quantile_over_time":
        return _quantile(call.args[0])
    if name == "histogram_quantile":
        return _quantile(call.args[0]) + _histogram(call.args[1])
    if name in OF_COUNTERS:
        for node in nodes(call.args[0]):
            series = series_of(node) if isinstance(node, promql.VectorSelector) else None
            metric = known.catalogue.of_series(series or "")
            if metric and metric.type == "gauge":
                return [(f"{name}() of the gauge {metric.name}", "use delta() or deriv() for a gauge")]
    return []


def _quantile(argument: promql.Expr | None) -> list[Finding]:
    if isinstance(argument, promql.NumberLiteral) and not 0 <= argument.val <= 1:
        return [(f"quantile {argument.val:g} is not between 0 and 1", f"95 % is 0.95, not {argument.val:g}")]
    return []


def _histogram(argument: promql.Expr) -> list[Finding]:
    found: list[Finding] = []
    for node in nodes(argument):
        if isinstance(node, promql.AggregateExpr) and not _keeps_le(node):
            found.append(("histogram_quantile over an aggregation that drops the label le", "write sum by (…, le) (…)"))
    rated = any(isinstance(node, promql.Call) and node.func.name in OF_COUNTERS for node in nodes(argument))
    recorded = any(isinstance(n, promql.VectorSelector) and ":" in (series_of(n) or "") for n in nodes(argument))
    if not rated and not recorded:
        hint = "write rate(…_bucket[5m]): without it the quantile is over all time"
        found.append(("histogram_quantile over buckets without rate()", hint))
    return found


def _keeps_le(aggregation: promql.AggregateExpr) -> bool:
    modifier = aggregation.modifier
    if modifier is None:
        return False
    named = "le" in modifier.labels
    return named if modifier.type == promql.AggModifierType.By else not named


def _comparison(node: promql.BinaryExpr, known: Known) -> list[Finding]:
    op = str(node.op)
    if op not in COMPARISONS:
        return []
    left, right = node.lhs, node.rhs
    if isinstance(left, promql.NumberLiteral):
        left, right, op = right, left, MIRRORED.get(op, op)
    bound = ceiling(left, known)
    if bound is None or not isinstance(right, promql.NumberLiteral):
        return []
    if (op == ">" and right.val >= bound) or (op in (">=", "==") and right.val > bound):
        message = f"threshold {right.val:g} is out of reach: the last bucket ends at {bound:g}"
        return [(message, "a quantile is never larger than the last finite bucket")]
    return []
