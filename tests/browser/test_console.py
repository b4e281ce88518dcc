"""The console in a real browser: what people do, see and hear."""

import json
from dataclasses import replace
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from halage.base.database import Transaction
from halage.environment.model import Colour
from halage.pipeline.model import RunState, StageState
from tests.browser.served import Away, Served
from tests.browser.visitor import Visitor
from tests.services.web.console.sample import stages

PAGES = (
    "/projects",
    "/projects/new",
    "/projects/boutique",
    "/projects/atelier",
    "/projects/boutique/runs",
    "/projects/boutique/members",
    "/projects/boutique/delete",
    "/projects/boutique/environments/dev",
    "/projects/boutique/environments/preprod",
    "/projects/boutique/environments/prod",
    "/projects/boutique/environments/dev/health",
    "/projects/boutique/environments/prod/health",
    "/projects/boutique/environments/prod/logs",
    "/projects/boutique/environments/prod/variables",
    "/projects/boutique/environments/prod/plan",
    "/projects/boutique/environments/prod/plan?policy=rolling",
    "/projects/boutique/environments/prod/deployments/1/report",
    "/projects/boutique/environments/prod/scaling?capacity=100",
    "/projects/boutique/environments/prod/settings",
    "/projects/boutique/environments/prod/manage",
    "/projects/boutique/environments/prod/terminate",
    "/projects/boutique/environments",
    "/projects/boutique/environments/prod/certificate",
    "/projects/boutique/environments/prod/shell",
    "/runs/3",
    "/runs/4",
    "/runs/5",
    "/runs/6",
    "/runs/7",
    "/events",
    "/users",
    "/account",
    "/nothing-here",
)


def test_signing_in_and_seeing_the_colours(visitor: Visitor) -> None:
    visitor.open("/projects")
    assert visitor.path.startswith("/login")
    visitor.sign_in("marie")
    lamps = {lamp.text.replace("\n", " ") for lamp in visitor.all(".lamp")}
    assert {"dev Red", "preprod Yellow", "prod Green", "dev Grey"} <= lamps


def test_the_console_of_a_run_is_live(visitor: Visitor, served: Served) -> None:
    visitor.sign_in("zoe")
    visitor.open("/runs/6")
    visitor.wait(lambda: visitor.find(".live").get_attribute("data-live") == "on")
    before = len(visitor.all("#console .line"))
    for number in range(60):
        served.do(served.sample.builds.live_lines.put(f"\x1b[32mline {number}\x1b[0m <b>bold?</b>"))
    visitor.wait(lambda: len(visitor.all("#console .line")) == before + 60)
    last = visitor.all("#console .line")[-1]
    assert "line 59 <b>bold?</b>" in last.text
    below = (
        "const e = document.getElementById('console'); return e.scrollHeight - e.scrollTop - e.clientHeight"
    )
    assert visitor.run(below) < 24, "the console follows its end"

    visitor.find("#follow").click()
    visitor.run("document.getElementById('console').scrollTop = 0")
    served.do(served.sample.builds.live_lines.put("one more"))
    visitor.wait(lambda: len(visitor.all("#console .line")) == before + 61)
    assert visitor.run(below) > 100, "who reads further up is left alone"

    ok = StageState.SUCCEEDED
    run = replace(
        served.sample.pipeline.stored[6],
        state=RunState.SUCCEEDED,
        finished_at=1.0,
        stages=stages(source=ok, test=ok, dev=ok),
    )
    served.do(served.sample.builds.live_lines.put(None))
    served.do(served.sample.pipeline.put(run))
    visitor.wait(lambda: "Succeeded" in visitor.text(".run-facts"))
    assert [item.get_attribute("class") for item in visitor.all(".canal > li")] == ["is-succeeded"] * 3
    status = visitor.find("p[role=status]").get_attribute("textContent")
    assert status is not None and "Run 6: Succeeded." in status
    assert not visitor.all("form[action='/runs/6/cancel']")


