"""Alarms: a state of OK, ALARM or INSUFFICIENT_DATA, and what is done when it changes."""
