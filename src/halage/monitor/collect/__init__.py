"""What Halage observes by itself: instances, visits, the machine, Halage."""
