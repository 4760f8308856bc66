"""From the metric to the pager: every alert's way, walked on loopback with a real Prometheus and Alertmanager.

A module imports only from the ones above it in this list:

    squeeze    durations made short, so that an hour's wait takes seconds
    recorder   stands for Slack, PagerDuty and webhooks: keeps what it is sent
    config     the shipped configuration, squeezed and pointed at loopback
    process    one server: started, ready, stopped
    stack      recorder, Alertmanager and Prometheus, and what they say
    middleman  stands between Prometheus and a node's metrics: slows them, adds series
    market     a meter that sends signed readings
    treasury   disbursements from submission to payment
    lane       one node or host of its own for one fault
    faults     what is broken for each alert, and how it is mended
    link       whether a runbook's address opens a page that exists
    walk       one alert's way: broken, seen, told, mended, told again
    result     build/chain.json
    run        all alerts side by side, after a silence
    table      the last run as a table inside a page
"""
