"""What a graph says past its lines: marks, thresholds, old data, zones, many lines, a server away."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from halage.base.database import Transaction
from halage.monitor.alarms.model import Operator
from halage.monitor.dashboards.model import MetricLine, Threshold, Unit, WidgetKind
from tests.browser.boards import GRAPHS, LATER, a_widget, await_answers, is_at, is_drawn, make, query_of, said
from tests.browser.served import Away, Served
from tests.browser.visitor import Visitor
from tests.browser.waves import Waves, app_with

NOTHING = "\N{EN DASH}"
PLACE = "project/boutique/environment/prod"


def scaled(tx: Transaction) -> None:
    tx.record(
        "environment:Scale",
        actor="alarm",
        subject=PLACE,
        project="boutique",
        before={"instances": 2},
        after={"instances": 4},
        reason="prod-latency: too slow",
    )


def tip(visitor: Visitor, id_: str) -> str:
    found = visitor.all(f"#widget-{id_} .tip")
    return found[0].text if found and found[0].is_displayed() else ""


@pytest.fixture
def prod(served: Served) -> Iterator[None]:
    """An alarm of the environment watches what its dashboard shows."""
    where = '{environment="prod", project="boutique"}'
    latency = f"p95(environment_response_time_ms{where})"
    served.do(served.sample.alarms.redefine(2, expression=latency, threshold=120.0))
    yield


def test_marks_say_what_happened_to_the_mouse_and_to_the_keyboard(
    visitor: Visitor, served: Served, waves: Waves
) -> None:
    served.do(served.sample.services.database.run(scaled))
    id_ = make(served, a_widget("requests", 0, 0, shows_deployments=True))
    visitor.sign_in("zoe")
    visitor.open(f"/dashboards/{id_}?range=10800")
    visitor.wait(lambda: is_drawn(visitor, "#widget-requests"))
    visitor.tab_to("#widget-requests .plot")
    visitor.press("m")
    visitor.wait(lambda: "v12 by marie" in said(visitor))
    assert "v12 by marie" in tip(visitor, "requests")
    for _ in range(6):
        visitor.press("m")
        if "instances by alarm" in said(visitor):
            break
    assert "2 → 4 instances by alarm" in said(visitor)
    assert "prod-latency: too slow" in tip(visitor, "requests")

    over = visitor.find("#widget-requests .u-over")
    width = over.size["width"]
    # The scaling is of now: where the drawing ends at the right.
    ActionChains(visitor.driver).move_to_element_with_offset(over, round(width / 2) - 4, 20).perform()
    visitor.wait(lambda: "2 → 4 instances by alarm" in tip(visitor, "requests"))
    ActionChains(visitor.driver).move_to_element(visitor.find("h1")).perform()
    visitor.wait(lambda: not tip(visitor, "requests"))
    visitor.find("#widget-requests [data-numbers]").click()
    assert "2 → 4 instances by alarm" in visitor.text("#widget-requests .marks")


@pytest.mark.usefixtures("prod")
def test_thresholds_of_alarms_are_drawn_and_named(visitor: Visitor, served: Served, waves: Waves) -> None:
    visitor.sign_in("zoe")
    visitor.open(GRAPHS)
    visitor.wait(lambda: is_drawn(visitor, "#widget-latency"))
    await_answers(visitor)
    assert "Response time: > 120 ms" in visitor.text("#widget-latency .legend")
    assert "Response time" not in visitor.text("#widget-requests .legend")
    served.do(served.sample.alarms.redefine(2, threshold=1.0))
    visitor.open(GRAPHS)
    visitor.wait(lambda: visitor.all("#widget-latency-now .figure-value.is-over"))
    visitor.wait(lambda: visitor.text("#widget-latency-now .figure-note") == "Response time: > 1 ms")


@pytest.mark.usefixtures("prod")
def test_which_alarms_is_chosen_in_the_dialog(visitor: Visitor, served: Served, waves: Waves) -> None:
    served.do(served.sample.alarms.redefine(1, operator=Operator.AT_MOST, threshold=7.0))
    id_ = make(served, a_widget("one", 0, 0))
    visitor.sign_in("paul")
    visitor.open(f"/dashboards/{id_}?edit=yes")
    visitor.find("#widget-one [data-edit]").click()
    assert not visitor.find("[data-alarms]").is_displayed()
    visitor.find("#widget-levels").click()
    visitor.find("#alarm-1").click()
    visitor.find("#widget-dialog button.main").click()
    visitor.wait(lambda: not visitor.find("#widget-dialog").is_displayed())
    visitor.find("#save").click()
    visitor.wait(lambda: said(visitor) == "Saved.")
    visitor.wait(lambda: "Errors: ≤ 7" in visitor.text("#widget-one .legend"))
    kept = served.do(served.sample.services.dashboards.show(id_)).layout.widgets[0]
    assert (kept.shows_alarm_thresholds, kept.alarms) == (True, (1,))


def test_old_and_lost_data_are_said(visitor: Visitor, served: Served, waves: Waves) -> None:
    number = a_widget("number", 0, 4, kind=WidgetKind.NUMBER, height=2, lines=(MetricLine("sum(stopped)"),))
    id_ = make(
        served,
        number,
        a_widget("stopped", 0, 0, lines=(MetricLine("maximum(stopped)", "it"),)),
        a_widget("seldom", 6, 0, lines=(MetricLine("maximum(seldom)", "it"),)),
        a_widget("gone", 6, 4, lines=(MetricLine("sum(nothing)"),)),
    )
    visitor.sign_in("zoe")
    visitor.open(f"/dashboards/{id_}?range=3600")
    visitor.wait(lambda: is_drawn(visitor, "#widget-seldom") and visitor.all(".figure-value"))
    await_answers(visitor)
    assert visitor.text("#widget-number .figure-note").startswith("last at ")
    assert "Nothing since" in str(
        visitor.find("#widget-stopped .widget-summary").get_attribute("textContent")
    )
    assert visitor.all("#widget-stopped .legend-value.is-old")
    assert not visitor.all("#widget-seldom .legend-value.is-old"), "it comes as it always does"
    assert visitor.text("#widget-gone .widget-empty") == "No data in this time."


def test_a_server_that_is_away_is_said_and_what_was_drawn_stays(
    visitor: Visitor, served: Served, waves: Waves
) -> None:
    id_ = make(served, a_widget("one", 0, 0))
    visitor.sign_in("zoe")
    visitor.open(f"/dashboards/{id_}?range=3600")
    visitor.wait(lambda: is_drawn(visitor, "#widget-one"))
    served.stop()
    away = Away()
    served.start(away)
    visitor.run(LATER, 11)
    visitor.wait(
        lambda: "The server cannot be reached. What is shown is of" in visitor.text(".widget-problem")
    )
    assert is_drawn(visitor, "#widget-one") and away.asked
    served.stop()
    served.start(app_with(served.sample.services, waves.answer))
    visitor.run(LATER, 11)
    visitor.wait(lambda: not visitor.find(".widget-problem").is_displayed())


def test_times_are_of_the_visitors_zone_or_utc_and_the_page_says_which(
    visitor: Visitor, served: Served, waves: Waves
) -> None:
    visitor.live_in("Asia/Tokyo")
    visitor.sign_in("zoe")
    visitor.open("/dashboards/machine?from=2026-01-01T20:00:00Z&to=2026-01-01T21:00:00Z")
    visitor.wait(lambda: is_drawn(visitor, "#widget-cpu"))
    chosen = "return document.getElementById('zone').selectedOptions[0].textContent"
    assert visitor.run(chosen) == "Asia/Tokyo"
    assert visitor.text("#range-said").startswith("Jan 2, 2026, 05:00:00")
    visitor.find("#zone option[value=UTC]").click()
    visitor.wait(lambda: visitor.text("#range-said").startswith("Jan 1, 2026, 20:00:00"))
    visitor.find("#widget-cpu [data-numbers]").click()
    assert "20:5" in visitor.text("#widget-cpu .numbers")
    visitor.open("/dashboards/machine?range=3600")
    assert visitor.run(chosen) == "UTC", "the browser remembers"
    visitor.find(".own-range summary").click()
    visitor.wait(lambda: visitor.find("#range-to").get_attribute("value"))  # what is shown is filled in first
    visitor.run("document.querySelector('#range-from').value = '2026-01-01T20:00'")
    visitor.run("document.querySelector('#range-to').value = '2026-01-01T21:00'")
    visitor.find("#own-range button").click()
    visitor.wait(lambda: query_of(visitor).get("from") == "2026-01-01T20:00:00Z")
    visitor.run("localStorage.clear()")


def test_many_lines_can_be_told_apart_and_the_rest_is_said(
    visitor: Visitor, served: Served, waves: Waves
) -> None:
    id_ = make(
        served,
        a_widget("some", 0, 0, lines=(MetricLine("average(many_24)"),)),
        a_widget("crowd", 6, 0, lines=(MetricLine("average(many_80)"),)),
    )
    visitor.sign_in("zoe")
    # A time that stays: a live graph makes its legend anew under the pointer.
    visitor.open(f"/dashboards/{id_}?from=2026-01-01T20:00:00Z&to=2026-01-01T21:00:00Z")
    visitor.wait(lambda: is_drawn(visitor, "#widget-some") and is_drawn(visitor, "#widget-crowd"))
    await_answers(visitor)
    swatches = [each.get_attribute("class") for each in visitor.all("#widget-some .legend-line .swatch")]
    assert len(swatches) == 24 and len(set(swatches)) == 16, "eight colours, whole and dashed"
    legend, plot = visitor.find("#widget-some .legend"), visitor.find("#widget-some .plot")
    assert plot.size["height"] > legend.size["height"], "the legend leaves room for the drawing"
    hide = visitor.find("#widget-some .legend-all")
    visitor.run("arguments[0].scrollIntoView({block: 'nearest'})", hide)
    hide.click()
    visitor.wait(lambda: not is_drawn(visitor, "#widget-some"))
    assert visitor.text("#widget-some .legend-all") == "Show all"
    visitor.find("#widget-some .legend-line").click()
    visitor.wait(lambda: is_drawn(visitor, "#widget-some"))
    assert visitor.text("#widget-crowd .widget-problem").startswith("60 of 80 lines are drawn")


def test_light_and_dark_are_drawn_at_once_and_nothing_is_asked_for_it(
    visitor: Visitor, served: Served, waves: Waves
) -> None:
    id_ = make(served, a_widget("one", 0, 0))
    visitor.sign_in("zoe")
    visitor.open(f"/dashboards/{id_}?from=2026-01-01T20:00:00Z&to=2026-01-01T21:00:00Z")
    visitor.wait(lambda: is_drawn(visitor, "#widget-one"))
    waves.asked.clear()
    visitor.prefer("dark")
    visitor.wait(lambda: is_drawn(visitor, "#widget-one"))
    assert waves.asked == []


def test_a_graph_that_goes_on_for_long_neither_flickers_nor_grows(
    visitor: Visitor, served: Served, waves: Waves
) -> None:
    lines = (MetricLine("average(many_6)"),)
    id_ = make(served, a_widget("one", 0, 0, lines=lines, shows_deployments=True, thresholds=(Threshold(9),)))
    visitor.sign_in("zoe")
    visitor.open(f"/dashboards/{id_}?range=3600")
    visitor.wait(lambda: is_drawn(visitor, "#widget-one"))
    visitor.run("window.canvas = document.querySelector('#widget-one canvas')")
    again = """
        const [times, done] = arguments;
        const [watch] = window.halage.watchers;
        (async () => { for (let i = 0; i < times; i++) await watch("live"); })().then(done);
    """
    visitor.driver.execute_async_script(again, 5)
    nodes = visitor.count_nodes()
    for _ in range(6):  # a script has half a minute
        visitor.driver.execute_async_script(again, 10)
    assert visitor.count_nodes() <= nodes + 60, "less than a node for each time"
    assert visitor.run("return document.querySelector('#widget-one canvas') === window.canvas")


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en", ["1.5 KiB", "3 MiB/s", "12.5 %", "250 ms", "2.5 s", "0.25/s", NOTHING, "12.35K"]),
        ("fr", ["1,5 KiB", "3 MiB/s", "12,5 %", "250 ms", "2,5 s", "0,25/s", NOTHING, "12,35 k"]),
    ],
)
def test_numbers_are_written_with_their_units(
    visitor: Visitor, waves: Waves, language: str, written: list[str]
) -> None:
    visitor.sign_in("zoe")
    visitor.driver.add_cookie({"name": "halage_language", "value": language})
    visitor.open("/dashboards/machine")
    visitor.wait(lambda: is_drawn(visitor, "#widget-cpu"))
    values = [
        (1536, Unit.BYTES),
        (3 * 2**20, Unit.BYTES_PER_SECOND),
        (12.5, Unit.PERCENT),
        (250, Unit.MILLISECONDS),
        (2.5, Unit.SECONDS),
        (0.25, Unit.PER_SECOND),
        (None, Unit.BYTES),
        (12345, Unit.NONE),
    ]
    found = [visitor.run("return window.halage.write(...arguments)", *each) for each in values]
    assert [each.replace("\u202f", " ").replace("\xa0", " ") for each in found] == written


def test_a_mistake_in_an_expression_is_said_below_it(visitor: Visitor, served: Served, waves: Waves) -> None:
    id_ = make(served, a_widget("one", 0, 0))
    visitor.sign_in("paul")
    visitor.open(f"/dashboards/{id_}?edit=yes")
    visitor.find("#add-widget").click()
    visitor.find("#line-rows textarea").send_keys("averge(cpu)")
    waves.refusal = "Column 1: `averge` is no statistic.\n    averge(cpu)\n    ^^^^^^"
    visitor.find("#widget-dialog button.main").click()
    visitor.wait(lambda: "`averge` is no statistic." in visitor.text("#line-rows .mistake"))
    assert visitor.text("#line-rows .mistake pre").endswith("^^^^^^")
    assert visitor.run("return document.activeElement === document.querySelector('#line-rows textarea')")
    waves.refusal = None
    visitor.press(Keys.END, Keys.BACKSPACE, ")")
    visitor.find("#widget-dialog button.main").click()
    visitor.wait(lambda: is_drawn(visitor, "#widget-w2"))


def test_from_a_search_to_a_graph_to_a_dashboard(visitor: Visitor, served: Served, waves: Waves) -> None:
    id_ = make(served, a_widget("one", 0, 0))
    visitor.sign_in("paul")
    visitor.open("/explore")
    visitor.find("#search").send_keys("cpu environment=prod", Keys.ENTER)
    visitor.wait(lambda: "search" in query_of(visitor))
    assert [each.text for each in visitor.all(".metric-names .row-main")] == ["instance_cpu_percent"]
    visitor.find(".metric-names .row-main").click()
    visitor.wait(lambda: is_drawn(visitor, "#widget-explored"))
    expression = 'average(instance_cpu_percent{environment="prod"})'
    assert visitor.find("#expression").get_attribute("value") == expression
    assert "%" in visitor.text("#widget-explored .legend"), "in its unit"
    visitor.run("document.addEventListener('click', (event) => event.preventDefault())")
    link = visitor.find("[data-download=json]")
    link.click()
    address = str(link.get_attribute("href"))
    assert "format=json" in address and "from=" in address and "to=" in address
    visitor.open(visitor.path)
    visitor.find(f"#board-choice option[value='{id_}']").click()
    visitor.find(".keep button").click()
    visitor.wait(lambda: visitor.find("#widget-dialog").is_displayed())
    assert visitor.find("#line-rows textarea").get_attribute("value") == expression
    visitor.find("#widget-dialog button.main").click()
    visitor.wait(lambda: is_drawn(visitor, "#widget-w2"))
    assert is_at(visitor, "w2")["top"] > is_at(visitor, "one")["bottom"]
    visitor.find("#save").click()
    visitor.wait(lambda: said(visitor) == "Saved.")
    kept = served.do(served.sample.services.dashboards.show(id_)).layout.widgets[1]
    assert (kept.lines[0].expression, kept.unit) == (expression, Unit.PERCENT)
