"""What changes the number of instances: triggers, schedule, limits. Pure: the same live and simulated."""
