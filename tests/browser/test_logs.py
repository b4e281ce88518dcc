"""The page of logs in a real browser: followed, paused, narrowed by mouse, opened, searched, flooded."""

import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from halage.monitor.logs.model import Group, Line, Search
from tests.browser.served import Served
from tests.browser.visitor import Visitor

ENVIRONMENT = "/projects/boutique/environments/prod/logs"
PAGES = (
    "/logs?place=boutique.prod",
    "/logs?place=boutique&group=builds&group=instances&text=order&field=user%3Dada&stream=i-7",
    "/logs?place=",
    ENVIRONMENT,
    "/logs/filters?place=boutique.prod&text=order",
    "/logs/outlets",
)
_FROM_END = (
    "const e = document.getElementById('log-lines'); return e.scrollHeight - e.scrollTop - e.clientHeight"
)
_LINES = "return document.querySelectorAll('#log-lines .log-line').length"


def keep(served: Served, *texts: str, stream: str = "i-7") -> None:
    """Log lines now."""
    logs = served.sample.services.logs

    async def work() -> None:
        lines = [Line(time.time(), text.encode()) for text in texts]
        logs.append(Group.named("boutique.prod/instances"), stream, lines)
        await logs.round()

    served.do(work())


def settings(served: Served) -> None:
    """A filter and two outlets, so that their pages have something to show."""
    logs = served.sample.services.logs
    group = Group.named("boutique.prod/instances")
    served.do(logs.filters.create(group, "orders", Search("order", stream="i-7"), actor="paul"))
    for name in ("central", "spare"):
        served.do(logs.outlets.create(name, "tls://logs.example.org:6514", ["*"], {}, actor="root"))
    served.do(logs.outlets.pause(2, actor="root"))


def query_of(visitor: Visitor) -> dict[str, list[str]]:
    return parse_qs(urlsplit(visitor.driver.current_url).query, keep_blank_values=True)


def is_live(visitor: Visitor) -> bool:
    return visitor.find(".live").get_attribute("data-live") == "on"


def click_last_bar(visitor: Visitor) -> bool:
    """Whether the click came through: bars move on with the time, and are drawn anew."""
    if "from" not in query_of(visitor):
        ActionChains(visitor.driver).move_to_element(visitor.all(".log-bars .reach")[-1]).click().perform()
    return "from" in query_of(visitor)


def last_texts(visitor: Visitor, number: int = 1) -> list[str]:
    return [each.text for each in visitor.all("#log-lines .log-line .text")[-number:]]


def test_lines_of_two_instances_are_followed_with_their_colours(visitor: Visitor, served: Served) -> None:
    visitor.sign_in("zoe")
    visitor.open(ENVIRONMENT)
    visitor.wait(lambda: is_live(visitor))
    before = visitor.run(_LINES)
    keep(served, "one", '{"level": "error", "message": "<b>no</b>"}', stream="i-7")
    keep(served, "two", stream="i-8")
    visitor.wait(lambda: visitor.run(_LINES) == before + 3)
    assert last_texts(visitor, 3) == ["one", '{"level": "error", "message": "<b>no</b>"}', "two"]
    colours = [each.value_of_css_property("color") for each in visitor.all(".log-line .from")[-3:]]
    assert colours[0] == colours[1] != colours[2]
    assert visitor.all(".log-line")[-2].get_attribute("class") == "log-line level-error"
    assert visitor.run(_FROM_END) < 24, "the page follows the end"


def test_who_reads_further_up_is_left_alone_and_comes_back_by_a_click(
    visitor: Visitor, served: Served
) -> None:
    keep(served, *(f"line {number}" for number in range(90)))
    visitor.sign_in("zoe")
    visitor.open(ENVIRONMENT)
    visitor.wait(lambda: is_live(visitor) and not visitor.find("#to-end").is_displayed())
    visitor.run("document.getElementById('log-lines').scrollTop = 0")
    visitor.wait(lambda: not visitor.find("#follow").is_selected())
    keep(served, "one more", "and one more")
    visitor.wait(lambda: visitor.text("#to-end") == "Back to the end (2 new)")
    assert visitor.run(_FROM_END) > 100
    visitor.find("#to-end").click()
    visitor.wait(lambda: visitor.run(_FROM_END) < 24 and not visitor.find("#to-end").is_displayed())
    assert visitor.find("#follow").is_selected()


def test_a_pause_holds_lines_back_and_going_on_shows_them(visitor: Visitor, served: Served) -> None:
    visitor.sign_in("zoe")
    visitor.open(ENVIRONMENT)
    visitor.wait(lambda: is_live(visitor))
    visitor.find("#pause").click()
    before = visitor.run(_LINES)
    keep(served, "held one", "held two")
    visitor.wait(lambda: visitor.text("#held") == "2 lines wait")
    assert visitor.run(_LINES) == before
    visitor.find("#pause").click()
    visitor.wait(lambda: last_texts(visitor, 2) == ["held one", "held two"])
    assert visitor.text("#held") == ""
    keep(served, "after")
    visitor.wait(lambda: last_texts(visitor) == ["after"])


def test_a_flood_does_not_fill_the_browser(visitor: Visitor, served: Served) -> None:
    visitor.sign_in("zoe")
    visitor.open(ENVIRONMENT)
    visitor.wait(lambda: is_live(visitor))
    for _ in range(12):
        keep(served, *(f"flood {number}" for number in range(3000)))
    keep(served, "the end of the flood")
    visitor.wait(lambda: last_texts(visitor) == ["the end of the flood"])
    assert visitor.run("return document.getElementById('log-lines').childElementCount") <= 2000
    assert "came too fast to be shown here" in visitor.text("#log-lines")


