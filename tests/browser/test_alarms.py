"""The pages of alarms in a real browser: colours, pictures, the form, by keyboard and without scripts."""

import json

import pytest
from selenium.webdriver.common.keys import Keys

from halage.monitor.alarms.model import State
from tests.browser.served import Served
from tests.browser.visitor import Visitor

PLACE = "/projects/boutique/environments/prod/alarms"
PAGES = (
    "/alarms",
    "/alarms?project=boutique&state=ALARM",
    PLACE,
    "/alarms/2",
    "/alarms/6",
    "/alarms/7",
    "/alarms/new",
    "/alarms/new?project=boutique",
    "/alarms/2/edit",
    "/alarms/6/edit",
    "/alarms/7/edit",
    "/alarms/5/edit",
)
RED, GREEN, GREY = "rgba(180, 38, 29, 1)", "rgba(26, 122, 72, 1)", "rgba(92, 109, 116, 1)"


def badge_colours(visitor: Visitor) -> dict[str, str]:
    return {badge.text: badge.value_of_css_property("color") for badge in visitor.all(".alarm .badge")}


def is_shown(visitor: Visitor, selector: str) -> bool:
    return visitor.find(selector).is_displayed()


def test_states_have_their_colours_and_change_by_themselves(visitor: Visitor, served: Served) -> None:
    visitor.sign_in("zoe")
    visitor.open(PLACE)
    visitor.wait(lambda: visitor.find(".live").get_attribute("data-live") == "on")
    colours = {"Alarm": RED, "Insufficient data": GREY, "OK": GREEN}
    visitor.wait(lambda: badge_colours(visitor) == colours)
    assert visitor.text(".tabs .count").startswith("1")
    served.do(served.sample.alarms.say(1, State.ALARM, "12 is above 5"))
    visitor.wait(lambda: len(visitor.all(".alarm.is-alarm-alarm")) == 2)
    assert visitor.sees("12 is above 5")
    visitor.wait(lambda: visitor.text(".tabs .count").startswith("2"))


def test_one_alarm_is_drawn_and_goes_on_live_while_a_form_is_open(visitor: Visitor, served: Served) -> None:
    visitor.sign_in("paul")
    visitor.open("/alarms/2")
    visitor.wait(lambda: visitor.find(".live").get_attribute("data-live") == "on")
    boxes = visitor.run(
        "return [...document.querySelectorAll('.course .values, .course .limit, .said rect')]"
        ".map((each) => each.getBoundingClientRect()).map((box) => [box.width, box.height])"
    )
    assert len(boxes) == 5 and all(width > 20 for width, _ in boxes), boxes
    assert "Response time: latest " in str(visitor.find(".course").get_attribute("aria-label"))
    visitor.find(".alarm-controls summary").click()
    visitor.find("#for [value=until]").click()
    visitor.run("document.getElementById('until').value = '2199-01-02T03:04'")
    served.do(served.sample.alarms.say(2, State.OK, "no value is > 500"))
    visitor.wait(lambda: visitor.text(".health-word") == "OK")
    visitor.wait(lambda: visitor.find(".health-word strong").value_of_css_property("color") == GREEN)
    visitor.wait(lambda: len(visitor.all(".changes > li")) == 2)  # each part of the page comes by itself
    assert visitor.find("#until").get_attribute("value") == "2199-01-02T03:04"
    visitor.find("form[action='/alarms/2/disable'] button").click()
    visitor.wait(lambda: visitor.sees("Disabled, ends"))
    visitor.find("form[action='/alarms/2/enable'] button").click()
    visitor.wait(lambda: visitor.all("form[action='/alarms/2/disable']"))


@pytest.mark.parametrize("scripts", [True, False])
def test_an_alarm_is_made_and_a_mistake_is_mended(visitor: Visitor, served: Served, scripts: bool) -> None:
    if not scripts:
        visitor.without_scripts()
    visitor.open("/login")
    visitor.find("#user").send_keys("paul")
    visitor.find("#password").send_keys("a boat and two locks", Keys.ENTER)
    visitor.wait(lambda: visitor.path == "/projects")
    visitor.open(PLACE)
    visitor.find(".button[href^='/alarms/new']").click()
    assert not is_shown(visitor, "#rule") and not is_shown(visitor, "#width")
    visitor.find("#name").send_keys("Orders fall")
    visitor.find("#expression").send_keys("summ(orders_placed)")
    visitor.find("#limit-band").click()
    assert is_shown(visitor, "#width") and not is_shown(visitor, "#threshold")
    visitor.find("#period_s [value='300']").click()
    assert not is_shown(visitor, "#on_alarm-1-maximum")
    visitor.find("#on_alarm-1-on").click()
    visitor.find("#on_alarm-1-maximum").send_keys("4")
    visitor.find(".alarm-form button.main").click()
    visitor.wait(lambda: visitor.sees("The alarm was not saved."))
    assert "Did you mean `sum`?" in visitor.text("#problem-expression")
    visitor.find("#expression").clear()
    visitor.find("#expression").send_keys("sum(orders_placed)")
    assert visitor.find("#on_alarm-1-maximum").get_attribute("value") == "4"
    visitor.find(".alarm-form button.main").click()
    visitor.wait(lambda: visitor.text("h1") == "Orders fall")
    assert visitor.sees("outside the usual by 3 deviations")
    assert visitor.sees("scale by +1, within 1 to 4 instances")


def test_an_alarm_is_reached_and_tested_by_keyboard(visitor: Visitor, served: Served) -> None:
    visitor.sign_in("paul")
    visitor.tab_to("a[href='/alarms']")
    visitor.press(Keys.ENTER)
    visitor.wait(lambda: visitor.path == "/alarms")
    visitor.tab_to("a[href='/alarms/2']")
    visitor.press(Keys.ENTER)
    visitor.wait(lambda: visitor.path == "/alarms/2")
    visitor.tab_to("form[action='/alarms/2/test'] button")
    visitor.press(Keys.SPACE)
    visitor.wait(lambda: visitor.sees("Now it would say:"))
    visitor.tab_to("details.end summary")
    visitor.press(Keys.ENTER)
    visitor.wait(lambda: is_shown(visitor, "form[action='/alarms/2/delete'] button"))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_no_page_of_alarms_scrolls_sideways(visitor: Visitor, language: str) -> None:
    visitor.sign_in("root")
    visitor.speak(language)
    visitor.finds_nothing_too_wide(PAGES)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_on_any_page_of_alarms(visitor: Visitor, served: Served, scheme: str) -> None:
    visitor.prefer(scheme)
    visitor.sign_in("root")
    served.do(served.sample.services.alarms.disable(1, until=None, actor="root"))
    found = {}
    for page in PAGES:
        visitor.open(page)
        if barriers := visitor.barriers():
            found[page] = barriers
    visitor.open("/alarms/2/edit")
    for box in visitor.all(".action > .check input:not(:checked)"):
        box.click()
    visitor.find("#threshold").clear()
    visitor.find(".alarm-form button.main").click()
    visitor.wait(lambda: visitor.all(".field-problem"))
    if barriers := visitor.barriers():
        found["the form with mistakes"] = barriers
    visitor.open("/alarms/2")
    visitor.find(".alarm-controls summary").click()
    visitor.find("form[action='/alarms/2/test'] button").click()
    visitor.wait(lambda: visitor.all("#trial-title"))
    if barriers := visitor.barriers():
        found["a test"] = barriers
    assert found == {}, json.dumps(found, indent=2)
