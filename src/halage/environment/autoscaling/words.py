"""Decisions in words, with their numbers. Pure."""

from datetime import UTC, datetime

from halage.environment.autoscaling.model import Cause, Decision, Kind, Way, Wish

_HOLDS = {
    Cause.MAXIMUM: "the maximum is {maximum}",
    Cause.MINIMUM: "the minimum is {minimum}",
    Cause.COOL_DOWN: "cool-down until {until}",
    Cause.WARM_UP: "{warming} warming up",
    Cause.SUSPENDED: "scaling {way} is suspended",
    Cause.DEPLOYMENT: "a deployment is under way",
    Cause.PROTECTED: "the others are protected, or were taken out",
}


def reason_of(decision: Decision) -> str:
    """One line: what was decided and from which numbers."""
    wish = next((each for each in decision.wishes if each.trigger == decision.by), None)
    match decision.kind:
        case Kind.STAY:
            said = "; ".join(wish_words(each) for each in decision.wishes)
            return said or "nothing asks for another number"
        case Kind.NO_DATA:
            lost = [each for each in decision.wishes if each.way is Way.NO_DATA]
            told = "; ".join(f"{each.trigger}: {each.problem}" for each in lost)
            return f"no data, so nothing is taken away: {told}"
        case Kind.HELD:
            told = wish_words(wish) if wish is not None else f"{decision.asked} are asked for"
            return f"{told}, held: {_hold(decision)}"
    change = f"{decision.before} to {decision.after}"
    if decision.cause is Cause.TRIGGER and wish is not None:
        limit = ""
        if decision.after != decision.asked:
            is_out = decision.kind is Kind.OUT
            limit = f", {'at most' if is_out else 'at least'} {decision.after}"
        return f"{change}: {wish_words(wish)}{limit}"
    if decision.cause is Cause.SCHEDULE:
        return f"{change}: the schedule's {decision.by}"
    if decision.cause is Cause.MINIMUM:
        return f"{change}: the minimum is {decision.limits.minimum}"
    return f"{change}: the maximum is {decision.limits.maximum}"


def wish_words(wish: Wish) -> str:
    """What one trigger says: `cpu 83.2, over 70: 3 wanted`."""
    if wish.way is Way.NO_DATA:
        return f"{wish.trigger} has no data ({wish.problem})"
    value = _number(wish.value)
    if wish.threshold is None:
        return f"{wish.trigger} {value}"
    side = {Way.OUT: "over", Way.IN: "under"}.get(wish.way, "against")
    told = f"{wish.trigger} {value} {side} {_number(wish.threshold)}"
    return told if wish.way in (Way.STAY, Way.NEITHER) else f"{told}: {wish.instances} wanted"


def _hold(decision: Decision) -> str:
    until = ""
    if decision.until is not None:
        until = datetime.fromtimestamp(decision.until, UTC).strftime("%H:%M:%S UTC")
    return _HOLDS[decision.cause].format(
        maximum=decision.limits.maximum,
        minimum=decision.limits.minimum,
        until=until,
        warming=decision.warming,
        way="out" if decision.asked > decision.before else "in",
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.1f}".removesuffix(".0") if abs(value) >= 10 else f"{value:.3g}"
