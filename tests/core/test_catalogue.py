from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visexplore.core.catalogue import (
    DEFAULT_MODEL,
    LIBRARIES,
    OUTSIDE,
    POOLINGS,
    Catalogue,
    Checkpoint,
    Family,
    WeightsStatus,
    as_json,
    bundled_text,
    load_catalogue,
    runs_here,
    weights_status,
)
from visexplore.core.catalogue_file import add_file
from visexplore.core.errors import CatalogueError, UnknownModel

CATALOGUE = load_catalogue()
SEED = Path(__file__).parents[2] / ".." / "shared" / "seed.md"

SEED_ORDER = """OpenAI CLIP|Google ViT|Facebook ConvNeXt|Microsoft BEiT|Microsoft Swin v2|Google MaxViT
Facebook FLAVA|Facebook DeiT|EVA|Stable Diffusion|Google ALIGN|InternImage; M3I|Google SimVLM
ViLT VQA|vit-gpt2|DALL-E Decoder (dVAE image tokenizer)|CoCa|DaViT|Florence|Efficient Net"""


def slugs(families: Iterable[Family]) -> list[str]:
    return [c.slug for family in families for c in family.checkpoints]


def user_file(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


def complaint(folder: Path, text: str) -> CatalogueError:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(user_file(folder, text))
    return caught.value


def seed_text() -> str:
    if not SEED.exists():
        pytest.skip("the seed document is not beside this checkout")
    return SEED.read_text("utf-8")


# --- what the bundled file holds ----------------------------------------------------------------------------


def test_the_bundled_file_passes_every_check_of_a_users_file() -> None:
    assert add_file(Catalogue(()), "the bundled catalogue", bundled_text()) == CATALOGUE


def test_reading_it_imports_no_slow_library(tmp_path: Path) -> None:
    # The catalogue is read before the first paint.
    program = (
        "import pathlib, sys; from visexplore.core.catalogue import load_catalogue\n"
        f"load_catalogue(pathlib.Path({str(tmp_path / 'absent.toml')!r}))\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert {"visexplore", "tomllib"} <= set(loaded.split())
    assert not {"pydantic", "pydantic_core", "numpy", "textual", "rich"} & set(loaded.split())


def test_every_system_of_the_seed_document_is_there_in_its_order() -> None:
    titles = [family.seed.title for family in CATALOGUE.families if family.seed]
    assert titles == re.split(r"[|\n]", SEED_ORDER)


def test_every_heading_of_the_seed_document_is_a_title() -> None:
    systems = seed_text().split("# Example queries")[0]
    headings = [heading.strip("* ") for heading in re.findall(r"^(.+)\n-{3,}$", systems, re.MULTILINE)]
    assert headings == [f.seed.title for f in CATALOGUE.families if f.seed and f.seed.section == "main"]


def test_every_link_of_the_seed_document_is_there() -> None:
    links = {link.url for f in CATALOGUE.families if f.seed for link in (*f.seed.models, *f.seed.papers)}
    assert set(re.findall(r"https?://[^\s)\]]+", seed_text())) <= links


def test_every_link_stands_at_the_system_that_the_seed_document_gives_it() -> None:
    systems = seed_text().split("# Example queries")[0]
    _, *parts = re.split(r"^(.+)\n-{3,}$", systems, flags=re.MULTILINE)
    links_at = {
        heading.strip("* "): set(re.findall(r"https?://[^\s)\]]+", body))
        for heading, body in zip(parts[::2], parts[1::2], strict=True)
    }
    main = [family.seed for family in CATALOGUE.families if family.seed and family.seed.section == "main"]
    assert {s.title: {link.url for link in (*s.models, *s.papers)} - {""} for s in main} == links_at


def test_every_date_venue_and_remark_of_the_seed_document_is_word_for_word() -> None:
    text = seed_text().replace("*", "").replace("_", "")
    for family in CATALOGUE.families:
        assert family.seed
        for words in (family.seed.date, family.seed.venue, family.seed.figure, *family.seed.remarks):
            assert words.replace("_", "") in text


def test_every_checkpoint_named_by_the_seed_document_is_there() -> None:
    names = set(re.findall(r"output/.*/(.+)_query\.jpg", seed_text()))
    known = {(c.seed_name or c.id).replace("/", "_") for c in CATALOGUE.checkpoints if c.seed_named}
    assert names == known


def test_72_checkpoints_are_listed() -> None:
    assert len(CATALOGUE.checkpoints) == 72


def test_every_checkpoint_states_what_the_table_of_models_shows() -> None:
    for c in CATALOGUE.checkpoints:
        assert all((c.dim, c.input_size, c.parameters_m, c.weights_mb, c.licence, c.pooling, c.training_data)), c.slug


def test_every_checkpoint_knows_its_family() -> None:
    assert all(c.family == family.id for family in CATALOGUE.families for c in family.checkpoints)


def test_a_text_tower_comes_with_a_text_dimension() -> None:
    assert all(c.has_text_tower == (c.text_dim is not None) for c in CATALOGUE.checkpoints)


def test_a_family_without_checkpoints_says_why_and_what_stands_in_for_it() -> None:
    empty = [family for family in CATALOGUE.families if not family.checkpoints]
    assert [family.id for family in empty] == ["simvlm"]
    assert empty[0].unreleased
    assert CATALOGUE.find(empty[0].nearest).family == "coca"


def test_m3i_is_stood_in_for_by_internimage_h() -> None:
    family = CATALOGUE.family("internimage")
    assert "M3I" in family.unreleased_part
    assert CATALOGUE.find(family.nearest).slug == "internimage-h"


@pytest.mark.parametrize("family", ["align", "florence", "coca"])
def test_what_was_never_released_is_told(family: str) -> None:
    assert CATALOGUE.family(family).unreleased_part


def test_the_default_model_is_bundled() -> None:
    assert weights_status(CATALOGUE.find(DEFAULT_MODEL), Path("/nowhere")) is WeightsStatus.BUNDLED


@pytest.mark.slow
def test_timm_knows_its_checkpoints_with_the_same_preprocessing() -> None:
    timm = pytest.importorskip("timm")
    for c in CATALOGUE.checkpoints:
        if c.loader == "timm":
            cfg = timm.get_pretrained_cfg(c.id)
            assert cfg is not None, c.id
            theirs = (cfg.mean, cfg.std, cfg.interpolation, cfg.crop_pct)
            assert theirs == (c.mean, c.std, c.interpolation, c.crop_pct), c.id
            assert cfg.input_size[1] == c.input_size


# --- finding ------------------------------------------------------------------------------------------------


@given(st.sampled_from(CATALOGUE.checkpoints), st.data())
def test_every_name_finds_its_checkpoint_whatever_its_case(checkpoint: Checkpoint, data: st.DataObject) -> None:
    names = (checkpoint.slug, checkpoint.id, checkpoint.key)
    name = data.draw(st.sampled_from(names))
    upper = data.draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    spelt = "".join(c.upper() if up else c for c, up in zip(name, upper, strict=True))
    assert CATALOGUE.find(spelt) is checkpoint
    assert CATALOGUE.resolve(spelt) is checkpoint


@given(st.sampled_from([c for c in CATALOGUE.checkpoints if not c.subfolder]))
def test_every_hub_id_finds_its_checkpoint(checkpoint: Checkpoint) -> None:
    assert CATALOGUE.find(checkpoint.hub_id.upper()) is checkpoint
    assert CATALOGUE.resolve(f"hf:{checkpoint.hub_id}") is checkpoint


def test_a_name_of_the_seed_document_finds_the_checkpoint_of_today() -> None:
    found = CATALOGUE.find("beitv2_large_patch16_224_in22k")
    assert found.id == "beitv2_large_patch16_224.in1k_ft_in22k"


def test_an_ambiguous_name_lists_the_candidates() -> None:
    with pytest.raises(UnknownModel, match="sd15-vae or sd15-unet"):
        CATALOGUE.find("stable-diffusion-v1-5/stable-diffusion-v1-5")


def test_an_unknown_name_gets_close_names_and_the_way_to_all() -> None:
    with pytest.raises(UnknownModel) as caught:
        CATALOGUE.find("clip-b32")
    assert "clip-vit-b32" in caught.value.message
    assert caught.value.hint == "`visexplore models` lists them."


def test_a_name_like_no_other_gets_no_suggestion() -> None:
    with pytest.raises(UnknownModel) as caught:
        CATALOGUE.find("???")
    assert caught.value.message == "No model is called '???'"


def test_an_unknown_family_gets_close_ids() -> None:
    with pytest.raises(UnknownModel, match="convnext"):
        CATALOGUE.family("convnet")


@given(st.text(max_size=40))
def test_any_name_is_resolved_or_refused_in_words(name: str) -> None:
    try:
        answer = CATALOGUE.resolve(name).slug
    except UnknownModel as error:
        answer = str(error)
    assert answer.isprintable()


# --- ids outside the catalogue ------------------------------------------------------------------------------


def test_an_id_of_the_catalogue_wins_over_an_outside_one() -> None:
    assert CATALOGUE.resolve("timm:tf_efficientnet_lite0.in1k").family == "efficientnet"


@pytest.mark.parametrize(
    ("name", "loader", "inner", "hub_id"),
    [
        ("timm:resnet50.a1_in1k", "timm", "resnet50.a1_in1k", "timm/resnet50.a1_in1k"),
        ("hf:facebook/dinov2-base", "transformers", "facebook/dinov2-base", "facebook/dinov2-base"),
        ("hf:timm/resnet50.a1_in1k", "timm", "resnet50.a1_in1k", "timm/resnet50.a1_in1k"),
        ("open_clip:ViT-B-16/laion2b_s34b_b88k", "open_clip", "ViT-B-16/laion2b_s34b_b88k", ""),
    ],
)
def test_an_id_outside_the_catalogue_becomes_a_checkpoint(name: str, loader: str, inner: str, hub_id: str) -> None:
    found = CATALOGUE.resolve(name)
    assert (found.loader, found.id, found.hub_id) == (loader, inner, hub_id)
    assert (found.family, found.dim) == (OUTSIDE, None)


@pytest.mark.parametrize("name", ["timm:", "timm:a b", "hf:a/b/c", "hf:", "open_clip:ViT-B-16", "timm:../x"])
def test_a_malformed_id_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        CATALOGUE.resolve(name)
    assert "look like" in caught.value.hint


@pytest.mark.parametrize(
    ("config", "loader"),
    [
        ({"architecture": "resnet18"}, "timm"),
        ({"model_type": "vit"}, "transformers"),
        ({"model_type": "internimage"}, "internimage"),
        ({"_class_name": "AutoencoderKL"}, "diffusers"),
    ],
)
def test_a_local_folder_is_a_checkpoint_of_the_library_that_wrote_it(
    tmp_path: Path, config: dict[str, str], loader: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = CATALOGUE.resolve(str(tmp_path))
    assert (found.loader, found.folder, found.hub_id) == (loader, str(tmp_path.resolve()), "")


@pytest.mark.parametrize(
    ("file", "loader"), [("open_clip_config.json", "open_clip"), ("model_index.json", "diffusers")]
)
def test_a_local_folder_may_be_told_by_a_file_of_its_library(tmp_path: Path, file: str, loader: str) -> None:
    (tmp_path / file).write_text("{}")
    assert CATALOGUE.resolve(str(tmp_path)).loader == loader


def test_a_name_too_long_for_a_path_is_unknown() -> None:
    with pytest.raises(UnknownModel):
        CATALOGUE.resolve("x" * 5000)


@pytest.mark.parametrize("config", [None, "{", "[]", "{}"])
def test_a_folder_of_no_known_library_is_refused(tmp_path: Path, config: str | None) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(UnknownModel, match=r"config\.json"):
        CATALOGUE.resolve(str(tmp_path))


def test_a_path_where_nothing_is_is_told_as_a_path() -> None:
    with pytest.raises(UnknownModel, match=r"No folder is at '\./nothing-here'"):
        CATALOGUE.resolve("./nothing-here")


# --- where the weights are ----------------------------------------------------------------------------------


def snapshot(cache: Path, hub_id: str) -> Path:
    folder = cache / f"models--{hub_id.replace('/', '--')}" / "snapshots" / "0123abc"
    folder.mkdir(parents=True)
    return folder


def test_weights_not_in_the_cache_are_to_download(tmp_path: Path) -> None:
    assert weights_status(CATALOGUE.find("clip-vit-b32"), tmp_path) is WeightsStatus.TO_DOWNLOAD


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_weights_in_the_cache_are_on_disk(tmp_path: Path, file: str) -> None:
    (snapshot(tmp_path, "openai/clip-vit-base-patch32") / file).touch()
    assert weights_status(CATALOGUE.find("clip-vit-b32"), tmp_path) is WeightsStatus.ON_DISK


def test_a_cached_configuration_alone_is_no_weights(tmp_path: Path) -> None:
    (snapshot(tmp_path, "openai/clip-vit-base-patch32") / "config.json").touch()
    assert weights_status(CATALOGUE.find("clip-vit-b32"), tmp_path) is WeightsStatus.TO_DOWNLOAD


def test_an_interrupted_download_is_no_weights(tmp_path: Path) -> None:
    folder = snapshot(tmp_path, "openai/clip-vit-base-patch32")
    (folder / "model.safetensors").symlink_to(tmp_path / "missing-blob")
    assert weights_status(CATALOGUE.find("clip-vit-b32"), tmp_path) is WeightsStatus.TO_DOWNLOAD


def test_weights_in_a_subfolder_count_for_that_checkpoint_only(tmp_path: Path) -> None:
    vae, unet = CATALOGUE.find("sd15-vae"), CATALOGUE.find("sd15-unet")
    folder = snapshot(tmp_path, vae.hub_id) / "vae"
    folder.mkdir()
    (folder / "diffusion_pytorch_model.safetensors").touch()
    found = [weights_status(c, tmp_path) for c in (vae, unet)]
    assert found == [WeightsStatus.ON_DISK, WeightsStatus.TO_DOWNLOAD]


@pytest.mark.parametrize(
    ("variable", "inside"), [("HF_HUB_CACHE", "."), ("HF_HOME", "hub"), ("XDG_CACHE_HOME", "huggingface/hub")]
)
def test_the_cache_is_where_hugging_face_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, inside: str
) -> None:
    for other in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    (snapshot(tmp_path / inside, "openai/clip-vit-base-patch32") / "model.safetensors").touch()
    assert weights_status(CATALOGUE.find("clip-vit-b32")) is WeightsStatus.ON_DISK


def test_a_local_folder_with_weights_is_on_disk(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architecture": "resnet18"}')
    (tmp_path / "model.safetensors").touch()
    assert weights_status(CATALOGUE.resolve(str(tmp_path))) is WeightsStatus.ON_DISK


def test_an_unreleased_checkpoint_is_told_as_such(tmp_path: Path) -> None:
    file = user_file(tmp_path, '[[family]]\nid="m"\n[[family.checkpoint]]\nid="x"\nloader="timm"\nunreleased="private"')
    assert weights_status(load_catalogue(file).find("x")) is WeightsStatus.UNRELEASED


def test_a_bundled_checkpoint_runs_here(tmp_path: Path) -> None:
    assert runs_here(CATALOGUE.find(DEFAULT_MODEL), hub_cache=tmp_path)


def test_a_checkpoint_without_weights_does_not_run_here(tmp_path: Path) -> None:
    assert not runs_here(CATALOGUE.find("davit-tiny"), hub_cache=tmp_path)


def test_a_checkpoint_whose_library_is_missing_does_not_run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (snapshot(tmp_path, "openai/clip-vit-base-patch32") / "model.safetensors").touch()
    clip = CATALOGUE.find("clip-vit-b32")
    assert runs_here(clip, hub_cache=tmp_path)
    monkeypatch.setitem(LIBRARIES, "transformers", "no_such_library")
    assert not runs_here(clip, hub_cache=tmp_path)


def test_weights_in_parts_are_on_disk_once_all_parts_are(tmp_path: Path) -> None:
    folder = snapshot(tmp_path, "openai/clip-vit-base-patch32")
    parts = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    (folder / parts["a"]).touch()
    clip = CATALOGUE.find("clip-vit-b32")
    assert weights_status(clip, tmp_path) is WeightsStatus.TO_DOWNLOAD
    (folder / parts["b"]).touch()
    assert weights_status(clip, tmp_path) is WeightsStatus.ON_DISK


# --- other poolings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["clip-vit-b32", "openai/clip-vit-base-patch32", "hf:openai/clip-vit-base-patch32"])
def test_a_pooling_can_be_chosen_behind_any_name(name: str) -> None:
    found = CATALOGUE.resolve(f"{name}@mean")
    assert (found.slug, found.pooling_choice, found.dim) == ("clip-vit-b32@mean", "mean", None)
    assert found.weights == CATALOGUE.resolve(name).weights


def test_only_the_shared_space_can_be_searched_by_text() -> None:
    assert CATALOGUE.resolve("clip-vit-b32@projected").has_text_tower
    assert not CATALOGUE.resolve("clip-vit-b32@cls").has_text_tower


def test_an_unknown_pooling_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownModel, match="no pooling 'max'") as caught:
        CATALOGUE.resolve("clip-vit-b32@max")
    assert "cls+mean" in caught.value.hint


@pytest.mark.parametrize("choice", ["", *POOLINGS])
def test_a_key_leads_back_to_its_checkpoint(tmp_path: Path, choice: str) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    (tmp_path / "weights.safetensors").touch()
    suffix = f"@{choice}" if choice else ""
    for name in (
        DEFAULT_MODEL,
        "hf:facebook/dinov2-base",
        "timm:resnet18.a1_in1k",
        "open_clip:ViT-B-16/laion2b_s34b_b88k",
        str(tmp_path),
        f"timm:test_vit:{tmp_path}/weights.safetensors",
    ):
        found = CATALOGUE.resolve(f"{name}{suffix}")
        assert CATALOGUE.resolve(found.key) == found


@pytest.mark.parametrize("file", ["/none.safetensors", "~nobody-has-this-name/a.safetensors", "x" * 5000])
def test_a_weights_file_has_to_be_there(file: str) -> None:
    with pytest.raises(UnknownModel, match="There is no file"):
        CATALOGUE.resolve(f"timm:test_vit:{file}")


# --- filtering ----------------------------------------------------------------------------------------------


def test_no_filter_keeps_everything() -> None:
    assert tuple(CATALOGUE.filter()) == CATALOGUE.families


def test_every_word_of_the_text_has_to_occur() -> None:
    assert slugs(CATALOGUE.filter("Microsoft beitv2 L16")) == ["beitv2-l16-in22k", "beitv2-l16-in1k"]


def test_the_text_is_looked_for_in_titles_of_papers() -> None:
    assert [f.id for f in CATALOGUE.filter("worth 16x16 words")] == ["vit"]


def test_a_family_without_checkpoints_is_found_by_text() -> None:
    assert [f.id for f in CATALOGUE.filter("simvlm")] == ["simvlm"]


def test_a_text_that_occurs_nowhere_leaves_nothing() -> None:
    assert CATALOGUE.filter("no such words") == []


def test_an_organisation_is_matched_by_a_part_of_its_name() -> None:
    found = [f.id for f in CATALOGUE.filter(organisation="facebook")]
    assert found == ["convnext", "flava", "deit"]


def test_a_year_is_that_of_the_first_publication() -> None:
    assert [f.id for f in CATALOGUE.filter(year=2020)] == ["vit", "deit"]


def test_a_family_is_named_by_its_id() -> None:
    assert [f.id for f in CATALOGUE.filter(family="ViT")] == ["vit"]


def test_a_loader_leaves_only_its_checkpoints_and_their_families() -> None:
    found = CATALOGUE.filter(loader="open_clip")
    assert [f.id for f in found] == ["clip", "eva", "coca"]
    assert {c.loader for f in found for c in f.checkpoints} == {"open_clip"}


def test_a_modality_and_a_licence_are_matched_by_a_part() -> None:
    assert slugs(CATALOGUE.filter(modality="TEXT", licence="bsd")) == ["flava"]


def test_what_runs_here_is_asked_of_every_checkpoint() -> None:
    found = CATALOGUE.filter("lite", runs_here=lambda c: c.package is not None)
    assert slugs(found) == ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]


def test_a_filter_of_checkpoints_drops_families_without_any() -> None:
    assert CATALOGUE.filter("simvlm", runs_here=lambda _: True) == []


@given(st.lists(st.sampled_from(["vit", "clip", "large", "google", "in1k", "contrastive"]), max_size=3))
def test_one_more_word_never_finds_more(words: list[str]) -> None:
    fewer = slugs(CATALOGUE.filter(" ".join(words)))
    assert set(fewer) <= set(slugs(CATALOGUE.filter(" ".join(words[:-1]))))


# --- JSON ---------------------------------------------------------------------------------------------------


def test_the_json_starts_with_the_promised_keys() -> None:
    document = as_json(CATALOGUE.families, weights_status)
    family = document["families"][0]
    of_family = "id name organisation first_public venue seed training_data papers code remark"
    of_checkpoint = "id slug loader dim input_size parameters_m weights_mb modality licence pooling status"
    assert list(family)[:13] == [*of_family.split(), "weights_then", "weights_now", "checkpoints"]
    assert list(family["checkpoints"][0])[:11] == of_checkpoint.split()


def test_the_json_can_be_written_and_read_back() -> None:
    document = as_json(CATALOGUE.families, lambda _: "to download")
    assert json.loads(json.dumps(document)) == document


def test_the_json_gives_each_paper_its_address() -> None:
    paper = as_json(CATALOGUE.filter(family="clip"), weights_status)["families"][0]["papers"][0]
    assert paper["url"] == "https://arxiv.org/abs/2103.00020"


def test_the_json_shows_the_status_that_was_asked_for() -> None:
    found = as_json(CATALOGUE.filter("efficientnet-lite0"), lambda _: WeightsStatus.BUNDLED)
    assert found["families"][0]["checkpoints"][0]["status"] == "bundled"


# --- the user's own file ------------------------------------------------------------------------------------

SHORT = '[[family]]\nid = "mine"\n\n[[family.checkpoint]]\nid = "resnet50.a1_in1k"\nloader = "timm"\n'


def test_a_file_that_does_not_exist_adds_nothing(tmp_path: Path) -> None:
    assert load_catalogue(tmp_path / "absent.toml").families == CATALOGUE.families


def test_a_short_entry_gets_good_defaults(tmp_path: Path) -> None:
    found = load_catalogue(user_file(tmp_path, SHORT)).find("resnet50-a1-in1k")
    assert (found.family, found.hub_id, found.modality) == ("mine", "timm/resnet50.a1_in1k", "image")


def test_a_family_of_the_user_comes_last(tmp_path: Path) -> None:
    last = load_catalogue(user_file(tmp_path, SHORT)).families[-1]
    assert (last.id, last.name, last.year) == ("mine", "mine", None)


def test_checkpoints_are_added_to_a_known_family_by_its_id(tmp_path: Path) -> None:
    text = '[[family]]\nid = "vit"\n[[family.checkpoint]]\nid = "me/vit"\nloader = "transformers"'
    before, after = CATALOGUE.family("vit"), load_catalogue(user_file(tmp_path, text)).family("vit")
    assert slugs([after]) == [*slugs([before]), "me-vit"]
    assert after.name == before.name


HEAD = '[[family]]\nid = "mine"\n'
CHECKPOINT = HEAD + '[[family.checkpoint]]\nid = "x"\nloader = "timm"\n'


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (HEAD + "name = \n", 3, "not valid TOML"),
        (HEAD + "name = [\n", 3, "not valid TOML"),
        (HEAD + 'nmae = "x"\n', 3, "family 'mine' has an unknown field `nmae`"),
        (HEAD + "name = 3\n", 3, "`name` of family 'mine' should be a text in quotes, not 3"),
        (
            HEAD + 'first_public = "May"\n',
            3,
            "`first_public` of family 'mine' should look like 2021-02, not 'May'",
        ),
        (
            HEAD + 'papers = [\n  { title = "a" },\n  { title = 4 },\n]\n',
            5,
            "`papers.title` of family 'mine'",
        ),
        (HEAD + "first_public = 2021-02-03\n", 3, "should be a text in quotes, not 2021-02-03"),
        (HEAD + "checkpoints = []\n", 3, "family 'mine' has an unknown field `checkpoints`"),
        ("family = [3]\n", 1, "family number 1 should be a table, not 3"),
        (HEAD + "papers = 1\n", 3, "`papers` of family 'mine' should be an array, not 1"),
        (HEAD + '[family.seed]\ndate = "x"\n', 3, "family 'mine' lacks `seed.title`"),
        ("\n[[family]]\nname = 'x'\n", 2, "family number 1 lacks `id`"),
        ("[[family]]\nid = 'A b'\n", 2, "should be lower-case letters, digits and single hyphens"),
        ("[[famly]]\nid = 'a'\n", 1, "the file has an unknown field `famly`"),
        ("schema = 2\n", 1, "`schema` of the file should be 1, not 2"),
        (HEAD + '[[family.checkpoint]]\nid = "x"\n', 3, "checkpoint 'x' lacks `loader`"),
        (
            HEAD + '[[family.checkpoint]]\nid = "x"\nloader = "tim"\n',
            5,
            "`loader` of checkpoint 'x' should be",
        ),
        (CHECKPOINT + 'dim = "512"\n', 6, "`dim` of checkpoint 'x' should be a whole number, not '512'"),
        (CHECKPOINT + "dim = 0\n", 6, "`dim` of checkpoint 'x' should be greater than 0"),
        (CHECKPOINT + "seed_named = 1\n", 6, "should be true or false"),
        (
            CHECKPOINT + "mean = [0.5, 0.5]\n",
            6,
            "`mean` of checkpoint 'x' should be an array of three numbers",
        ),
        (CHECKPOINT + "mean = [0.5, 0.5, 0.5, 0.5]\n", 6, "should be an array of three numbers"),
        (CHECKPOINT + "mean = [0.5, 0.5, true]\n", 6, "should be a number"),
        (CHECKPOINT + 'slug = "clip-vit-b32"\n', 6, "slug 'clip-vit-b32' belongs to another checkpoint"),
        (CHECKPOINT + '[[family.checkpoint]]\nid = "X"\nloader = "timm"\n', 6, "slug 'x' belongs to another"),
        (
            CHECKPOINT.replace('"x"', '"davit_tiny.msft_in1k"'),
            4,
            "id 'davit_tiny.msft_in1k' belongs to another",
        ),
        (CHECKPOINT + HEAD, 7, "family 'mine' is there twice"),
        ('[[family]]\nname = "x"\nid = "clip"\n', 3, "family 'clip' is in the catalogue already"),
        (HEAD + 'nearest = "nothing"\n', 3, "`nearest` is 'nothing'"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    error = complaint(tmp_path, text)
    assert error.message.startswith(f"{tmp_path / 'mine.toml'}, line {line}: ")
    assert words in error.message
    assert error.hint


def test_of_several_mistakes_the_first_in_the_file_is_told(tmp_path: Path) -> None:
    text = CHECKPOINT + 'dim = "a"\nlicense = "MIT"\n[[family]]\nid = 3\n'
    assert ", line 6: `dim`" in complaint(tmp_path, text).message


def test_a_misspelt_field_gets_the_right_spelling(tmp_path: Path) -> None:
    assert complaint(tmp_path, CHECKPOINT + 'license = "MIT"\n').hint == "Perhaps `licence` is meant."


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(CatalogueError, match="cannot be read as UTF-8 text"):
        load_catalogue(tmp_path / "mine.toml")


def test_an_empty_catalogue_knows_no_model() -> None:
    with pytest.raises(UnknownModel):
        Catalogue(()).find(DEFAULT_MODEL)
