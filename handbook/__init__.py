"""The engine of the operations handbook.

Facts (`snippets/`) flow into pages (`docs/`, `runbooks/`), pages into verdicts, verdicts into a report, and the
report back onto the site as data. A module imports only from the ones above it in this list:

    problem    one thing that is wrong: where, what, hint
    facts      where the checkout is, and the values in snippets/
    layout     JSON as text of a given width
    document   a YAML or JSON file whose every value knows its line
    tool       promtool and amtool
    catalogue  snippets/metrics.yml
    metric_names  names of metrics, and the node's own exceptions
    scrape     what a node exports, fetched and read
    scrape_limits  beyond which Prometheus drops a scrape
    metric_coverage  a scrape against the catalogue, both ways
    metric_report  the same as text
    metric_command  `handbook metrics`
    promql     what is wrong with a query although it parses
    rules      rule files
    rule_slices  unit tests of rules, each with the rules it speaks of
    rule_tests their unit tests
    scrape_config  Prometheus' configuration: jobs, limits
    alertmanager  routes, receivers, templates
    renumber   new panel ids for a dashboard
    dashboards Grafana dashboards
    thresholds the numbers of the alerts, held to rules and panels
    retune     a new number, written wherever it stands
    query_api  questions to a Prometheus over HTTP
    panels     what each panel's queries return, and where it leads
    fence      fences and headings of Markdown text
    macros/    what pages draw from facts; each module is loaded when a page calls it
    refusals   calls that the mock's control listener refuses
    page       a Markdown page: front matter, includes, macros, blocks
    control    client of the mock node's control listener
    ports      free ports on loopback
    prometheus a real Prometheus that scrapes one node, or holds a past
    history    samples of a time that has passed, with the recorded series
    staging_week  a week in staging that never was, from a seed
    replay     what an alert would have done over that time
    tuning     a threshold's values over a window, and its pages
    tuning_table  the same as text
    drawing    how pictures look
    tuning_plot  a picture per threshold
    units      values as a panel shows them
    preview    a dashboard drawn from what its queries return
    target     the node that pages run against: the mock, or a live one
    session    one bash per page, blocks in order
    compare    what a block printed against what the page shows
    examples   checks of blocks that are not run: json, yaml, promql, toml
    queries    checks of promql blocks
    program    runs a python block
    schemas    the published schemas: sound, and their examples fit
    cases      requests and their exact answers, snippets/rpc
    reference  the description of the RPC, held to its metaschema and to itself
    fields     the documented members of methods' results
    levels     how far an answer agrees with the one that a case expects
    coverage   what the cases leave out of the description
    starts     mock nodes started in the four ways that cases want
    bench      where cases are put: mock nodes of our own, or one node that runs
    staging    the node that a case finds, for blocks that name one
    runner     runs a page's blocks in order and gives each a verdict
    report     verdicts to build/report.json and back
    inputs     what verdicts rest on; unchanged, they hold
    pictures   what a run draws, and its places on pages
    tune       `handbook thresholds`
    rewrite    new content into output blocks
    run        one run over pages: node, verdicts, report
    green      the last run in which everything passed
    runbook    the contract of a runbook page: front matter and sections
    names      names that pages may not use, and the names that were meant
    links      links from page to page: file and anchor are there
    vocabulary the names that exist: methods, metrics, variables, commands, flags, ports
    mentions   the names that a page mentions, and those of them that do not exist
    claims     what documents of the node say and its build does not do
    metric_uses  where each metric is used, and what it lacks
    listed     the cases that a deviation says a build fails
    recordings  recorded calls as cases, and back
    trial      puts cases to a node and gives each a verdict
    mutations  answers that are broken on purpose, and whether a case notices
    conformity  what came of it: table, JSON, recorded calls
    conform    `handbook conform`
    errors     what an operator does about each error, snippets/errors.yml
    sections   every method has one section on the site
    steering   the page of the mock's control calls: each has its tables and an example
    chain/     every alert's way from the metric to the pager
    check      `handbook check`: all that needs no node
    ledger     the built site against blocks and verdicts
    turns      who of the processes that share a run may run
    plugin     pytest: collects pages, runs blocks
    website    MkDocs: publishes runbooks and schemas, puts verdicts on blocks
    verify     `handbook verify`: pages through pytest, with progress and report
    site_server  the built site over HTTP, and the way from its pages to the mock node
    serve      `handbook serve`: node, pages, site
    node/      the mock node
    shift      six hours of a mock node at work
    previews   `handbook dashboards preview`
    monitor    `handbook monitor`: the same, to break and to mend by hand
"""

__version__ = "0.1.0"
