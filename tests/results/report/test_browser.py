"""Tests of the page in a browser."""

import itertools

import pytest

pytestmark = pytest.mark.slow

SCHEMES = ("light", "dark")


def cells(page, grid: str, index: int) -> list[str]:
    return page.eval_on_selector_all(
        f"#{grid} tbody tr", f"rows => rows.filter(r => !r.hidden).map(r => r.cells[{index}].innerText.trim())"
    )


def grid_named(page, name: str) -> str:
    return page.locator("section.grid", has=page.get_by_role("heading", name=name, exact=True)).get_attribute("id")


def test_sorting_numbers_up_down_and_as_planned(html, opened):
    page = opened(html)
    grid = grid_named(page, "Accuracy by exit")
    planned = cells(page, grid, 3)
    button = page.locator(f"#{grid} thead th").nth(3).get_by_role("button")
    numbers = [float(text.split()[0]) for text in planned]
    for direction, expected in (("ascending", sorted(numbers)), ("descending", sorted(numbers, reverse=True))):
        button.click()
        assert page.locator(f"#{grid} thead th").nth(3).get_attribute("aria-sort") == direction
        assert [float(text.split()[0]) for text in cells(page, grid, 3)] == expected
        assert direction in page.get_by_role("status").inner_text()
    assert page.locator("[aria-sort]").count() == 1
    button.click()
    assert page.locator("[aria-sort]").count() == 0
    assert cells(page, grid, 3) == planned


def test_sorting_texts_and_what_is_no_number(html, opened):
    page = opened(html)
    grid = grid_named(page, "Accuracy by exit")
    page.locator(f"#{grid} thead th").nth(1).get_by_role("button").click()
    methods = cells(page, grid, 1)
    assert methods == sorted(methods)
    page.locator(f"#{grid} thead th").nth(1).get_by_role("button").click()
    assert cells(page, grid, 1) == sorted(methods, reverse=True)
    exit1 = page.locator(f"#{grid} thead th").nth(2)
    for direction in ("ascending", "descending"):
        exit1.get_by_role("button").click()
        assert exit1.get_attribute("aria-sort") == direction
        shown = cells(page, grid, 2)
        assert shown[-4:] == ["–"] * 4
        assert "–" not in shown[:-4]


def test_filtering_by_architecture_holds_for_all_tables(html, opened):
    page = opened(html)
    everything = page.locator("tr[data-architecture]").count()
    page.get_by_label("Architecture, in all tables").select_option("resnet14")
    shown = page.locator("tr[data-architecture]:visible")
    assert 0 < shown.count() < everything
    assert set(
        page.eval_on_selector_all(
            "tr[data-architecture]:not([hidden])", "rows => rows.map(r => r.dataset.architecture)"
        )
    ) == {"resnet14"}
    assert f"{shown.count()} of {everything}" in page.get_by_role("status").inner_text()
    assert page.locator("tfoot:visible").count() == 0
    page.get_by_label("Architecture, in all tables").select_option("all 3")
    assert page.locator("tr[data-architecture]:visible").count() == everything


def test_filtering_by_architecture_hides_columns_where_methods_are_rows(opened, sweep):
    made = type(sweep)()
    for architecture in ("resnet8", "resnet14"):
        made.seeds("baseline", 80.0, 81.0, 82.0, architecture=architecture)
        for temperature in range(1, 13):
            made.seeds("eed", 81.0, 82.0, 84.0, architecture=architecture, method__temperature=str(temperature))
    page = opened(made.report())

    def shown() -> list[str]:
        headings = page.locator("#table-0-main thead th:visible")
        return [text.split()[0] for text in headings.all_inner_texts()]

    assert shown() == ["method", "temperature", "resnet8", "resnet14", "all"]
    page.get_by_label("Architecture, in all tables").select_option("resnet14")
    assert shown() == ["method", "temperature", "resnet14"]
    assert page.locator("#table-0-main tbody tr").first.locator("td:visible").count() == 2
    page.get_by_label("Architecture, in all tables").select_option("all 2")
    assert len(shown()) == 5


def test_a_number_leads_to_its_trials_even_when_they_are_filtered_out(html, opened, sweep):
    page = opened(html)
    link = page.locator("#table-0-main tbody tr").nth(1).locator("td").nth(0).locator("a.number-link")
    assert link.inner_text().startswith("89.75")
    link.click()
    behind = [
        trial["key"]
        for trial in sweep.trials
        if (trial["method"], trial["architecture"], trial["role"]) == ("baseline", "resnet14", "result")
    ]
    assert page.eval_on_selector_all("tr.marked", "rows => rows.map(r => r.id)") == [f"trial-{key}" for key in behind]
    assert page.url.endswith(f"#trial-{behind[0]}")
    page.get_by_label("Architecture, in all tables").select_option("resnet14")
    page.evaluate("document.querySelector('#table-0-main tbody a[data-trials]').click()")
    assert page.locator("tr.marked:visible").count() == 3


