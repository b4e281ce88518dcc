"""What sites say of themselves: by the API, by StatsD, by a Prometheus endpoint."""
