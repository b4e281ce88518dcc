"""How an environment goes from one release to the next: six policies over one mechanism. Pure."""
