"""What a site says about itself: halage.toml, its kind, and the defaults of that kind."""
