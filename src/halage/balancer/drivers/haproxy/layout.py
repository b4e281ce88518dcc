"""What HAProxy shall look like: routes in slots, targets in routes. Pure values and decisions.

HAProxy makes a new backend only by a reload. So its file holds backends (slots) that stand free:
a new route takes one of them at run time. Everything that differs between routes and can change
at run time (host names, the path that is checked, targets) lives in maps and dynamic servers;
what cannot (algorithm, time-outs, failing open) is the slot's.
"""

import hashlib
import json
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from halage.balancer.model import Certificate, HealthCheck, Https, Route, Target, Timeouts
from halage.balancer.rules import secured_hosts

T = TypeVar("T")
_NOTHING: Mapping[str, Any] = {}

FORM = 4
"""Raised with each change of the configuration's text: a HAProxy of an earlier form is reloaded once."""

SPARE_SLOTS = 16
"""Free slots of the default kind that each new configuration holds."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A backend of the file. `name` never changes, so figures and states go on through a reload."""

    name: str
    algorithm: str = "leastconn"
    timeout_s: float = HealthCheck().timeout_s
    timeouts: Timeouts = field(default_factory=Timeouts)
    fails_open: bool = True

    @classmethod
    def of(cls, name: str, route: Route) -> "Slot":
        """The one that the route needs."""
        return cls(name, route.algorithm, route.health.timeout_s, route.timeouts, route.fails_open)

    def fits(self, route: Route) -> bool:
        """Whether the route can live in it as it is."""
        return self == Slot.of(self.name, route)


@dataclass(frozen=True, slots=True)
class Placed:
    """A target of a route and whether it is draining."""

    target: Target
    is_draining: bool = False

    @property
    def weight(self) -> int:
        """What the algorithm sees of it: nothing where it gets its share by lot."""
        return self.target.weight if self.target.share is None else 0


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything that a HAProxy is started from. `generation` counts its configurations."""

    generation: int = 0
    slots: Mapping[str, Slot] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    """Route name to slot name."""
    targets: Mapping[str, Mapping[str, Placed]] = field(default_factory=dict)
    """Route name to target id to target."""
    form: int = FORM
    """The form of the configuration that its generation has."""
    is_secure: bool = False
    """Whether there is a door for HTTPS: from the first route on that needs it."""
    doors: str = ""
    """Where its generation listens."""
    texts: dict[str, tuple[Any, str]] = field(default_factory=dict, compare=False, repr=False)
    """What is recorded of each route (and of the slots: ""), beside what that was made of."""

    def in_slot(self, slot: str) -> Mapping[str, Placed]:
        """The targets that live in a slot, by id."""
        for route, place in self.places.items():
            if place == slot:
                return self.targets.get(route, {})
        return {}

    def route_in(self, slot: str) -> Route | None:
        """The route that lives in a slot."""
        for route, place in self.places.items():
            if place == slot:
                return self.routes[route]
        return None

    def with_target(self, route: str, placed: Placed) -> "Layout":
        """The same with this target in the route."""
        return self._with_targets(route, {**self.targets.get(route, {}), placed.target.id: placed})

    def without_target(self, route: str, target_id: str) -> "Layout":
        """The same without that target."""
        kept = {key: value for key, value in self.targets.get(route, {}).items() if key != target_id}
        return self._with_targets(route, kept)

    def _with_targets(self, route: str, targets: Mapping[str, Placed]) -> "Layout":
        return replace(self, targets={**self.targets, route: targets})


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The layout for a set of routes, whether it needs a reload, and routes that wait for one."""

    layout: Layout
    needs_reload: bool
    waiting: tuple[str, ...] = ()


def arrange(layout: Layout, routes: Iterable[Route], *, allow_reload: bool = True) -> Arrangement:
    """Place the routes. Without `allow_reload`, those that need one keep their former form and wait."""
    wanted = {route.name: route for route in routes}
    places = {name: slot for name, slot in layout.places.items() if name in wanted}
    slots = dict(layout.slots)
    kept: dict[str, Route] = {}
    waiting: list[str] = []
    for name, route in wanted.items():
        has_door = layout.is_secure or route.https is Https.OFF
        if name in places:
            if has_door and _fits_in_place(layout, route, slots[places[name]]):
                kept[name] = route
                continue
            slot = Slot.of(places[name], route)
        else:
            free = _free_slot(route, slots, places)
            if has_door and free is not None:
                places[name], kept[name] = free, route
                continue
            slot = Slot.of(free or _new_name(slots), route)
        waiting.append(name)
        if allow_reload:
            slots[slot.name], places[name], kept[name] = slot, slot.name, route
        elif name in layout.routes:
            kept[name] = replace(layout.routes[name], hosts=route.hosts)
    if waiting and allow_reload:
        slots = _with_spares(slots, places)
    targets = {name: layout.targets.get(name, {}) for name in kept}
    is_secure = layout.is_secure or any(route.https is not Https.OFF for route in kept.values())
    arranged = replace(layout, slots=slots, routes=kept, places=places, targets=targets, is_secure=is_secure)
    return Arrangement(arranged, bool(waiting), () if allow_reload else tuple(waiting))


def first_layout() -> Layout:
    """The layout of a balancer that serves nothing yet: spare slots."""
    return Layout(slots=_with_spares({}, {}))


