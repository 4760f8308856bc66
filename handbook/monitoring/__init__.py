"""What is deployed to watch a node: metrics, scrapes, rules, routes, dashboards."""