def test_a_time_is_chosen_with_the_mouse_and_the_link_says_it(visitor: Visitor, served: Served) -> None:
    visitor.sign_in("zoe")
    visitor.open("/logs?place=boutique.prod&range=3600")
    visitor.wait(lambda: visitor.all(".log-bars .bar"))
    bars = visitor.find(".log-bars")
    ActionChains(visitor.driver).move_to_element_with_offset(bars, -80, 0).click_and_hold().move_by_offset(
        30, 0
    ).move_by_offset(30, 0).release().perform()
    visitor.wait(lambda: {"from", "to"} <= set(query_of(visitor)))
    assert visitor.text("#no-lines") == "No lines in this time.", "they are all at the end of the hour"
    assert visitor.find(".log-span").text
    visitor.find(".ranges .button").click()
    visitor.wait(lambda: "from" not in query_of(visitor))
    visitor.wait(lambda: click_last_bar(visitor))  # a click on a bar is that bar's time
    assert visitor.run(_LINES) >= 1


def test_the_form_takes_local_times_and_leaves_out_what_is_empty(visitor: Visitor) -> None:
    visitor.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Europe/Paris"})
    try:
        visitor.sign_in("zoe")
        visitor.open("/logs?place=boutique.prod")
        visitor.find(".log-more summary").click()
        visitor.run(
            "document.getElementById('from').value = '2026-07-01T10:00:00';"
            "document.getElementById('to').value = '2026-07-01T11:00:00'"
        )
        visitor.find("#text").send_keys("order", Keys.ENTER)
        visitor.wait(lambda: "from" in query_of(visitor))
        assert query_of(visitor) == {
            "place": ["boutique.prod"],
            "group": ["instances", "access"],
            "text": ["order"],
            "range": ["10800"],
            "from": ["2026-07-01T08:00:00Z"],
            "to": ["2026-07-01T09:00:00Z"],
        }
        assert visitor.find("#from").get_attribute("value") == "2026-07-01T10:00"
        assert visitor.text(".log-span time") == "2026-07-01 10:00:00"
    finally:
        visitor.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})


def test_a_json_line_is_opened_and_narrows_by_keyboard(visitor: Visitor) -> None:
    visitor.sign_in("zoe")
    visitor.open("/logs?place=boutique.prod&text=ada")
    visitor.wait(lambda: visitor.all("details.log-line"))
    visitor.tab_to("details.log-line summary")
    visitor.press(Keys.ENTER)
    visitor.wait(lambda: "order.id" in visitor.text("details.log-line dl"))
    visitor.tab_to("dd a[aria-label='only these: order.id=4711']")
    visitor.press(Keys.ENTER)
    visitor.wait(lambda: query_of(visitor).get("field") == ["order.id=4711"])
    assert visitor.run(_LINES) == 1


def test_search_and_paging_work_without_scripts(visitor: Visitor, served: Served) -> None:
    keep(served, *(f"line {number}" for number in range(150)))
    visitor.without_scripts()
    visitor.open("/login?next=/logs?place=boutique.prod")
    visitor.find("#user").send_keys("zoe")
    visitor.find("#password").send_keys("a boat and two locks", Keys.ENTER)
    visitor.wait(lambda: visitor.path.startswith("/logs"))
    visitor.find("#text").send_keys("line", Keys.ENTER)
    visitor.wait(lambda: query_of(visitor).get("text") == ["line"])
    assert len(visitor.all(".log-line")) == 100
    assert visitor.sees("Times are in UTC.")
    visitor.all(".log-pages a")[-1].click()
    visitor.wait(lambda: "before" in query_of(visitor))
    assert len(visitor.all(".log-line")) == 50
    visitor.all(".log-pages a")[0].click()
    visitor.wait(lambda: "before" not in query_of(visitor))
    assert len(visitor.all(".log-line")) == 100


def test_from_a_build_to_its_lines(visitor: Visitor, served: Served) -> None:
    visitor.sign_in("zoe")
    visitor.open("/runs/4")
    visitor.find(".console-links a").click()
    visitor.wait(lambda: query_of(visitor).get("stream") == ["job-1"])
    assert last_texts(visitor, 2) == ["composer install", "OK (128 tests)"]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_no_page_of_logs_scrolls_sideways(visitor: Visitor, served: Served, language: str) -> None:
    settings(served)
    visitor.sign_in("root")
    visitor.speak(language)
    for width in (390, 768, 1440):
        visitor.widen(width)
        for page in PAGES:
            visitor.open(page)
            visitor.run("for (const each of document.querySelectorAll('details')) each.open = true")
            scrolled = visitor.run("return document.documentElement.scrollWidth")
            assert scrolled <= width, (page, width, scrolled)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_on_any_page_of_logs(visitor: Visitor, served: Served, scheme: str) -> None:
    settings(served)
    visitor.prefer(scheme)
    visitor.sign_in("root")
    found = {}
    for page in PAGES:
        visitor.open(page)
        closed = visitor.barriers()
        visitor.run("for (const each of document.querySelectorAll('details')) each.open = true")
        if barriers := closed + visitor.barriers():
            found[page] = barriers
    assert found == {}, json.dumps(found, indent=2)