@pytest.mark.parametrize("meanwhile", ["nobody answers", "a proxy answers"])
def test_a_lost_connection_is_shown_and_no_line_is_lost_or_doubled(
    visitor: Visitor, served: Served, meanwhile: str
) -> None:
    visitor.sign_in("zoe")
    visitor.open("/runs/6")
    sign = visitor.find(".live")
    visitor.wait(lambda: sign.get_attribute("data-live") == "on")
    served.do(served.sample.builds.live_lines.put("before the cut"))
    visitor.wait(lambda: "before the cut" in visitor.text("#console"))
    served.stop()
    visitor.wait(lambda: sign.text == "Connection lost, trying again")
    served.sample.builds.lines.append("during the cut")
    if meanwhile == "a proxy answers":
        # The browser then gives up for good, and the page's script connects anew from where it began.
        away = Away()
        served.start(away)
        visitor.wait(lambda: away.asked, 20)
        served.stop()
    served.start()
    visitor.wait(lambda: sign.text == "Live", 20)
    visitor.wait(lambda: "during the cut" in visitor.text("#console"))
    served.do(served.sample.builds.live_lines.put("after the cut"))
    visitor.wait(lambda: "after the cut" in visitor.text("#console"))
    text = visitor.text("#console")
    assert [text.count(f"{when} the cut") for when in ("before", "during", "after")] == [1, 1, 1]


def test_approving_with_a_comment_that_live_updates_do_not_take_away(
    visitor: Visitor, served: Served
) -> None:
    visitor.sign_in("paul")
    visitor.open("/runs/7")
    visitor.wait(lambda: visitor.find(".live").get_attribute("data-live") == "on")
    visitor.find("#comment").send_keys("Looks fine on preprod")
    run = served.sample.pipeline.stored[7]
    served.do(served.sample.pipeline.put(replace(run, reason="it waits for you")))
    visitor.wait(lambda: visitor.sees("it waits for you"))
    assert visitor.find("#comment").get_attribute("value") == "Looks fine on preprod"
    visitor.find("form[action='/runs/7/approve'] button.main").click()
    visitor.wait(lambda: visitor.sees("by paul"))
    assert ("approve", 7, "Looks fine on preprod", "paul") in served.sample.pipeline.calls
    assert visitor.path == "/runs/7"
    assert visitor.all(".canal > li")[-1].get_attribute("class") == "is-running"


def test_the_colour_of_an_environment_changes_by_itself(visitor: Visitor, served: Served) -> None:
    visitor.sign_in("zoe")
    visitor.open("/projects/boutique/environments/prod")
    assert "Green" in visitor.text(".health-word")
    served.sample.environments.colours["boutique", "prod"] = Colour.RED
    visitor.wait(lambda: "Red" in visitor.text(".health-word"))
    assert "answered 500" in visitor.text(".health .cause")


def test_live_changes_leave_the_focus_and_what_is_open_alone(visitor: Visitor, served: Served) -> None:
    visitor.sign_in("paul")
    visitor.open("/projects/boutique/environments/prod")
    visitor.wait(lambda: visitor.find(".live").get_attribute("data-live") == "on")
    visitor.all(".deployments summary")[2].click()
    visitor.run("document.querySelector('#release-11 button').focus()")
    served.sample.environments.colours["boutique", "prod"] = Colour.RED
    visitor.wait(lambda: "Red" in visitor.text(".health-word"))
    assert visitor.run("return document.activeElement.closest('li').id") == "release-11"
    assert visitor.run("return document.querySelector('#deployment-3 details').open")

    visitor.open("/projects/boutique")
    visitor.wait(lambda: visitor.find(".live").get_attribute("data-live") == "on")
    visitor.run("document.querySelector('#run-7 a').focus()")
    newer = replace(served.sample.pipeline.stored[6], id=8, title="Came in between")
    served.do(served.sample.pipeline.put(newer))
    visitor.wait(lambda: visitor.all("#run-8"))
    assert visitor.run("return document.activeElement.getAttribute('href')") == "/runs/7"


def test_events_appear_on_top(visitor: Visitor, served: Served) -> None:
    visitor.sign_in("zoe")
    visitor.open("/events")
    visitor.wait(lambda: visitor.find(".live").get_attribute("data-live") == "on")

    def note(tx: Transaction) -> None:
        tx.record("source:Push", actor="marie", subject="project/museum", project="museum", branch="live")

    served.do(served.sample.services.database.run(note))
    visitor.wait(lambda: "live" in visitor.all(".event")[0].text)


