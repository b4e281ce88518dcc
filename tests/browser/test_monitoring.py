"""Graphs and dashboards in a real browser: drawn, zoomed, told, laid out, saved, live."""

import json
import time
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from halage.base.clock import SystemClock
from halage.monitor.alarms.model import State
from halage.monitor.dashboards.model import Layout, MetricLine, Threshold, WidgetKind
from halage.monitor.metrics.model import Kind, Sample, SeriesKey
from halage.monitor.metrics.store import MetricStore
from tests.browser.boards import (
    GRAPHS,
    LATER,
    a_widget,
    await_answers,
    is_at,
    is_drawn,
    make,
    query_of,
    said,
    stored,
)
from tests.browser.queries import StoreQueries
from tests.browser.served import Served
from tests.browser.visitor import Visitor
from tests.browser.waves import Waves, app_with

PAGES = (
    GRAPHS,
    "/dashboards",
    "/dashboards/machine",
    "/explore",
    "/explore?expression=average(machine_cpu_percent)",
)


def test_a_graph_draws_what_the_store_has_and_goes_on_live(
    visitor: Visitor, served: Served, tmp_path: Path
) -> None:
    store = MetricStore(tmp_path / "metrics", SystemClock())
    key, now = SeriesKey.of("orders", project="boutique"), time.time()
    for minute in range(30, 0, -1):
        store.write(now - 60 * minute, 10, [Sample(key, Kind.GAUGE, 100.0 - minute)])
    served.stop()
    served.start(app_with(served.sample.services, StoreQueries(store).answer))
    id_ = make(served, a_widget("orders", 0, 0, lines=(MetricLine("maximum(orders)", "orders"),)))
    visitor.sign_in("zoe")
    visitor.open(f"/dashboards/{id_}?range=3600")
    visitor.wait(lambda: is_drawn(visitor, "#widget-orders"))
    assert visitor.text(".legend-line") == "orders\n99"
    summary = visitor.find(".widget-summary").get_attribute("textContent")
    assert summary == "orders: latest 99, lowest 70, highest 99."

    visitor.find("[data-numbers]").click()
    figures = [cell.text for cell in visitor.all(".numbers tbody td")]
    assert figures == [str(99 - row) for row in range(30)]

    store.write(now, 10, [Sample(key, Kind.GAUGE, 4711.0)])
    visitor.run(LATER, 11)
    visitor.wait(lambda: "4711" in visitor.text(".legend-line") or "4,711" in visitor.text(".legend-line"))
    store.close()


def test_zooming_with_the_mouse_is_for_all_graphs_and_stands_in_the_address(
    visitor: Visitor, waves: Waves
) -> None:
    visitor.sign_in("zoe")
    visitor.open(f"{GRAPHS}?range=10800")
    visitor.wait(lambda: is_drawn(visitor, "#widget-requests"))
    waves.asked.clear()
    over = visitor.find("#widget-requests .u-over")
    ActionChains(visitor.driver).move_to_element_with_offset(over, -100, 0).click_and_hold().move_by_offset(
        120, 0
    ).release().perform()
    visitor.wait(lambda: {"from", "to"} <= set(query_of(visitor)))
    query = query_of(visitor)

    def followed() -> set[str]:
        return {each["expression"] for each in list(waves.asked) if each["to"] == query["to"]}

    visitor.wait(lambda: len(followed()) > 10)  # every graph of the page follows
    assert visitor.text("#range-said")

    visitor.open(visitor.path)  # as somebody does who was sent the link
    visitor.wait(lambda: is_drawn(visitor, "#widget-requests"))
    assert query_of(visitor) == query
    visitor.find("[data-unzoom]").click()
    visitor.wait(lambda: query_of(visitor) == {"range": "10800"})
    visitor.find("[data-range-link='86400']").click()
    visitor.wait(lambda: query_of(visitor) == {"range": "86400"})
    assert visitor.find("[data-range-link='86400']").get_attribute("aria-current") == "true"


def test_points_and_zoom_by_the_keyboard(visitor: Visitor, waves: Waves) -> None:
    visitor.sign_in("zoe")
    visitor.open("/dashboards/machine?range=3600")
    visitor.wait(lambda: is_drawn(visitor, "#widget-cpu"))
    visitor.tab_to("#widget-cpu .plot")
    visitor.press(Keys.ARROW_LEFT)
    visitor.wait(lambda: "CPU" in said(visitor) and "%" in said(visitor))
    first = said(visitor)
    visitor.press(Keys.ARROW_LEFT)
    visitor.wait(lambda: said(visitor) != first)
    visitor.press("+")
    visitor.wait(lambda: "from" in query_of(visitor))
    visitor.press(Keys.ESCAPE)
    visitor.wait(lambda: query_of(visitor) == {"range": "3600"})


