"""Who is told of what happens to an environment, and how it is told once through a restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from halage.base.tasks import Tasks
from halage.compute.drivers.memory import Script
from halage.environment.model import DeploymentState
from halage.environment.notices.outbox import MOST_WAITING
from halage.environment.notices.teller import Notices
from halage.environment.settings.model import Wish
from halage.monitor.alarms.errors import NotDelivered
from halage.monitor.alarms.message import Message
from halage.monitor.alarms.messenger import Messenger
from halage.site.model import EnvironmentPlan
from halage.site.settings import Notification
from tests.clock import ManualClock
from tests.controlplane import PROD, Ground, control_plane, eventually, site_of
from tests.receiver import Receiver

ALL = ("started", "succeeded", "failed", "rolled_back", "scaled", "degraded", "recovered")


class Post:
    """A messenger that keeps what it sends; addresses with `broken` are never reached."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.attempts = 0

    def check(self, address: str) -> str | None:
        return None

    def send(self, address: str, message: Message) -> None:
        self.attempts += 1
        if "broken" in address:
            raise NotDelivered("nobody there")
        self.sent.append((address, message.title))


class ByHTTP:
    """A messenger that posts to the receiver, and waits as long as that wants."""

    def check(self, address: str) -> str | None:
        return None

    def send(self, address: str, message: Message) -> None:
        httpx.post(address, json={"title": message.title}, timeout=None)


@asynccontextmanager
async def _telling(ground: Ground, post: Messenger) -> AsyncIterator[None]:
    async with Tasks() as tasks:
        notices = Notices(
            ground.database,
            ground.journal,
            post,
            ground.secrets,
            ground.clock,
            public_url="http://halage.test",
        )
        tasks.start(notices.run(), "notices")
        await asyncio.sleep(0)
        yield


async def _has_sent(post: Post, *titles: str) -> None:
    async def look() -> bool:
        return [title for _, title in post.sent] == list(titles)

    await eventually(look, f"{titles}; sent: {post.sent}")


def _site(*notifications: Notification, instances: int = 1) -> EnvironmentPlan:
    return EnvironmentPlan("prod", instances=instances, notifications=notifications)


async def test_people_are_told_of_what_they_asked_for(ground: Ground) -> None:
    post = Post()
    plan = _site(Notification(("memory://all", "memory://all"), ALL), Notification(("memory://bad",)))
    async with control_plane(ground) as plane, _telling(ground, post):
        await plane.deploy_whole(site_of(plan=plan))
        await plane.environments.scale(*PROD, 2, actor="ada")
        ground.compute.script_for = lambda spec: Script(
            exit_code=3 if spec.environment["HALAGE_RELEASE"] == "2" else None
        )
        await plane.is_serving(["1", "1"])
        failed = await plane.deploy_whole(site_of(plan=plan), run_id=2)
        assert failed.state is DeploymentState.ROLLED_BACK
        titles = [
            "prod of shop: deployment started (v1)",
            "prod of shop: deployment succeeded (v1)",
            "prod of shop: 1 to 2 instances",
            "prod of shop: deployment started (v2)",
        ]
        last = "prod of shop: deployment was rolled back"
        await _has_sent(post, *titles, last, last)
        assert sorted(address for address, title in post.sent if title == last) == [
            "memory://all",
            "memory://bad",
        ]


async def test_an_address_may_be_a_secret_variable_or_sealed(ground: Ground) -> None:
    post = Post()
    async with control_plane(ground) as plane, _telling(ground, post):
        await plane.environments.create("shop", [EnvironmentPlan("prod")])
        await plane.environments.set_variable(*PROD, "CHAT", "memory://xyzzy", is_secret=True, actor="ada")
        wish = Wish({"notifications": [{"to": ["$CHAT", "$NONE", "memory://sealed"], "on": ["succeeded"]}]})
        await plane.settings.change(*PROD, wish, actor="ada")
        await plane.deploy_whole()
        await _has_sent(post, *["prod of shop: deployment succeeded (v1)"] * 2)
        assert {address for address, _ in post.sent} == {"memory://xyzzy", "memory://sealed"}

        async def noted() -> bool:
            told = [e.details["to"] for e in await ground.entries() if e.action == "environment:Told"]
            return len(told) == 2 and told[0] == "$CHAT" and told[1].startswith("memory://***#")

        await eventually(noted, "the journal")
        assert "xyzzy" not in repr(await ground.entries())


