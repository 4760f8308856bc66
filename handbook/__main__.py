"""The command line. Each command imports what it needs when it runs, so that `handbook node` starts at once."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

LEVELS = ("none", "envelope", "schema", "shape", "exact")
STARTS = ("open", "tokens", "starved", "throttled")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="the-block-handbook")
def main() -> None:
    """The Block's operations handbook: its mock node, its checks, its site."""


@main.command()
@click.option("--rpc-addr", default="127.0.0.1:3030", show_default=True, help="JSON-RPC; port 0 takes a free one")
@click.option("--metrics-addr", help="Prometheus text, on any path")
@click.option("--control-addr", help="mock.* methods: clock, epochs, funds, journal, faults")
@click.option("--data-dir", type=click.Path(path_type=Path), default=Path("node-data"), show_default=True)
@click.option("--treasury-balance", type=click.IntRange(min=0), help="one accrual of N, on an empty data directory")
@click.option("--clock", type=click.IntRange(min=0), metavar="UNIX", help="freeze the clock there")
@click.option("--build", default="contract", show_default=True, help="0ecc756a: with that build's deviations")
@click.option("--keep-all", is_flag=True, help="no retention limits, as no node has it; the log is not pruned either")
@click.option("--treasury-executor", is_flag=True, help="pay matured disbursements")
@click.option("--treasury-key", metavar="ID", help="key id of the executor; the mock needs no key file")
@click.option("--treasury-executor-id", metavar="TEXT", help="lease holder  [default: treasury-<process id>]")
@click.option("--treasury-poll-interval", type=click.IntRange(min=1), default=15, show_default=True, metavar="S")
@click.option("--treasury-executor-lease", type=click.IntRange(min=5), default=60, show_default=True, metavar="S")
def node(**options: object) -> None:
    """Run the mock node: it answers as the real one does, and keeps its state through kill -9."""
    from handbook.node.config import Config
    from handbook.node.server import main as serve_node

    serve_node(Config(**options))  # type: ignore[arg-type]  # click checked them


@main.command()
@click.argument("data_dir", type=click.Path(path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), help="a new directory  [default: DATA_DIR-salvaged]")
def salvage(data_dir: Path, to: Path | None) -> None:
    """Write what is readable of a mock node's damaged DATA_DIR to a new directory. Status 1: something is lost."""
    from handbook.node import salvage as salvaging
    from handbook.node.failure import StartFailure

    target = to or data_dir.with_name(f"{data_dir.name}-salvaged")
    try:
        found = salvaging.salvage(data_dir, target)
    except StartFailure as failure:
        print(failure, file=sys.stderr)
        sys.exit(2)
    print(f"{target}: the state of event {found.reached}, {found.events} events, {found.snapshots} snapshots")
    if found.damage:
        print(f"damage: {found.damage}; what came after event {found.reached + found.lost + found.apart} is not known")
        print(f"lost before: {found.lost} events, {found.snapshots_lost} snapshots")
        if found.apart:
            print(f"behind the gap: {found.apart} events, in {target / salvaging.APART}")
        sys.exit(1)


@main.command()
@click.argument("pages", nargs=-1)
@click.option("--update", is_flag=True, help="write what blocks print into their output blocks; read the diff")
@click.option("--node", metavar="URL", help="run on this node: read blocks only")
@click.option("--allow-writes", is_flag=True, help="with --node: also write blocks, never destructive ones")
@click.option("--report", type=click.Path(path_type=Path), help="default: build/report.json")
@click.option("--junit", type=click.Path(path_type=Path))
def verify(
    pages: tuple[str, ...], update: bool, node: str | None, allow_writes: bool, report: Path | None, junit: Path | None
) -> None:
    """Run the blocks of PAGES, or of all pages, and say which hold."""
    from handbook.pages import report as reports
    from handbook.pages.verify import verify as run
    from handbook.target import Addresses

    progress = run(
        pages,
        node=Addresses(node) if node else None,
        allow_writes=allow_writes,
        update=update,
        report=report or (None if node else reports.PATH),
        junit=junit,
    )
    for failure in progress.failures:
        click.echo(f"\n{failure}", err=True)
    click.echo(progress.summary())
    sys.exit(1 if progress.failures else 0)


@main.command()
@click.option("--monitoring", is_flag=True, help="metrics, rules, panels and routes only")
def check(monitoring: bool) -> None:
    """Check pages, runbooks and monitoring as far as that needs no node; says what is missing, with page and line."""
    from handbook.check import check as run
    from handbook.document import Unreadable
    from handbook.pages.page import PageError

    try:
        checked = run(monitoring)
    except (Unreadable, PageError) as error:
        raise click.ClickException(str(error)) from None
    for problem in checked.problems:
        click.echo(problem, err=True)
    click.echo(checked.summary())
    sys.exit(1 if checked.problems else 0)


