"""The thresholds of the alerts: their one home, a week of data, what it says of each, and new numbers."""