async def test_a_restart_forgets_nothing_and_tells_nothing_twice(ground: Ground) -> None:
    post = Post()
    plan = _site(Notification(("memory://all",), ("succeeded",)))
    async with control_plane(ground) as plane:
        async with _telling(ground, post):
            await plane.deploy_whole(site_of(plan=plan))
            await eventually(lambda: _is_noted(ground), "the end of the first notice")
        await plane.deploy_whole(site_of(plan=plan), run_id=2)
        async with _telling(ground, post):
            await _has_sent(
                post, "prod of shop: deployment succeeded (v1)", "prod of shop: deployment succeeded (v2)"
            )


async def _is_noted(ground: Ground, count: int = 1) -> bool:
    return sum(each.action == "environment:Told" for each in await ground.entries()) >= count


async def test_who_cannot_be_told_is_tried_again_and_noted(ground: Ground, clock: ManualClock) -> None:
    post = Post()
    plan = _site(Notification(("memory://broken", "memory://well"), ("succeeded",)))
    async with control_plane(ground) as plane, _telling(ground, post):
        await plane.deploy_whole(site_of(plan=plan))
        await _has_sent(post, "prod of shop: deployment succeeded (v1)")

        async def given_up() -> bool:
            await clock.advance(5.0)
            return any(each.action == "environment:NotTold" for each in await ground.entries())

        await eventually(given_up, "the last attempt")
        assert post.attempts == 4
        (entry,) = [each for each in await ground.entries() if each.action == "environment:NotTold"]
        assert (entry.details["event"], entry.details["reason"]) == ("succeeded", "nobody there")


async def test_an_address_that_does_not_answer_holds_up_nobody_else(ground: Ground) -> None:
    titles = ["prod of shop: 1 to 2 instances", "prod of shop: 2 to 3 instances"]
    with Receiver() as receiver:
        addresses = [receiver.url(f"slow{number}") for number in range(4)]
        plan = _site(Notification((*addresses, receiver.url("well")), ("scaled",)))
        async with control_plane(ground) as plane, _telling(ground, ByHTTP()):
            await plane.deploy_whole(site_of(plan=plan))
            for number in (2, 3):
                await plane.environments.scale(*PROD, number, actor="ada")

            async def is_told(*paths: str) -> bool:
                return all(receiver.titles(path) == titles for path in paths)

            await eventually(lambda: is_told("well"), "what is told to those who answer")
            assert receiver.titles("slow0") == titles[:1], "one after the other to the same address"
            receiver.is_awake.set()
            await eventually(lambda: is_told("slow0", "slow1", "slow2", "slow3"), "what is told to the rest")


async def test_after_a_restart_only_those_are_told_who_were_not(ground: Ground) -> None:
    with Receiver() as receiver:
        plan = _site(Notification((receiver.url("slow"), receiver.url("well")), ("scaled",)))
        async with control_plane(ground) as plane:
            async with _telling(ground, ByHTTP()):
                await plane.deploy_whole(site_of(plan=plan))
                for number in (2, 3):
                    await plane.environments.scale(*PROD, number, actor="ada")
                await eventually(lambda: _is_noted(ground, 2), "those who answer to be told")
            receiver.is_awake.set()
            async with _telling(ground, ByHTTP()):
                await eventually(lambda: _is_noted(ground, 4), "the others to be told")
        assert len(receiver.titles("well")) == 2


async def test_too_many_messages_to_one_address_are_given_up(ground: Ground) -> None:
    with Receiver() as receiver:
        plan = _site(Notification((receiver.url("slow"),), ("scaled",)))
        async with control_plane(ground) as plane, _telling(ground, ByHTTP()):
            await plane.deploy_whole(site_of(plan=plan))
            for number in range(2, MOST_WAITING + 3):
                await plane.environments.scale(*PROD, number, actor="ada")

            async def reasons() -> list[str]:
                entries = await ground.entries()
                return [e.details["reason"] for e in entries if e.action == "environment:NotTold"]

            await eventually(reasons, "the one that is given up")
            assert await reasons() == [f"{MOST_WAITING} messages wait for this address already"]
            receiver.is_awake.set()
            await eventually(lambda: _is_noted(ground, MOST_WAITING), "the others")