@main.command()
@click.option(
    "--url",
    default="http://127.0.0.1:9898/metrics",
    show_default=True,
    envvar="METRICS",
    help="what the node exports; - reads it from standard input  [env: METRICS]",
)
@click.option(
    "--build", default="contract", show_default=True, help="what to expect: of the mock, or of build 0ecc756a"
)
@click.option("--executor", is_flag=True, help="the node has --treasury-executor: its series must be there")
@click.option("--strict", is_flag=True, help="a metric that is not listed fails, whatever its system")
@click.option("--budget", "budgets", multiple=True, metavar="METRIC=N", help="series that METRIC may have")
@click.option(
    "--config", type=click.Path(path_type=Path), help="limits of a scrape  [default: monitoring/prometheus.yml]"
)
@click.option("--json", "to", type=click.Path(path_type=Path), help="write the findings there too")
def metrics(
    url: str, build: str, executor: bool, strict: bool, budgets: tuple[str, ...], config: Path | None, to: Path | None
) -> None:
    """Compare what a node exports with the catalogue, both ways. Status 1: a finding; 2: nothing to compare."""
    from handbook.monitoring import metric_command

    asked = metric_command.Asked(url, build, executor, strict, budgets, config, to)
    sys.exit(metric_command.run(asked))


@main.command()
@click.argument("names", nargs=-1)
@click.option("--node", "url", metavar="URL", help="a node that runs  [default: mock nodes started for the run]")
@click.option("--control", metavar="URL", help="with --node: of a mock node, which is reset for every case")
@click.option("--start", type=click.Choice(STARTS), default="open", show_default=True, help="how --node was started")
@click.option("--token", "tokens", multiple=True, metavar="ROLE=FILE", help="with --node: admin, provider, oracle")
@click.option("--allow-writes", is_flag=True, help="with --node: also methods that change it, on a chain for tests")
@click.option("--also", multiple=True, metavar="METHOD", help="with --node: a destructive or hazardous one, by name")
@click.option("--rate", type=click.IntRange(1, 19), default=10, show_default=True, help="calls per second on --node")
@click.option("--build", help="hold it to that build's deviations; mock nodes are started with them")
@click.option("--level", type=click.Choice(LEVELS[1:]), help="that every answer must reach")
@click.option("--recordings", multiple=True, type=click.Path(path_type=Path), help="recorded calls, in place of cases")
@click.option("--out", type=click.Path(path_type=Path), help="the report as JSON, see schemas/conformance.json")
@click.option("--record", type=click.Path(path_type=Path), help="the calls and answers as JSON lines")
@click.option("--update", is_flag=True, help="write into the cases what mock nodes answer; read the diff")
def conform(**options: Any) -> None:
    """Hold a node to the cases of snippets/rpc. NAMES are methods or METHOD/CASE, in which * stands for anything.

    Without --node mock nodes are started. A node that is not a mock is only read, slowly, and keeps its own data: its
    results must fit their schemas, its errors must be those of the cases.
    """
    from handbook.control import Unreachable
    from handbook.rpc.cases import BadCase
    from handbook.rpc.conform import Unusable
    from handbook.rpc.conform import conform as run

    try:
        bad = run(**options)
    except (BadCase, Unusable, Unreachable, RuntimeError) as error:
        raise click.ClickException(str(error)) from None
    sys.exit(1 if bad else 0)


@main.command()
def mutate() -> None:
    """Break each documented member and error of the mock's answers, and say what no case notices."""
    from handbook.rpc import bench, cases, mutations, trial

    with bench.OwnNodes() as nodes:
        results = trial.run([case for found in cases.load().values() for case in found], nodes, {})
    for result in results:
        if result.verdict in trial.BAD:
            raise click.ClickException(f"{result.case.id} fails as it is: {result.told} (hint: handbook conform)")
    score = mutations.score(results)
    for survivor in score.survivors:
        click.echo(f"no case notices: {survivor}", err=True)
    click.echo(score)
    sys.exit(1 if score.survivors else 0)


@main.command()
def build() -> None:
    """Build the site into build/site, strictly, with the verdicts of build/report.json on it."""
    from handbook.serve import SITE, build_site

    build_site()
    click.echo(f"site in {SITE}")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--node-port", default=3030, show_default=True, envvar="NODE_PORT")
@click.option("--control-port", default=3031, show_default=True, envvar="CONTROL_PORT")
@click.option("--metrics-port", default=9898, show_default=True, envvar="METRICS_PORT")
@click.option("--once", is_flag=True, help="end after the summary, without serving")
@click.option("--fresh", is_flag=True, help="run also what passed before and rests on nothing that has changed")
def serve(host: str, port: int, node_port: int, control_port: int, metrics_port: int, once: bool, fresh: bool) -> None:
    """Start the mock node, run every page against it, build the site with its verdicts, serve it."""
    from handbook.serve import serve as run
    from handbook.target import Ports

    sys.exit(run(host, port, Ports(node_port, control_port, metrics_port), stay=not once, fresh=fresh))


@main.command()
@click.argument("alerts", nargs=-1)
def chain(alerts: tuple[str, ...]) -> None:
    """Break something for each of ALERTS, or for all, and follow each from the metric to the pager and back."""
    from handbook.chain.command import command

    sys.exit(command(alerts))