def test_who_does_not_look_asks_for_nothing(visitor: Visitor, waves: Waves) -> None:
    visitor.sign_in("zoe")
    visitor.open("/dashboards/machine?range=3600")
    visitor.wait(lambda: is_drawn(visitor, "#widget-cpu"))
    visitor.run("Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true})")
    await_answers(visitor)
    waves.asked.clear()
    visitor.run(LATER, 60)
    visitor.driver.execute_async_script("setTimeout(arguments[0], 2500)")
    assert waves.asked == [], "two ticks went by"
    visitor.run("delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'))")
    visitor.wait(lambda: waves.asked)


def test_a_line_is_hidden_and_shown_by_its_button(visitor: Visitor, waves: Waves) -> None:
    visitor.sign_in("zoe")
    # A time that stays: a live graph makes its legend anew under the pointer.
    visitor.open("/dashboards/machine?from=2026-01-01T20:00:00Z&to=2026-01-01T21:00:00Z")
    visitor.wait(lambda: is_drawn(visitor, "#widget-cpu"))
    button = visitor.find("#widget-cpu .legend-line")
    button.click()
    visitor.wait(lambda: not is_drawn(visitor, "#widget-cpu"))
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    visitor.wait(lambda: is_drawn(visitor, "#widget-cpu"))


def test_a_graph_follows_from_light_to_dark(visitor: Visitor, waves: Waves) -> None:
    visitor.sign_in("zoe")
    visitor.open("/dashboards/machine")
    visitor.wait(lambda: is_drawn(visitor, "#widget-cpu"))
    visitor.prefer("dark")
    visitor.wait(lambda: is_drawn(visitor, "#widget-cpu"))


def test_what_is_compared_marked_missing_or_refused(visitor: Visitor, served: Served, waves: Waves) -> None:
    id_ = make(
        served,
        a_widget(
            "requests", 0, 0, shows_week_before=True, shows_deployments=True, thresholds=(Threshold(99.0),)
        ),
        a_widget("gone", 6, 0, lines=(MetricLine("sum(nothing)"),)),
        a_widget("words", 0, 4, kind=WidgetKind.TEXT, lines=(), text="Call Ada.\n<b>not bold</b>"),
    )
    visitor.sign_in("zoe")
    visitor.open(f"/dashboards/{id_}")
    visitor.wait(lambda: is_drawn(visitor, "#widget-requests"))
    await_answers(visitor)
    assert "requests, a week before" in visitor.text("#widget-requests .legend")
    visitor.find("#widget-requests [data-numbers]").click()
    assert "Deployment of v12 by marie: Rolled back" in visitor.text("#widget-requests .marks")
    assert "format=csv" in str(visitor.find("#widget-requests .csv a").get_attribute("href"))
    assert visitor.text("#widget-gone .widget-empty") == "No data in this time."
    assert visitor.text("#widget-words .widget-text") == "Call Ada.\n<b>not bold</b>"
    waves.refusal = "There is no statistic summ."
    visitor.find("[data-range-link='3600']").click()
    visitor.wait(lambda: visitor.text("#widget-requests .widget-problem") == "There is no statistic summ.")


def test_a_widget_is_moved_and_sized_by_keyboard_and_found_again(
    visitor: Visitor, served: Served, waves: Waves
) -> None:
    id_ = make(served, a_widget("one", 0, 0), a_widget("two", 6, 0), a_widget("three", 0, 4))
    visitor.sign_in("paul")
    visitor.open(f"/dashboards/{id_}")
    visitor.find("#edit").click()
    visitor.tab_to("#widget-one [data-move]")
    visitor.press(Keys.ARROW_RIGHT)
    assert said(visitor) == "One: column 2, row 1."
    visitor.wait(lambda: is_at(visitor, "two")["top"] > is_at(visitor, "one")["bottom"])
    ActionChains(visitor.driver).key_down(Keys.SHIFT).send_keys(Keys.ARROW_LEFT, Keys.ARROW_DOWN).key_up(
        Keys.SHIFT
    ).perform()
    assert said(visitor) == "One: 5 columns wide, 5 rows high."
    assert visitor.run("return document.activeElement.closest('[data-widget]').dataset.id") == "one"
    visitor.press(Keys.ARROW_DOWN)
    visitor.find("#save").click()
    visitor.wait(lambda: said(visitor) == "Saved.")
    assert stored(served, id_) == {"three": (0, 0, 6, 4), "two": (6, 0, 6, 4), "one": (1, 4, 5, 5)}
    visitor.open(f"/dashboards/{id_}")
    visitor.wait(lambda: is_at(visitor, "one")["top"] > is_at(visitor, "two")["bottom"])


