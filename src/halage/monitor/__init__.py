"""What happens: metrics, alarms, logs, dashboards. Embedded, in files of its own."""