def test_keyboard_alone_sorts_and_filters(html, opened):
    page = opened(html)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "architecture":
            break
    page.keyboard.type("resnet14")
    assert page.locator("#trials tbody tr:visible").count() == 18
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "BUTTON":
            break
    for key, direction in (("Enter", "ascending"), ("Space", "descending")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.closest('th').getAttribute('aria-sort')") == direction


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_page(html, opened, width, scheme):
    page = opened(html, width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    regions = page.locator(".scroll")
    assert regions.count() > 10
    for region in regions.all():
        assert region.get_attribute("tabindex") == "0"
        named = region.get_attribute("aria-labelledby")
        assert page.locator(f"[id='{named}']").count() == 1


def test_hidden_columns_are_named_until_they_are_scrolled_to(html, opened):
    page = opened(html, width=400)
    region = page.locator("#table-0-main .scroll")
    more = page.locator("#table-0-main .more")
    assert "more columns \u2192" in more.inner_text()
    region.evaluate("region => region.scrollTo(region.scrollWidth, 0)")
    page.wait_for_function("document.querySelector('#table-0-main .more').textContent.startsWith('\u2190')")
    assert "\u2192" not in more.inner_text()
    page.set_viewport_size({"width": 3000, "height": 900})
    more.wait_for(state="hidden")


def test_the_contents_stay_in_view_and_details_open_by_keyboard(html, opened):
    page = opened(html)
    page.get_by_role("link", name="Trials", exact=True).click()
    assert page.locator("nav").bounding_box()["y"] == 0
    assert page.locator("#trials").bounding_box()["y"] >= page.locator("nav").bounding_box()["height"]
    details = page.locator("figcaption details").first
    details.locator("summary").focus()
    page.keyboard.press("Enter")
    assert details.locator("p").is_visible()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_axe_finds_nothing(html, opened, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = opened(html, width=width, scheme=scheme)
    page.evaluate("document.querySelector('a.number-link').click()")  # highlighted rows have different colours
    found = axe.Axe().run(page)
    assert [(one["id"], one["nodes"][0]["html"]) for one in found.response["violations"]] == []
    assert len(found.response["passes"]) > 20


def test_structure(html, opened):
    page = opened(html)
    levels = page.eval_on_selector_all("h1, h2, h3, h4, h5, h6", "all => all.map(h => Number(h.tagName[1]))")
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for landmark in ("banner", "navigation", "main"):
        assert page.get_by_role(landmark).count() == 1
    images = page.locator("figure [role=img]")
    assert images.count() > 0
    for image in images.all():
        assert image.get_attribute("alt")
        assert image.evaluate(
            "image => image.complete && image.naturalWidth > 0 && image.offsetWidth == image.getAttribute('width')"
        )
    assert page.locator("figure figcaption").count() == images.count()
    ids = page.eval_on_selector_all("[id]", "all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))
    broken = page.eval_on_selector_all(
        "a[href^='#']", "all => all.filter(a => !document.getElementById(a.hash.slice(1)))"
    )
    assert broken == []


def test_hostile_texts_are_shown_and_do_nothing(hostile, opened, texts):
    page = opened(hostile)
    page.mouse.move(300, 500)
    for heading in page.locator("thead button").all():
        heading.dispatch_event("mouseover")
        heading.dispatch_event("click")
    for row in page.locator("tbody tr").all()[:5]:
        row.dispatch_event("mouseover")
    assert page.locator("script").count() == 1
    assert page.locator("iframe, object, embed, [onclick], [onmouseover], [onerror], [onload]").count() == 0
    assert page.locator("img:not([src^='data:image/svg+xml'])").count() == 0
    addresses = page.eval_on_selector_all("a", "all => all.map(a => a.getAttribute('href'))")
    assert all(address.startswith("#") for address in addresses)
    shown = page.evaluate("document.body.textContent")
    for name in ("method", "architecture", "error", "temperature", "run_id", "key", "reason", "commit"):
        assert texts[name] in shown
    assert page.locator("h1").inner_text() == texts["sweep"]
    assert "\x1b" not in hostile


def test_without_the_script_nothing_seems_to_be_pressed(html, browser, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(html, encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("button").count() == 0
    assert page.locator("select:visible").count() == 0
    assert page.locator("#table-0-main tbody tr:visible").count() == 2
    context.close()


def test_print_leaves_out_what_paper_cannot_do(html, opened):
    page = opened(html, scheme="dark")
    page.emulate_media(media="print")
    assert page.locator("nav:visible, select:visible").count() == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
