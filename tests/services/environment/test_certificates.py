"""Certificates of environments: given, made, renewed, sealed, and never in the way of a site."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from halage.access.secrets import SecretBox
from halage.balancer.certificates import make_authority, make_certificate
from halage.balancer.drivers.memory import MemoryBalancer
from halage.balancer.errors import BadCertificate
from halage.balancer.model import Https as Served
from halage.base.database import Database
from halage.base.errors import Conflict
from halage.base.journal import Journal
from halage.base.schema import metadata
from halage.base.tasks import Tasks
from halage.environment.certificates.errors import NoSuchCertificate
from halage.environment.certificates.keeper import Certificates
from halage.environment.certificates.model import Origin
from halage.environment.errors import NoSuchEnvironment
from halage.environment.routing import ConsoleDoor, Routing
from halage.environment.securing import LOOK_EVERY_S, CertificateDesk
from halage.site.model import EnvironmentPlan
from halage.site.settings import BalancerPlan, Https
from tests.clock import ManualClock

PROD = ("shop", "prod")
DAY = 86400.0
SECURE = EnvironmentPlan("prod", domains=("shop.example",), balancer=BalancerPlan(https=Https.REDIRECT))
PLAIN = replace(SECURE, balancer=BalancerPlan())
DOOR = ConsoleDoor("halage.test", Served.ON, "127.0.0.1", 7070)


@dataclass
class Stage:
    """What outlives a control plane, and the one that lives."""

    database: Database
    clock: ManualClock
    secrets: SecretBox
    balancer: MemoryBalancer
    routing: Routing
    desk: CertificateDesk

    async def restart(self, plan: EnvironmentPlan = SECURE, console: ConsoleDoor | None = None) -> None:
        certificates = Certificates(self.database, self.clock, self.secrets, "Halage of the tests")
        self.routing = Routing(self.balancer, "test", certificates, 8443, console)
        self.desk = CertificateDesk(self.routing, self.clock, lambda place: None)
        await self.routing.load({PROD: plan})

    def shown(self) -> str:
        """What visitors are shown now."""
        certificate = self.balancer.routes["shop.prod"].certificate
        assert certificate is not None
        return certificate.chain

    async def entries(self) -> list[dict[str, object]]:
        entries = await self.database.run(
            lambda tx: list(
                tx.connection.exec_driver_sql("select action, actor, before, after from journal order by id")
            )
        )
        return [each._asdict() for each in entries]

    def dump(self) -> str:
        """Everything that the database holds."""
        connection = self.database.engine.raw_connection()
        try:
            return "\n".join(connection.dbapi_connection.iterdump())  # type: ignore[union-attr]
        finally:
            connection.close()


@pytest.fixture
async def stage(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Stage]:
    database = Database(f"sqlite:///{tmp_path}/halage.db", clock=clock, journal=Journal())
    metadata.create_all(database.engine)
    secrets = SecretBox(tmp_path / "key")
    secrets.make_key()
    balancer = MemoryBalancer()
    routing = Routing(balancer, "test", Certificates(database, clock, secrets, "x"))
    desk = CertificateDesk(routing, clock, lambda place: None)
    made = Stage(database, clock, secrets, balancer, routing, desk)
    await made.restart()
    yield made
    database.close()


async def test_https_without_a_certificate_gets_one_made_for_all_its_hosts(stage: Stage) -> None:
    shown = stage.desk.show(PROD)
    assert (shown.origin, shown.issuer) == (Origin.MADE, "Halage of the tests")
    assert shown.names == shown.served == ("shop.test", "shop.example")
    assert stage.routing.urls(PROD, 8080) == ("https://shop.test:8443/", "https://shop.example:8443/")
    before = stage.shown()
    await stage.restart()
    assert stage.shown() == before


async def test_new_domain_makes_it_anew(stage: Stage) -> None:
    await stage.routing.change({PROD: replace(SECURE, domains=("shop.example", "new.example"))})
    assert stage.desk.show(PROD).not_covered == ()


async def test_given_certificate_is_shown_at_once_and_its_key_is_in_no_place(stage: Stage) -> None:
    given = make_certificate(
        ["shop.example"], stage.clock.now(), make_authority("Another", stage.clock.now())
    )
    shown = await stage.desk.give(PROD, given.chain, given.key, actor="ada")
    assert stage.shown() == given.chain
    assert (shown.origin, shown.issuer, shown.updated_by) == (Origin.GIVEN, "Another", "ada")
    assert (shown.served, shown.not_covered) == (("shop.example",), ("shop.test",))
    assert stage.routing.urls(PROD, 80) == ("http://shop.test/", "https://shop.example:8443/")
    secret = given.key.splitlines()[1]
    for text in (stage.dump(), json.dumps(asdict(shown)), repr(shown), repr(stage.balancer.routes)):
        assert secret not in text
    last = (await stage.entries())[-1]
    assert (last["action"], last["actor"]) == ("environment:SetCertificate", "ada")
    assert json.loads(str(last["before"]))["origin"] == "made"
    assert json.loads(str(last["after"]))["names"] == ["shop.example"]
    await stage.restart()
    assert stage.shown() == given.chain


async def test_certificate_of_another_host_is_refused_and_changes_nothing(stage: Stage) -> None:
    before = stage.shown()
    other = make_certificate(["other.example"], stage.clock.now(), None)
    with pytest.raises(
        BadCertificate, match=r"good for other\.example, and for none of the host names of shop prod"
    ):
        await stage.desk.give(PROD, other.chain, other.key, actor="ada")
    assert stage.shown() == before


async def test_certificate_that_the_balancer_refuses_is_put_back(stage: Stage) -> None:
    before = stage.shown()
    given = make_certificate(["shop.example"], stage.clock.now(), None)
    stage.balancer.unusable["shop.prod"] = "it does not like it"
    with pytest.raises(BadCertificate, match="it does not like it"):
        await stage.desk.give(PROD, given.chain, given.key, actor="ada")
    stage.balancer.unusable.clear()
    await stage.restart()
    assert stage.shown() == before


async def test_removed_where_https_is_on_is_made_and_where_it_is_off_is_gone(stage: Stage) -> None:
    given = make_certificate(["shop.example"], stage.clock.now(), None)
    await stage.desk.give(PROD, given.chain, given.key, actor="ada")
    await stage.desk.remove(PROD, actor="ada")
    assert stage.desk.show(PROD).origin is Origin.MADE
    await stage.routing.change({PROD: PLAIN})
    assert stage.balancer.routes["shop.prod"].certificate is None
    await stage.desk.remove(PROD, actor="ada")
    with pytest.raises(NoSuchCertificate):
        stage.desk.show(PROD)
    with pytest.raises(NoSuchCertificate):
        await stage.desk.remove(PROD, actor="ada")
    made = await stage.desk.make(PROD, is_self_signed=True, actor="ada")
    assert (made.origin, made.issuer, made.served) == (Origin.SELF_SIGNED, "shop.test", ())


async def test_made_one_is_renewed_before_its_end_and_a_given_one_is_not(stage: Stage) -> None:
    first = stage.shown()
    async with Tasks() as tasks:
        tasks.start(stage.desk.keep_fresh(), "renew")
        await stage.clock.advance(59 * DAY)
        assert stage.shown() == first
        await stage.clock.advance(2 * DAY)
        await stage.clock.advance(LOOK_EVERY_S)
        assert stage.shown() != first
        assert stage.desk.show(PROD).ends_at > stage.clock.now() + 88 * DAY
        given = make_certificate(["shop.example"], stage.clock.now(), None)
        await stage.desk.give(PROD, given.chain, given.key, actor="ada")
        await stage.clock.advance(80 * DAY)
        assert stage.shown() == given.chain
        assert stage.desk.show(PROD).ends_at < stage.clock.now() + 11 * DAY


async def test_sealed_with_a_lost_key_it_is_not_replaced_and_the_site_is_told_why(
    stage: Stage, tmp_path: Path
) -> None:
    given = make_certificate(["shop.example"], stage.clock.now(), None)
    await stage.desk.give(PROD, given.chain, given.key, actor="ada")
    stage.secrets = SecretBox(tmp_path / "another")
    stage.secrets.make_key()
    stage.balancer = MemoryBalancer()
    await stage.restart()
    assert stage.routing.refused(PROD) == "HTTPS is on and there is no certificate"
    assert given.chain.splitlines()[1] in stage.dump()


async def test_deleted_environment_takes_its_certificate_along(stage: Stage) -> None:
    await stage.routing.change({PROD: None})
    with pytest.raises(NoSuchEnvironment):
        stage.desk.show(PROD)
    assert stage.routing.certificates.find("shop.prod") is None


async def test_console_has_a_route_of_its_own(stage: Stage) -> None:
    with pytest.raises(Conflict, match="set `host` of"):
        stage.desk.show(None)
    await stage.restart(replace(SECURE, domains=("halage.test",)), DOOR)
    route = stage.balancer.routes["console"]
    assert (route.hosts, route.https) == (("halage.test",), Served.ON)
    assert [(target.address, target.port) for target in stage.balancer.serving("console")] == [
        ("127.0.0.1", 7070)
    ]
    assert stage.desk.show(None).served == ("halage.test",)
    given = make_certificate(["halage.test"], stage.clock.now(), None)
    await stage.desk.give(None, given.chain, given.key, actor="root")
    assert stage.balancer.routes["console"].certificate == given
    # No site takes its host name.
    assert "belongs to console" in stage.routing.refused(PROD)
