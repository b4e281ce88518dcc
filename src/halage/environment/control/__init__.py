"""What runs all the time: observes, decides, records, executes."""
