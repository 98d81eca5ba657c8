"""Make report.png: the head, the summary, one table and one figure of the quickstart's report.

exeunt sweep configs/quickstart.yaml
exeunt report quickstart
python docs/pictures/report.py runs/sweeps/quickstart/report.html
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).with_suffix(".png")
LEFT_OUT = """
nav, figcaption,
#summary h3:last-of-type, #summary h3:last-of-type ~ *,
#tables > section:not(#table-0-main), #tables > h3, #tables > ul, #tables > p, #table-0-main ~ *,
#figures > section:not(:has(#figure-1)) { display: none }
"""


def main() -> None:
    """Open the report in Chromium and save the picture."""
    report = Path(sys.argv[1]).resolve()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 800}, color_scheme="light", bypass_csp=True)
        page.goto(report.as_uri())
        page.add_style_tag(content=LEFT_OUT)
        end = page.locator("#failures").bounding_box()
        assert end is not None
        page.screenshot(path=PICTURE, full_page=True, clip={"x": 0, "y": 0, "width": 1200, "height": end["y"]})
        browser.close()


if __name__ == "__main__":
    main()
