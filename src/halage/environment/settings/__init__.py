"""Settings that people set on the server, over what halage.toml says: kept, told apart, put into releases."""
