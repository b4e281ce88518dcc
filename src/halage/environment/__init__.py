"""Releases, deployments, instances and their health.

`service` is what people and pipelines ask; `records` writes it down, one transaction each, in `tables`;
`control` runs all the time and carries it out on `instances` and routes. What to do is decided without
I/O by `rollout` (deployments), `autoscaling`, `health` and `workers`, from the effective `settings`.
"""