def _fits_in_place(layout: Layout, route: Route, slot: Slot) -> bool:
    return slot.fits(route) and (
        _for_servers(layout.routes[route.name]) == _for_servers(route) or not layout.targets.get(route.name)
    )


def _for_servers(route: Route) -> tuple[object, ...]:
    """What a server takes when it is added, and keeps."""
    return replace(route.health, path="/"), route.slow_start_s, route.most_connections


def _free_slot(route: Route, slots: Mapping[str, Slot], places: Mapping[str, str]) -> str | None:
    taken = set(places.values())
    return next((name for name, slot in slots.items() if name not in taken and slot.fits(route)), None)


def _new_name(slots: Mapping[str, Slot]) -> str:
    return f"s{max((int(name[1:]) for name in slots), default=0) + 1:04d}"


def _with_spares(slots: Mapping[str, Slot], places: Mapping[str, str]) -> dict[str, Slot]:
    taken = set(places.values())
    default = Slot("")
    kept = {
        name: slot for name, slot in slots.items() if name in taken or slot == replace(default, name=name)
    }
    for _ in range(SPARE_SLOTS - (len(kept) - len(taken))):
        name = _new_name({**slots, **kept})
        kept[name] = replace(default, name=name)
    return kept


def layout_to_json(layout: Layout) -> str:
    """The layout as a JSON object. A changed target costs what its route costs, however many there are."""
    routes = ",".join(_route_text(layout, name) for name in layout.routes)
    slots = _kept_text(layout, "", layout.slots, _slots_document)
    head = json.dumps(
        {
            "generation": layout.generation,
            "form": layout.form,
            "is_secure": layout.is_secure,
            "doors": layout.doors,
        }
    )
    return f'{head[:-1]}, "slots": {slots}, "routes": [{routes}]}}'


def _route_text(layout: Layout, name: str) -> str:
    made_of = (layout.routes[name], layout.places[name], layout.targets.get(name, _NOTHING))
    return _kept_text(layout, name, made_of, _route_document)


def _kept_text(layout: Layout, key: str, made_of: T, document: Callable[[T], Any]) -> str:
    known = layout.texts.get(key)
    if known is None or not _is_same(known[0], made_of):
        known = layout.texts[key] = (made_of, json.dumps(document(made_of)))
    return known[1]


def _is_same(one: Any, other: Any) -> bool:
    """Whether it is made of the very same values: they never change, so nothing in them is compared."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return all(map(operator.is_, one, other))
    return one is other


def _slots_document(slots: Mapping[str, Slot]) -> list[dict[str, Any]]:
    return [asdict(slot) for slot in slots.values()]


def _route_document(made_of: tuple[Route, str, Mapping[str, Placed]]) -> dict[str, Any]:
    route, slot, targets = made_of
    placed = [asdict(each.target) | {"is_draining": each.is_draining} for each in targets.values()]
    document = asdict(replace(route, certificate=None))
    return document | {"certificate": certificate_name(route), "slot": slot, "targets": placed}


def layout_from_document(
    document: Mapping[str, Any], certificates: Callable[[str], Certificate | None]
) -> Layout:
    """The layout that `layout_to_json` wrote. Raises KeyError, TypeError for another's document.

    Keys of certificates are in no document: `certificates` gives them by name, or None.
    """
    routes: dict[str, Route] = {}
    places: dict[str, str] = {}
    targets: dict[str, dict[str, Placed]] = {}
    for entry in document["routes"]:
        name = entry["name"]
        places[name] = entry.pop("slot")
        targets[name] = {}
        for values in entry.pop("targets"):
            is_draining = values.pop("is_draining")
            targets[name][values["id"]] = Placed(Target(**values), is_draining)
        routes[name] = _route_from(entry, certificates)
    slots = {entry["name"]: _slot_from(entry) for entry in document["slots"]}
    return Layout(
        document["generation"],
        slots,
        routes,
        places,
        targets,
        document.get("form", 1),
        document.get("is_secure", False),
        document.get("doors", ""),
    )


def certificate_name(route: Route) -> str | None:
    """The file of what the route shows by HTTPS: another one for each key, chain and set of hosts.

    So what is new is there before what was is taken away, and no visitor meets neither.
    """
    hosts = secured_hosts(route)
    if route.certificate is None or not hosts:
        return None
    content = "\n".join([route.certificate.chain, route.certificate.key, *sorted(hosts)])
    return f"certificate-{hashlib.sha256(content.encode()).hexdigest()[:16]}.pem"


def _route_from(entry: dict[str, Any], certificates: Callable[[str], Certificate | None]) -> Route:
    entry.setdefault("fails_open", False)
    name = entry.pop("certificate", None)
    entry["hosts"], entry["health"] = tuple(entry["hosts"]), HealthCheck(**entry["health"])
    entry["timeouts"] = Timeouts(**entry.get("timeouts", {}))
    entry["allowed"], entry["https"] = tuple(entry.get("allowed", ())), Https(entry.get("https", "off"))
    return Route(**entry, certificate=certificates(name) if name else None)


def _slot_from(entry: dict[str, Any]) -> Slot:
    timeouts = Timeouts(**entry.get("timeouts", {}))
    return Slot(**{"fails_open": False, **entry, "timeouts": timeouts})