@main.command()
@click.argument("alerts", nargs=-1)
@click.option("--prometheus-port", default=0, show_default=True, help="on 127.0.0.1; 0 takes a free one")
@click.option("--alertmanager-port", default=0, show_default=True)
@click.option("--recorder-port", default=0, show_default=True, help="where what stands for Slack and PagerDuty listens")
def monitor(alerts: tuple[str, ...], prometheus_port: int, alertmanager_port: int, recorder_port: int) -> None:
    """Run mock nodes, Prometheus and Alertmanager until Ctrl-C; break and mend what ALERTS, or all, are about."""
    from handbook.chain.stack import Ports
    from handbook.monitor import monitor as run

    sys.exit(run(alerts, Ports(prometheus_port, alertmanager_port, recorder_port)))


@main.command()
@click.argument("names", nargs=-1, metavar="[ALERT]...")
@click.option("--prometheus", metavar="URL", help="where the data of the window are, as in http://127.0.0.1:9090")
@click.option("--synthetic", is_flag=True, help="take a week made from a seed instead: no node was measured")
@click.option("--window", default="7d", show_default=True, metavar="TIME")
@click.option("--until", type=click.DateTime(["%Y-%m-%dT%H:%MZ"]), help="end of the window, UTC  [default: now]")
@click.option("--set", "wanted", multiple=True, metavar="ALERT=NUMBER", help="try a number, or p80, p95, p99, max")
@click.option("--write", is_flag=True, help="write the numbers of --set wherever the thresholds stand")
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="draw a picture per threshold there")
@click.option("--for-site", is_flag=True, help="draw the pictures that stand on the site, in build/pictures")
def thresholds(
    names: tuple[str, ...],
    prometheus: str | None,
    synthetic: bool,
    window: str,
    until: datetime | None,
    wanted: tuple[str, ...],
    write: bool,
    plots: Path | None,
    for_site: bool,
) -> None:
    """Hold the thresholds against a window of data: percentiles, and the pages that each number would have sent."""
    from handbook import pictures
    from handbook.monitoring.query_api import QueryApi, QueryFailed
    from handbook.tool import MissingTool
    from handbook.tuning import staging_week, tune
    from handbook.tuning.tuning import Window

    if bool(prometheus) == synthetic:
        raise click.UsageError("give --prometheus URL, or --synthetic")
    if write and not wanted:
        raise click.UsageError("--write writes the numbers of --set ALERT=NUMBER, and there is none")
    if bad := next((one for one in wanted if "=" not in one), None):
        raise click.BadParameter(f"--set {bad}: expected ALERT=NUMBER")
    end = staging_week.END if synthetic else until.replace(tzinfo=UTC).timestamp() if until else time.time()
    span = Window(end - (staging_week.END - staging_week.START if synthetic else tune.seconds(window)), end)
    try:
        outcome = tune.tune(
            QueryApi(prometheus.rstrip("/")) if prometheus else None,
            span,
            dict(one.split("=", 1) for one in wanted),
            write,
            pictures.HOME / "thresholds" if for_site else plots,
            names,
        )
    except (tune.BadRequest, MissingTool, QueryFailed, FileNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    if outcome.text:
        click.echo(outcome.text)
    for problem in outcome.problems:
        click.echo(problem, err=True)
    sys.exit(1 if outcome.problems else 0)


@main.group()
def dashboards() -> None:
    """Work on Grafana dashboards."""


@dashboards.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--from", "start", type=click.IntRange(min=1), required=True, help="first id of the range of 100")
def renumber(file: Path, start: int) -> None:
    """Give panels outside the range new ids; ids that are no panels stay."""
    from handbook.document import Unreadable
    from handbook.monitoring.renumber import renumber_file

    try:
        moved = renumber_file(file, start)
    except Unreadable as error:
        raise click.ClickException(str(error.problem)) from None
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{file}: {len(moved)} panels renumbered" + "".join(f"\n  {old} -> {new}" for old, new in moved.items()))


@dashboards.command()
@click.option("--prometheus", metavar="URL", help="draw from its data  [default: a mock node's six hours at work]")
@click.option("--window", default="6h", show_default=True, metavar="TIME", help="with --prometheus, until now")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="default: build/pictures/dashboards")
def preview(prometheus: str | None, window: str, to: Path | None) -> None:
    """Ask every panel's queries of a Prometheus, say which return nothing, and draw both dashboards."""
    from handbook.monitoring import previews
    from handbook.monitoring.query_api import QueryApi, QueryFailed
    from handbook.tool import MissingTool
    from handbook.tuning.tune import seconds

    api = QueryApi(prometheus.rstrip("/")) if prometheus else None
    try:
        drawn = previews.preview(api, seconds(window), to)
    except (MissingTool, QueryFailed, FileNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    for problem in drawn.problems:
        click.echo(problem, err=True)
    click.echo(drawn.summary())
    sys.exit(1 if drawn.problems else 0)


if __name__ == "__main__":
    main()