def test_the_whole_way_by_keyboard(visitor: Visitor, served: Served) -> None:
    visitor.open("/login")
    visitor.press("paul", Keys.TAB, "a boat and two locks", Keys.ENTER)
    visitor.wait(lambda: visitor.path == "/projects")
    visitor.press(Keys.TAB)
    assert visitor.run("return document.activeElement.className") == "skip"
    visitor.press(Keys.ENTER)
    assert visitor.run("return document.activeElement.id") == "main"
    visitor.tab_to("a[href='/projects/boutique']")
    visitor.press(Keys.ENTER)
    visitor.wait(lambda: visitor.path == "/projects/boutique")
    visitor.tab_to("a[href='/runs/7']")
    visitor.press(Keys.ENTER)
    visitor.wait(lambda: visitor.path == "/runs/7")
    visitor.tab_to("#comment")
    visitor.press("By keyboard")
    visitor.tab_to("form[action='/runs/7/approve'] button.main")
    visitor.press(Keys.SPACE)
    visitor.wait(lambda: visitor.sees("By keyboard"))
    assert ("approve", 7, "By keyboard", "paul") in served.sample.pipeline.calls


def test_everything_works_without_scripts(visitor: Visitor, served: Served) -> None:
    visitor.without_scripts()
    visitor.open("/login")
    visitor.find("#user").send_keys("paul")
    visitor.find("#password").send_keys("a boat and two locks", Keys.ENTER)
    visitor.wait(lambda: visitor.path == "/projects")
    visitor.open("/runs/7")
    visitor.find("#comment").send_keys("No script")
    visitor.find("form[action='/runs/7/approve'] button.main").click()
    visitor.wait(lambda: "by paul" in visitor.text(".canal"))
    assert ("approve", 7, "No script", "paul") in served.sample.pipeline.calls


def test_a_one_time_link_signs_in_by_its_button(visitor: Visitor, served: Served) -> None:
    secret = served.do(served.sample.services.access.create_login_link("paul", "root"))
    visitor.open(f"/login/{secret}")
    visitor.find("main button").click()
    visitor.wait(lambda: visitor.path.startswith("/account"))
    assert visitor.sees("Choose a password below")


def test_the_language_is_kept(visitor: Visitor) -> None:
    visitor.open("/login")
    visitor.find("button[value=fr]").click()
    visitor.wait(lambda: visitor.sees("Se connecter"))
    visitor.open("/projects")
    assert visitor.run("return document.documentElement.lang") == "fr"


@pytest.mark.parametrize("language", ["en", "fr"])
def test_no_page_scrolls_sideways_on_a_phone(visitor: Visitor, served: Served, language: str) -> None:
    served.sample.builds.failed = 2
    visitor.sign_in("root")
    visitor.speak(language)
    visitor.widen(390)
    for page in PAGES:
        visitor.open(page)
        width = visitor.run("return document.documentElement.scrollWidth")
        assert width <= 390, (page, width)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_on_any_page(visitor: Visitor, served: Served, scheme: str) -> None:
    served.sample.builds.failed = 2
    visitor.prefer(scheme)
    visitor.open("/login")
    assert visitor.barriers() == []
    visitor.sign_in("root")
    dark = visitor.run("return getComputedStyle(document.body).backgroundColor")
    assert dark == ("rgb(14, 23, 27)" if scheme == "dark" else "rgb(243, 246, 246)")
    found = {}
    for page in PAGES:
        visitor.open(page)
        if barriers := visitor.barriers():
            found[page] = barriers
    assert found == {}, json.dumps(found, indent=2)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_an_environment_is_terminated_once_its_name_was_typed(
    visitor: Visitor, served: Served, language: str
) -> None:
    making: Any = served.sample.services.making
    making.done.clear()
    visitor.sign_in("root")
    visitor.speak(language)
    visitor.widen(390)
    visitor.open("/projects/boutique/environments/prod/manage")
    visitor.find(".danger-link").click()
    visitor.wait(lambda: visitor.path.endswith("/terminate"))
    visitor.find("#name").send_keys("dev", Keys.ENTER)
    visitor.wait(lambda: visitor.all("[role=alert]"))
    assert making.done == []
    visitor.find("#name").send_keys("prod", Keys.ENTER)
    visitor.wait(lambda: visitor.path == "/projects/boutique")
    assert making.done == [("terminate", "prod")]
