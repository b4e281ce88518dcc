"""Jobs: a checkout, commands in a sandbox, a console, test reports, a bundle."""
