"""The decks: what each must hold, and each slide opened in a real browser from the file system.

The decks are built once, with their figures; without node, npm or a browser the tests fail and say what to install.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest
from helpers import ROOT, assert_one_line
from playwright.sync_api import sync_playwright

sys.path.extend([str(ROOT / "tools"), str(ROOT / "slides")])
from browser import HELP, browser_path, is_root

import slides
from drawings import drawings_of

DECKS = slides.deck_paths()
KEYS = ("marp", "theme", "math", "paginate", "lang", "title", "footer")
NOTES = re.compile(r"<!--\n(Minutes: .*?)-->", flags=re.DOTALL)
PICTURE = re.compile(r"^!\[(.*)\]\(figures/(.+)\.svg\)$", flags=re.MULTILINE)
LEAST_PICTURE = 240  # pixels of a slide's 720: less cannot be read from the back row

each_deck = pytest.mark.parametrize("deck", DECKS, ids=[deck.stem for deck in DECKS])


def parts(deck) -> tuple[str, list[str]]:
    """The front matter and the slides of a deck."""
    _, front, body = deck.read_text(encoding="utf-8").split("---\n", 2)
    return front, re.split(r"^---$", body, flags=re.MULTILINE)


def shown(slide: str) -> str:
    """A slide without its comments."""
    return re.sub(r"<!--.*?-->", "", slide, flags=re.DOTALL)


# ------------------------------------------------------------------------------------- the text


@each_deck
def test_a_deck_belongs_to_its_notebook(deck):
    assert (ROOT / "notebooks" / f"{deck.stem}.ipynb").exists()
    front, pages = parts(deck)
    values = dict(line.split(": ", 1) for line in front.splitlines())
    assert tuple(values) == KEYS
    fixed = {"marp": "true", "theme": "workshop", "math": "mathjax", "paginate": "true", "lang": "en"}
    assert fixed.items() <= values.items()
    assert values["footer"] == f"BERT workshop · {deck.name[:2]} {values['title']}"
    assert 8 <= len(pages) <= 20
    assert f"# {values['title']}\n" in pages[0] and "_class: lead" in pages[0]
    assert f"## Now open notebook {deck.name[:2]}" in pages[-1]
    assert "_class: questions" in pages[-2] and len(re.findall(r"^\d\. ", pages[-2], flags=re.MULTILINE)) == 3


@each_deck
def test_every_slide_has_one_heading_notes_and_little_text(deck):
    for number, slide in enumerate(parts(deck)[1], 1):
        where = f"{deck.name}, slide {number}"
        code = re.findall(r"^```\w+\n(.*?)^```", slide, flags=re.MULTILINE | re.DOTALL)
        text = re.sub(r"^```.*?^```", "", shown(slide), flags=re.MULTILINE | re.DOTALL)
        headings = re.findall(r"^(#+) \S", text, flags=re.MULTILINE)
        assert headings == ["#" if number == 1 else "##"], where
        words = re.sub(r"\$\$.*?\$\$|\$[^$]+\$", " x ", PICTURE.sub("", text), flags=re.DOTALL)
        assert len(re.findall(r"\w[\w'’-]*", words)) <= 55, f"{where}: too many words"
        assert sum(len(block.splitlines()) for block in code) <= 12, f"{where}: too many lines of code"
        notes = NOTES.search(slide)
        assert notes and slide.rstrip().endswith("-->"), f"{where}: the notes must end the slide"
        assert re.match(r"Minutes: \d+\.\n", notes[1]), where
        assert "Ask:" not in notes[1] or "(expected answer:" in notes[1], where


@each_deck
def test_a_third_of_the_slides_ask_the_class(deck):
    pages = parts(deck)[1]
    assert sum("\nAsk: " in page for page in pages) >= len(pages) / 3


@each_deck
def test_every_picture_has_alt_text_and_a_drawing_and_every_drawing_is_used(deck):
    text = shown("\n".join(parts(deck)[1]))
    pictures = PICTURE.findall(text)
    assert len(pictures) == text.count("!["), "a picture stands alone on its line, from figures/, as .svg"
    for alt, name in pictures:
        assert len(alt.split()) >= 6, f"{name}: the alt text must tell what is seen"
    assert {name for _, name in pictures} == set(drawings_of(deck.name[:2]))


@each_deck
def test_a_deck_names_no_address_to_fetch_from(deck):
    assert not re.search(r"src=|url\(|@import", deck.read_text(encoding="utf-8"))
    assert not re.search(r"url\(|@import", (ROOT / "slides" / "workshop.css").read_text(encoding="utf-8"))


def test_the_pinned_packages_name_no_registry():
    lock = (ROOT / "slides" / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock and lock.count('"integrity"') > 100


# ------------------------------------------------------------------------------ in the browser

MEASURE = """
() => [...document.querySelectorAll('svg[data-marpit-svg] section')].map(slide => {
  const frame = slide.getBoundingClientRect(), scale = frame.width / 1280;
  const footer = slide.querySelector('footer').getBoundingClientRect();
  const inside = [...slide.querySelectorAll(':scope *:not(footer)')].filter(part => !part.closest('mjx-container svg, mjx-assistive-mml'));
  const text = [...inside].filter(part => !part.closest('pre, code')).flatMap(part =>
    [...part.childNodes].filter(node => node.nodeType === 3).map(node => node.data)).join(' ');
  return {
    overflow: inside.filter(part => {
      const box = part.getBoundingClientRect();
      return box.left < frame.left || box.top < frame.top || box.right > frame.right || box.bottom > footer.top;
    }).map(part => part.tagName + ' ' + part.textContent.slice(0, 40)),
    cut: [slide, ...slide.querySelectorAll('pre, code, table, p, li')].filter(part => getComputedStyle(part).display !== 'inline'
      && (part.scrollWidth > part.clientWidth + 1 || part.scrollHeight > part.clientHeight + 1)).map(part => part.tagName + ' ' + part.textContent.slice(0, 40)),
    pictures: [...slide.querySelectorAll('img')].map(img =>
      ({source: img.getAttribute('src'), alt: img.alt, width: img.naturalWidth, height: img.getBoundingClientRect().height / scale})),
    formulas: slide.querySelectorAll('mjx-container').length,
    broken: slide.querySelectorAll('[data-mml-node=merror], mjx-merror').length,
    raw: (text.match(/[$]|\\\\[a-zA-Z]+/g) || []),
  };
})
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with every deck as HTML, built as `make slides` does."""
    folder = tmp_path_factory.mktemp("slides")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BERT_WORKSHOP_")}
    command = [sys.executable, ROOT / "tools" / "slides.py", "--html-only", "--output", folder]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def browser():
    path = browser_path()
    if path is None:
        pytest.fail(HELP)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if is_root() else [])
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page that reaches only files; it keeps what it asked for elsewhere and what went wrong."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.asked, page.errors = [], []

    def only_files(route):
        if route.request.url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            page.asked.append(route.request.url)
            route.abort()

    page.route("**/*", only_files)
    page.on(
        "request",
        lambda request: (
            page.asked.append(request.url)
            if "://" in request.url and not request.url.startswith("file:")
            else None
        ),
    )
    page.on("console", lambda line: page.errors.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    page.close()


@each_deck
def test_every_slide_shows_all_it_has_without_a_network(deck, built, page):
    pages = parts(deck)[1]
    page.goto((built / f"{deck.stem}.html").as_uri())
    page.wait_for_function("() => [...document.images].every(image => image.complete)")
    measured = page.evaluate(MEASURE)
    assert len(measured) == len(pages)
    for number, (slide, found) in enumerate(zip(pages, measured, strict=True), 1):
        where = f"{deck.name}, slide {number}"
        assert found["overflow"] == [] and found["cut"] == [], f"{where} has too much on it"
        assert len(found["pictures"]) == len(PICTURE.findall(shown(slide))), where
        for picture in found["pictures"]:
            assert picture["alt"] and picture["width"] > 0, f"{where}: {picture['source']}"
            assert picture["height"] >= LEAST_PICTURE, f"{where}: too little room for the picture"
        prose = re.sub(r"^```.*?^```|`[^`]*`", "", shown(slide), flags=re.MULTILINE | re.DOTALL)
        assert found["formulas"] == len(re.findall(r"\$\$.+?\$\$|\$[^$\n]+\$", prose, flags=re.DOTALL)), where
        assert found["broken"] == 0 and found["raw"] == [], f"{where}: a formula is not rendered"
    assert page.errors == []
    assert page.asked == []


def test_keys_turn_the_slides_and_the_notes_open(built, page):
    deck = DECKS[0]
    page.goto((built / f"{deck.stem}.html").as_uri())
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.hash === '#2'")
    with page.expect_popup() as opened:
        page.keyboard.press("p")
    opened.value.wait_for_selector("text=Minutes:")
    assert page.errors == [] and page.asked == []


def test_the_index_links_every_deck(built, page):
    page.goto((built / "index.html").as_uri())
    links = page.eval_on_selector_all("a", "links => links.map(link => link.getAttribute('href'))")
    assert links == [f"{deck.stem}.html" for deck in DECKS]
    assert page.locator("tr").count() == len(DECKS) + 1
    assert page.asked == []


# ---------------------------------------------------------------------------- what goes wrong


def test_an_unknown_deck_is_one_line(capsys, tmp_path):
    assert slides.main(["77", "--output", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "77" in error and DECKS[0].name[:2] in error


@pytest.mark.parametrize(("program", "package"), [("node", "nodejs"), ("npm", "npm")])
def test_what_is_missing_is_named_with_debians_package(program, package, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == program else f"/usr/bin/{name}")
    with pytest.raises(slides.SlidesError) as error:
        slides.find_marp()
    assert_one_line(error, program, f"apt-get install {package}")


def test_without_a_browser_there_is_html_only(monkeypatch):
    monkeypatch.setattr(slides, "browser_path", lambda: None)
    with pytest.raises(slides.SlidesError) as error:
        slides.find_browser()
    assert_one_line(error, "apt-get install chromium", "--html-only")
