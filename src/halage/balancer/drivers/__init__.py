"""What implements the balancer driver Protocol."""
