"""From the metric to the pager: every alert's way, walked on loopback with a real Prometheus and Alertmanager.

A module imports only from the ones above it in this list:

    squeeze    durations made short, so that an hour's wait takes seconds
    recorder   stands for Slack, PagerDuty and webhooks: keeps what it is sent
    config     the shipped configuration, squeezed and pointed at loopback
    process    one server: started, ready, stopped
    pager      Alertmanager and the recorder that it tells
    stack      Prometheus and the pager that it tells
    middleman  stands between Prometheus and a node's metrics: slows them, adds series
    lane       a mock node of its own for one fault
    market     a meter on it that sends signed readings
    treasury   disbursements on it, from submission to payment
    host       a host of its own for one fault
    fault      what is broken for an alert, how it shows, how it is mended
    treasury_faults, energy_faults, node_faults, host_faults
    faults     all of them
    link       whether a runbook's address opens a page that exists
    watch      which alerts ever fired
    ground     nodes, hosts and servers in good health
    walk       one alert's way: broken, seen, told, mended, told again
    bare       servers with nobody to scrape: what fires for want of a target, the watchdog
    result     build/chain.json
    run        all alerts side by side, after a silence
    command    `handbook chain`
    table      the last run as a table inside a page
"""
