"""The engine of the operations handbook.

Facts (`snippets/`) flow into pages (`docs/`, `runbooks/`), pages into verdicts, verdicts into a report, and the
report back onto the site as data. A module imports only from the ones above it in this list:

    problem                     one thing that is wrong: where, what, hint
    facts                       where the checkout is, and the values in snippets/
    rpc/layout                  JSON as text of a given width
    document                    a YAML or JSON file whose every value knows its line
    tool                        promtool and amtool
    node/                       the mock node
    monitoring/catalogue        snippets/metrics.yml
    monitoring/metric_names     names of metrics, and the node's own exceptions
    monitoring/scrape           what a node exports, fetched and read
    monitoring/scrape_limits    beyond which Prometheus drops a scrape
    monitoring/metric_coverage  a scrape against the catalogue, both ways
    monitoring/metric_report    the same as text
    monitoring/metric_command   `handbook metrics`
    monitoring/promql           what is wrong with a query although it parses
    monitoring/rules            rule files
    monitoring/rule_slices      unit tests of rules, each with the rules it speaks of
    monitoring/rule_tests       their unit tests
    monitoring/scrape_config    Prometheus' configuration: jobs, limits
    monitoring/alertmanager     routes, receivers, templates
    monitoring/renumber         new panel ids for a dashboard
    monitoring/dashboards       Grafana dashboards
    tuning/thresholds           the numbers of the alerts, held to rules and panels
    tuning/retune               a new number, written wherever it stands
    monitoring/query_api        questions to a Prometheus over HTTP
    monitoring/panels           what each panel's queries return, and where it leads
    pages/fence                 fences and headings of Markdown text
    macros/                     what pages draw from facts; each module is loaded when a page calls it
    refusals                    calls that the mock's control listener refuses
    pages/page                  a Markdown page: front matter, includes, macros, blocks
    control                     client of the mock node's control listener
    ports                       free ports on loopback
    monitoring/prometheus       a real Prometheus that scrapes one node, or holds a past
    tuning/history              samples of a time that has passed, with the recorded series
    tuning/staging_week         a week in staging that never was, from a seed
    tuning/replay               what an alert would have done over that time
    tuning/tuning               a threshold's values over a window, and its pages
    tuning/tuning_table         the same as text
    drawing                     how pictures look
    tuning/tuning_plot          a picture per threshold
    monitoring/units            values as a panel shows them
    monitoring/preview          a dashboard drawn from what its queries return
    target                      the node that pages run against: the mock, or a live one
    pages/session               one bash per page, blocks in order
    pages/compare               what a block printed against what the page shows
    pages/examples              checks of blocks that are not run: json, yaml, promql, toml
    pages/queries               checks of promql blocks
    pages/program               runs a python block
    rpc/schemas                 the published schemas: sound, and their examples fit
    rpc/cases                   requests and their exact answers, snippets/rpc
    rpc/reference               the description of the RPC, held to its metaschema and to itself
    rpc/fields                  the documented members of methods' results
    rpc/levels                  how far an answer agrees with the one that a case expects
    rpc/coverage                what the cases leave out of the description
    rpc/starts                  mock nodes started in the four ways that cases want
    rpc/bench                   where cases are put: mock nodes of our own, or one node that runs
    pages/staging               the node that a case finds, for blocks that name one
    pages/runner                runs a page's blocks in order and gives each a verdict
    pages/report                verdicts to build/report.json and back
    pages/inputs                what verdicts rest on; unchanged, they hold
    pictures                    what a run draws, and its places on pages
    tuning/tune                 `handbook thresholds`
    pages/rewrite               new content into output blocks
    pages/run                   one run over pages: node, verdicts, report
    pages/green                 the last run in which everything passed
    pages/runbook               the contract of a runbook page: front matter and sections
    pages/names                 names that pages may not use, and the names that were meant
    pages/links                 links from page to page: file and anchor are there
    pages/vocabulary            the names that exist: methods, metrics, variables, commands, flags, ports
    pages/mentions              the names that a page mentions, and those of them that do not exist
    pages/claims                what documents of the node say and its build does not do
    monitoring/metric_uses      where each metric is used, and what it lacks
    rpc/listed                  the cases that a deviation says a build fails
    rpc/recordings              recorded calls as cases, and back
    rpc/trial                   puts cases to a node and gives each a verdict
    rpc/mutations               answers that are broken on purpose, and whether a case notices
    rpc/conformity              what came of it: table, JSON, recorded calls
    rpc/conform                 `handbook conform`
    rpc/errors                  what an operator does about each error, snippets/errors.yml
    pages/sections              every method has one section on the site
    pages/steering              the page of the mock's control calls: each has its tables and an example
    chain/                      every alert's way from the metric to the pager
    check                       `handbook check`: all that needs no node
    pages/ledger                the built site against blocks and verdicts
    pages/turns                 who of the processes that share a run may run
    pages/plugin                pytest: collects pages, runs blocks
    pages/website               MkDocs: publishes runbooks and schemas, puts verdicts on blocks
    pages/verify                `handbook verify`: pages through pytest, with progress and report
    site_server                 the built site over HTTP, and the way from its pages to the mock node
    serve                       `handbook serve`: node, pages, site
    monitoring/shift            six hours of a mock node at work
    monitoring/previews         `handbook dashboards preview`
    monitor                     `handbook monitor`: the same, to break and to mend by hand
"""

__version__ = "0.1.0"
