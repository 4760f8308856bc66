"""The mock node: what an operator rehearses on. Speaks the node's own wire and keeps its state through `kill -9`.

Bytes come in at the top, and every module imports only from the ones below it:

    server      sockets, ready lines, signals; `main(config)` blocks until the node is stopped
    control     the `mock.*` methods: their listener, their table, the journal
    keeping     states that an operator keeps aside
    world       what an operator steers: clock, chain, coins, executor, market
    breaking    what an operator breaks: faults, the net between nodes
    members     the params of the `mock.*` methods
    results     what those answer: members, types, meaning
    near        what a refused call probably meant
    rpc         the RPC listener: limiter, Host list, routes, method table
    salvage     what can still be read of a damaged log
    batch       answers that wait for the commit of the changes they rest on
    desk        one JSON-RPC call from bytes to answer, and into the journal
    injection   faults of the wire at one call: instead of what, and how it leaves
    wire        HTTP/1.1 connections: what is kept open, what waits, in which order it leaves
    parser      requests out of bytes: what the node drops and refuses
    methods     the method table
    treasury    the eight gov.treasury.* methods
    governance  proposals to change parameters, which never take effect
    energy      the methods that trade on the energy market
    energy_reads  the methods that show it
    settlement  proposals to change how it settles
    provider_keys  config.reload: its providers' keys
    energy_params  the params of all these
    liveness    the methods that tell whether a node is alive
    node        the one node: state, log, clock, everything the methods act on
    dying       how a fault ends the process
    miner       how chain time passes
    executor    the treasury executor: lease, tick, crash points
    records     stored disbursements, as the store gives them back
    breaker     its circuit breaker
    contract    params and results against snippets/openrpc.json
    gate        which call reaches which method: energy limiters, tokens, lists
    settings    [rpc] of default.toml
    limiter     token buckets per client
    counting    what a committed event does to the metrics
    exposition  the metrics, as Prometheus text
    series      the series of one metric, bounded
    families    the table of metrics, as snippets/metrics.yml has it
    torn        a torn write, as a power cut leaves it
    journal     the calls that were made, bounded
    faults      what an operator may break on purpose
    peers       nodes that share a chain: what one tells another
    lifecycle   what a call or a tick may do to a disbursement: state and arguments to events
    market      the rules of the energy market: state and arguments to events
    readings    signed meter readings: digest, hash, verification
    lenient     params of which the ones that do not fit count as absent
    envelope    the JSON-RPC envelope: bytes to a call, an outcome to bytes
    chain       the local chain: admission of payments, mining
    snapshots   states kept aside, and states from outside
    log         the event log in SQLite: append, checkpoint, put away
    replay      what its file says when it is read back
    library     pages of shelves, in the log's file
    apply       how an event changes the state
    state       the one state
    forks       the chain of a node with peers: which branch wins, what becomes of the loser's payments
    shelf       objects by number, some in memory, some on pages
    market_state  the energy market's part of it
    events      every kind of change there is
    dependencies  ids that a disbursement waits for
    lock        one process for one data directory
    config      flags and environment
    deviations  what --build switches on
    failure     why a node would not start, and errors that a caller sees
"""