def test_a_widget_is_moved_and_sized_by_mouse_and_found_again(
    visitor: Visitor, served: Served, waves: Waves
) -> None:
    id_ = make(served, a_widget("one", 0, 0), a_widget("two", 6, 0))
    visitor.sign_in("paul")
    visitor.open(f"/dashboards/{id_}")
    visitor.find("#edit").click()
    column = visitor.find("#board").size["width"] / 12
    ActionChains(visitor.driver).click_and_hold(visitor.find("#widget-two [data-move]")).move_by_offset(
        round(-6 * column), 10
    ).release().perform()
    visitor.wait(lambda: is_at(visitor, "one")["top"] > is_at(visitor, "two")["bottom"])
    ActionChains(visitor.driver).click_and_hold(visitor.find("#widget-two [data-size]")).move_by_offset(
        round(3 * column), 80
    ).release().perform()
    visitor.wait(lambda: said(visitor) == "Two: 9 columns wide, 5 rows high.")
    visitor.find("#save").click()
    visitor.wait(lambda: said(visitor) == "Saved.")
    assert stored(served, id_) == {"two": (0, 0, 9, 5), "one": (0, 5, 6, 4)}


def test_widgets_are_added_edited_and_deleted(visitor: Visitor, served: Served, waves: Waves) -> None:
    id_ = make(served, a_widget("one", 0, 0))
    visitor.sign_in("paul")
    visitor.open(f"/dashboards/{id_}")
    visitor.find("#edit").click()
    visitor.find("#add-widget").click()
    visitor.find("#widget-title").send_keys("Orders")
    visitor.find("#line-rows textarea").send_keys("sum(orders")
    visitor.find("#widget-dialog button.main").click()
    visitor.wait(lambda: is_drawn(visitor, "#widget-w2"))
    visitor.find("#save").click()
    visitor.wait(lambda: "`)` is missing" in visitor.text("#save-problem"))

    visitor.find("#widget-w2 [data-edit]").click()
    assert visitor.find("#widget-title").get_attribute("value") == "Orders"
    visitor.find("#line-rows textarea").send_keys(")")
    visitor.find("#widget-dialog button.main").click()
    visitor.wait(lambda: not visitor.find("#widget-dialog").is_displayed())  # the server has read it
    visitor.find("#widget-one [data-delete]").click()
    visitor.find("#save").click()
    visitor.wait(lambda: said(visitor) == "Saved.")
    kept = served.do(served.sample.services.dashboards.show(id_)).layout.widgets
    assert [(each.title, each.lines[0].expression, each.y) for each in kept] == [("Orders", "sum(orders)", 0)]


def test_a_hasty_second_click_adds_and_saves_once(visitor: Visitor, served: Served, waves: Waves) -> None:
    id_ = make(served, a_widget("one", 0, 0))
    visitor.sign_in("paul")
    visitor.open(f"/dashboards/{id_}?edit=yes")
    visitor.find("#add-widget").click()
    visitor.find("#line-rows textarea").send_keys("sum(orders)")
    visitor.run("for (const _ of [1, 2]) document.querySelector('#widget-dialog button.main').click()")
    visitor.wait(lambda: is_drawn(visitor, "#widget-w2"))
    assert not visitor.all("#widget-w3")
    # Who closes the dialog while the server still reads has thought better of it.
    visitor.find("#add-widget").click()
    visitor.find("#line-rows textarea").send_keys("sum(regrets)")
    visitor.run(
        "document.querySelector('#widget-dialog button.main').click();"
        "document.querySelector('#widget-dialog [data-close]').click()"
    )
    visitor.wait(lambda: any(each["expression"] == "sum(regrets)" for each in list(waves.asked)))
    visitor.driver.execute_async_script(
        "fetch('/dashboards').then((answer) => answer.text()).then(arguments[0])"
    )
    assert not visitor.all("#widget-w3")
    visitor.run("for (const _ of [1, 2]) document.getElementById('save').click()")
    visitor.wait(lambda: said(visitor) == "Saved.")
    shown = served.do(served.sample.services.dashboards.show(id_))
    assert (shown.version, len(shown.layout.widgets)) == (2, 2)


