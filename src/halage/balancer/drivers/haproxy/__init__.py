"""HAProxy as the balancer."""

from halage.balancer.drivers.haproxy.driver import HAProxyDriver

__all__ = ["HAProxyDriver"]
