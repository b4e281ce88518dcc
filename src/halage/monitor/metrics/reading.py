"""Whether a text is an expression over metrics, for those who keep it and evaluate it later."""

from halage.monitor.metrics.errors import BadExpression
from halage.monitor.metrics.expression import parse


def read_expression(text: str) -> str | None:
    """What is wrong with it, in one line; None when it can be evaluated."""
    try:
        parse(text)
    except BadExpression as error:
        return error.message.partition("\n")[0]
    return None