def test_two_editors_do_not_overwrite_each_other_silently(
    visitor: Visitor, served: Served, waves: Waves
) -> None:
    visitor.sign_in("paul")
    visitor.open(GRAPHS)
    visitor.find("#edit").click()
    visitor.find("#dashboard-name").send_keys(" of Paul")
    dashboards = served.sample.services.dashboards
    theirs = Layout("Marie's", (a_widget("one", 0, 0),))
    served.do(dashboards.change("boutique.prod", theirs, version=0, actor="marie"))
    visitor.find("#save").click()
    visitor.wait(lambda: "marie changed this dashboard meanwhile" in visitor.text("#save-problem"))
    assert served.do(dashboards.show("boutique.prod")).name == "Marie's"
    visitor.find("[data-over]").click()
    visitor.wait(lambda: said(visitor) == "Saved.")
    mine = served.do(dashboards.show("boutique.prod"))
    assert (mine.name, mine.version) == ("boutique prod of Paul", 2)
    assert len(mine.layout.widgets) > 10


def test_the_alarms_of_a_dashboard_change_their_colour_by_themselves(
    visitor: Visitor, served: Served, waves: Waves
) -> None:
    visitor.sign_in("zoe")
    visitor.open(GRAPHS)
    states = {"OK Errors", "Alarm Response time", "Insufficient data Certificate end"}
    visitor.wait(
        lambda: {item.text.replace("\n", " ") for item in visitor.all("#widget-alarms li")} == states
    )
    served.do(served.sample.alarms.say(1, State.ALARM))
    visitor.wait(lambda: len(visitor.all("#widget-alarms .is-alarm-alarm")) == 2)
    shown = visitor.find("#widget-alarms .is-alarm-alarm").value_of_css_property("color")
    assert shown == "rgba(180, 38, 29, 1)"


def test_a_document_goes_from_one_dashboard_to_another(
    visitor: Visitor, served: Served, waves: Waves, tmp_path: Path
) -> None:
    visitor.sign_in("paul")
    visitor.open("/dashboards/machine")
    address = visitor.find("a[download]").get_attribute("href")
    text = visitor.driver.execute_async_script(
        "const done = arguments[1]; fetch(arguments[0]).then((r) => r.text()).then(done)", address
    )
    file = tmp_path / "machine.json"
    file.write_text(text)
    visitor.open("/dashboards")
    visitor.find("#file").send_keys(str(file))
    visitor.wait(lambda: visitor.find("#document").get_attribute("value") == text)
    visitor.find("form[action='/dashboards/import'] button").click()
    visitor.wait(lambda: visitor.path == "/dashboards/1")
    assert json.loads(text)["name"] == visitor.text("h1")


def test_without_a_script_the_words_and_the_way_to_the_numbers_are_there(
    visitor: Visitor, served: Served, waves: Waves
) -> None:
    id_ = make(served, a_widget("one", 0, 0))
    visitor.without_scripts()
    visitor.sign_in("zoe")
    visitor.open(f"/dashboards/{id_}?range=3600")
    assert visitor.sees("Graphs are drawn by a script.")
    assert visitor.find("noscript a").text == "requests"
    assert visitor.find("[aria-current=true].range").text == "1 h"


@pytest.mark.parametrize("language", ["en", "fr"])
def test_no_page_of_monitoring_scrolls_sideways(visitor: Visitor, waves: Waves, language: str) -> None:
    visitor.sign_in("root")
    visitor.speak(language)
    visitor.finds_nothing_too_wide(PAGES)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_on_any_page_of_monitoring(visitor: Visitor, waves: Waves, scheme: str) -> None:
    visitor.prefer(scheme)
    visitor.sign_in("root")
    found = {}
    for page in PAGES:
        visitor.open(page)
        if visitor.all("#widget-requests, #widget-cpu, #widget-explored"):
            await_answers(visitor)
        if barriers := visitor.barriers():
            found[page] = barriers
    visitor.open(GRAPHS)
    visitor.wait(lambda: is_drawn(visitor, "#widget-requests"))
    visitor.find("#widget-requests [data-numbers]").click()
    if barriers := visitor.barriers():
        found["numbers"] = barriers
    visitor.find("#edit").click()
    if barriers := visitor.barriers():
        found["editing"] = barriers
    visitor.find("#widget-requests [data-edit]").click()
    if barriers := visitor.barriers():
        found["dialog"] = barriers
    visitor.run("location.assign = () => {}; document.querySelector('[data-close]').click()")
    assert found == {}, json.dumps(found, indent=2)
