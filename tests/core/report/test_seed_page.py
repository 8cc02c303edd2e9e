from __future__ import annotations

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.core.report.samples import EVIL, comparison, strip
from tests.core.report.test_verdict_page import Read
from visexplore.core.catalogue import Checkpoint, Family, Link, Paper, SeedEntry, load_catalogue
from visexplore.core.report.pages import markdown_text, relative_link, web_link
from visexplore.core.report.seed_page import DatasetStrips, Page, StripFile, seed_page_html, seed_page_markdown
from visexplore.core.report.strip import strip_name

FAMILIES = load_catalogue().families
LITE2 = load_catalogue().find("efficientnet-lite2")
PATH = f"output/groceries/{strip_name(LITE2)}"


def page(families: tuple[Family, ...] = FAMILIES, path: str = PATH, caption: str = "query pasta/0007.jpg") -> Page:
    found = StripFile(LITE2.slug, LITE2.hub_id, "2019-05", caption, path, strip("efficientnet-lite2"))
    return Page(families, [DatasetStrips("Groceries", "/photos/groceries", comparison(), [found])])


def evil_family() -> Family:
    links = (Link(label=EVIL, url="javascript:alert(1)", note=EVIL), Link(label="x", url='https://a.b/">(c)<d'))
    seed = SeedEntry(title=EVIL, section="main", date=EVIL, venue=EVIL, figure=EVIL, data=(EVIL,), remarks=(EVIL,))
    seed = replace(seed, models=links, papers=links)
    papers = (Paper(title=EVIL, venue=EVIL, url="data:text/html,x"),)
    checkpoints = (Checkpoint(id=EVIL, loader="timm"),)
    return Family(
        id="evil", name=EVIL, remark=EVIL, corrections=(EVIL,), papers=papers, code=("javascript:alert(1)",),
        seed=seed, checkpoints=checkpoints,
    )  # fmt: skip


def tokens(markdown: str) -> list[Token]:
    found = MarkdownIt("gfm-like", {"linkify": False}).parse(markdown)
    return [inner for token in found for inner in (token, *(token.children or ()))]


def shown(markdown: str) -> str:
    return Read(MarkdownIt("gfm-like", {"linkify": False}).render(markdown)).text


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.id)
def test_every_seed_field_of_every_family_is_on_both_pages(family: Family) -> None:
    seed = family.seed
    assert seed is not None
    html, markdown = seed_page_html(page((family,))), seed_page_markdown(page((family,)))
    words = [seed.title, seed.date, seed.venue, seed.figure, *seed.data, *seed.remarks]
    words += [word for link in (*seed.models, *seed.papers) for word in (link.label, link.note)]
    words += [family.first_public, family.venue, family.training_data, family.licence_weights, *family.corrections]
    for text in (Read(html).text, shown(markdown)):
        assert [word for word in words if word not in text] == []
    links = {link.url for link in (*seed.models, *seed.papers) if link.url}
    assert links <= set(Read(html).addresses)
    assert links <= {str(token.attrs.get("href", "")) for token in tokens(markdown)}


def test_the_headings_are_the_seed_document_s_in_its_order() -> None:
    found = tokens(seed_page_markdown(page()))
    headings = [(token.tag, found[n + 1].content) for n, token in enumerate(found) if token.type == "heading_open"]
    titles = [family.seed.title for family in FAMILIES if family.seed and family.seed.section == "main"]
    assert headings[0] == ("h1", "General pretrained visual models 2020-2022")
    assert headings[1 : len(titles) + 1] == [("h2", title) for title in titles]
    rest = headings[len(titles) + 1 :]
    assert rest[:3] == [
        ("h1", "Example queries from models"), ("h2", "Groceries"), ("h1", "other models to check"),
    ]  # fmt: skip
    assert rest[3:] == [
        ("h3", "ViLT VQA"), ("h3", "vit-gpt2"), ("h3", "DALL-E Decoder (dVAE image tokenizer)"), ("h2", "ImageNet"),
        ("h3", "CoCa"), ("h3", "DaViT"), ("h3", "Florence"), ("h3", "Efficient Net"),
    ]  # fmt: skip


