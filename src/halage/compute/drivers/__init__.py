"""What implements the compute driver Protocol."""
