"""The pages in a real browser, where there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.core.report.samples import EVIL, MODELS, comparison, encoded, strip
from tests.core.report.test_seed_page import evil_family, page
from visexplore.core.catalogue import load_catalogue
from visexplore.core.report.seed_page import seed_page_html
from visexplore.core.report.verdict_page import Example, pictured, verdict_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

PROBE = """<!DOCTYPE html><body><iframe src="page.html"></iframe><pre></pre><script>
const frame = document.querySelector("iframe");
frame.width = WIDTH; frame.height = 900;
frame.onload = () => { setTimeout(() => {
  const inside = frame.contentDocument, view = frame.contentWindow;
  document.querySelector("pre").textContent = JSON.stringify({
    images: [...inside.images].map((image) => [image.complete, image.naturalWidth]),
    requests: view.performance.getEntriesByType("resource").map((entry) => entry.name)
      .filter((name) => !name.startsWith("data:")),
    overflow: inside.documentElement.scrollWidth - view.innerWidth,
    plots: [...inside.querySelectorAll("svg.plot")].filter((plot) => plot.getBoundingClientRect().width > 0).length,
    buttons: inside.querySelectorAll("th button").length,
    widened: [...inside.querySelectorAll("svg.plot")].filter((plot) => plot.getBoundingClientRect().width > 0)
      .flatMap((plot) => [...plot.querySelectorAll("text")])
      .filter((text) => text.getBBox().width > 0).length,
    styled: view.getComputedStyle(inside.body).maxWidth,
    firsts: (() => {
      const head = inside.querySelector("table.sortable th button");
      if (!head) return [];
      const first = () => inside.querySelector("table.sortable tbody th").textContent;
      const before = first(); head.click(); return [before, first()];
    })(),
  });
}, 300); };
</script></body>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    return found


def run(browser: str, home: Path, *arguments: str) -> tuple[str, str]:
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--hide-scrollbars",
         "--enable-logging=stderr", "--v=0", f"--user-data-dir={home / 'profile'}", *arguments],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr


def console(log: str) -> list[str]:
    return [line for line in log.splitlines() if "CONSOLE" in line]


def pages() -> dict[str, str]:
    small = encoded(Image.new("RGB", (80, 60), "red"), "PNG")
    examples = [Example(EVIL, EVIL, [(model, strip(model)) for model in MODELS[:2]])]
    pictures = dict.fromkeys(pictured(comparison()), small)
    families = (*load_catalogue().families, evil_family())
    return {
        "verdict": verdict_page(comparison(), examples, pictures=pictures),
        "seed": seed_page_html(page(families, caption=EVIL)),
    }


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("name", ["verdict", "seed"])
def test_a_browser_shows_the_page_whole_and_asks_for_nothing(
    browser: str, tmp_path: Path, name: str, width: int
) -> None:
    (tmp_path / "page.html").write_text(pages()[name], "utf-8")
    (tmp_path / "probe.html").write_text(PROBE.replace("WIDTH", str(width)), "utf-8")
    dom, log = run(browser, tmp_path, "--virtual-time-budget=8000", "--dump-dom", (tmp_path / "probe.html").as_uri())
    found = re.search(r"<pre>(.+?)</pre>", dom, re.DOTALL)
    assert found, "the page was not loaded"
    facts = json.loads(found[1].replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))
    assert facts["images"]
    assert all(complete and natural > 0 for complete, natural in facts["images"])
    assert facts["requests"] == []
    assert facts["overflow"] <= 0, "tables scroll, the page does not"
    assert facts["styled"] == "1240px", "the policy lets the style in"
    assert console(log) == []
    if name == "verdict":
        assert facts["plots"] == 2
        assert facts["buttons"] > 20
        before, after = facts["firsts"]
        assert after > before, "the script runs: the first click sorts names downwards"


@pytest.mark.slow
def test_a_screenshot_is_not_blank(browser: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(pages()["verdict"], "utf-8")
    shot = tmp_path / "shot.png"
    run(browser, tmp_path, "--window-size=1400,1600", f"--screenshot={shot}", (tmp_path / "page.html").as_uri())
    with Image.open(shot) as image:
        assert image.size == (1400, 1600)
        assert len(image.convert("RGB").getcolors(1 << 24) or ()) > 100


@pytest.mark.slow
def test_what_a_page_asks_for_outside_is_noticed(browser: str, tmp_path: Path) -> None:
    spoilt = pages()["verdict"].replace("</header>", '<img src="http://127.0.0.1:9/x.png"></header>')
    (tmp_path / "page.html").write_text(spoilt, "utf-8")
    _, log = run(browser, tmp_path, "--virtual-time-budget=3000", "--dump-dom", (tmp_path / "page.html").as_uri())
    assert "Content Security Policy" in " ".join(console(log))