def test_markdown_refers_to_the_strip_s_file_and_html_holds_it() -> None:
    images = [token for token in tokens(seed_page_markdown(page())) if token.type == "image"]
    assert [image.attrs["src"] for image in images] == [PATH]
    addresses = Read(seed_page_html(page())).addresses
    assert sum(address.startswith("data:image/jpeg") for address in addresses) == 1


def test_a_strip_s_caption_has_model_date_and_scores() -> None:
    for text in (Read(seed_page_html(page())).text, shown(seed_page_markdown(page()))):
        for word in ("efficientnet-lite2", "2019-05", "query pasta/0007.jpg", "Recall@1 0.870 (0.840 to 0.900)"):
            assert word in text
        assert "nan" not in text.split("Example queries")[1].split("other models")[0]


def test_without_a_comparison_there_are_no_scores() -> None:
    one = page()
    one = replace(one, datasets=[replace(one.datasets[0], comparison=None)])
    assert "Recall@1" not in seed_page_html(one) + seed_page_markdown(one)


def test_a_family_of_the_user_s_own_comes_last() -> None:
    mine = Family(id="mine", name="My own model", remark="Trained here.")
    for text in (
        Read(seed_page_html(page((*FAMILIES, mine)))).text,
        shown(seed_page_markdown(page((*FAMILIES, mine)))),
    ):
        assert text.rindex("My own model") > text.rindex("Efficient Net")


def test_hostile_texts_stay_texts_in_html() -> None:
    read = Read(seed_page_html(page((evil_family(),), caption=EVIL)))
    assert read.tags.count("script") == 1
    assert "img" in read.tags
    assert read.tags.count("img") == 1
    assert not [
        address for address in read.addresses if not address.startswith(("data:image/", "data:,", "https:", "#"))
    ]
    assert "<script>alert(1)</script>" in read.text


def test_hostile_texts_stay_texts_in_markdown() -> None:
    markdown = seed_page_markdown(page((evil_family(),), caption=EVIL))
    found = tokens(markdown)
    assert not [token.content for token in found if token.type.startswith(("html", "code", "table"))]
    assert sum(token.type == "image" for token in found) == 1
    links = {str(token.attrs["href"]) for token in found if token.type == "link_open"}
    assert links == {"https://a.b/%22%3E%28c%29%3Cd"}
    assert [token.tag for token in found if token.type == "heading_open"] == ["h1", "h2", "h1", "h2"]
    assert not set("\u202e\x1b") & set(markdown)
    assert "](javascript:alert(1))" in shown(markdown)


@pytest.mark.parametrize(
    "text", ["# a", "- a", "+ a", "1. a", "12) a", "> a", "===", "---", "a|b", "*a*", "_a_", "~~a~~", "`a`", "[a](b)",
             "![a](b)", "<b>", "&lt;", "\\*", "    a", "$a$", "```", "<https://a.b>", "| a |\n|---|", "0.87", "a_b_c"],
)  # fmt: skip
def test_markdown_shows_a_text_as_it_is(text: str) -> None:
    from visexplore.core.text import printable

    for before in ("", "- ", "## ", "**x:** "):
        assert shown(before + markdown_text(text)).strip().endswith(printable(text).strip())


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//a.b", "a.b", "", "https://", "http://[",
     "https://a.b/\nx", "https://a.b/ x", "JAVASCRIPT:alert(1)", "https://a.b/\u202e"],
)  # fmt: skip
def test_only_web_addresses_become_links(url: str) -> None:
    assert web_link(url) == ""


def test_web_addresses_become_links() -> None:
    assert web_link("https://arxiv.org/abs/2103.00020") == "https://arxiv.org/abs/2103.00020"
    assert web_link("http://a.b/c#d") == "http://a.b/c#d"


@pytest.mark.parametrize("path", ["/etc/x.jpg", "../x.jpg", "a/../../x.jpg", ""])
def test_strips_outside_the_page_s_folder_are_refused(path: str) -> None:
    for write in (seed_page_html, seed_page_markdown):
        with pytest.raises(ValueError, match="not below"):
            write(page(path=path))


def test_no_file_name_can_end_a_link_or_be_a_scheme() -> None:
    assert relative_link("javascript:alert(1).jpg") == "javascript%3Aalert%281%29.jpg"
    assert relative_link("a b/\udcff](x).jpg") == "a%20b/%FF%5D%28x%29.jpg"
