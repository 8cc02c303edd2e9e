"""`kill -9` of a process that embeds: what was written stays, and the next run does the rest."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.core.tiny_models import save_checkpoint
from tests.pictures import png
from visexplore.core.explorer import Explorer
from visexplore.core.messages import EmbedReport
from visexplore.core.settings import Settings

Fill = Callable[[Mapping[str, int | bytes]], Path]
IMAGES = 400

EMBED = """
import sys
from pathlib import Path
from visexplore.core.embedding import lane
from visexplore.core.explorer import Explorer
from visexplore.core.messages import Progress
from visexplore.core.settings import Settings

lane.SHARD_SECONDS = 0.5
home, folder, model = sys.argv[1:]
explorer = Explorer(Settings(Path(home), Path(home, "models.toml"), offline=True), device="cpu")
for step in explorer.embed(folder, [model]):
    if isinstance(step, Progress):
        print(step.done, flush=True)
"""


def stored_rows(home: Path) -> int:
    return sum(pq.read_metadata(shard).num_rows for shard in home.rglob("shard-*.parquet"))


@pytest.mark.slow
def test_after_a_kill_at_half_only_what_is_missing_is_embedded(fill: Fill, tmp_path: Path) -> None:
    picture = png(1, (1200, 900))
    folder = fill({f"{number:03}.png": picture + b"%d" % number for number in range(IMAGES)})  # bytes after its end
    model, home = tmp_path / "model", tmp_path / "home"
    save_checkpoint(model, "test_convnext", side=64)

    with subprocess.Popen(
        [sys.executable, "-c", EMBED, str(home), str(folder), str(model)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if int(line) >= IMAGES // 2:
                process.kill()
                break
        process.wait()
    assert process.returncode == -signal.SIGKILL

    kept = stored_rows(home)
    assert IMAGES // 8 < kept < IMAGES  # all but the last half second and what was on its way
    explorer = Explorer(Settings(home, home / "models.toml", offline=True), device="cpu")
    [report] = [step for step in explorer.embed(str(folder), [str(model)]) if isinstance(step, EmbedReport)]
    assert report.embedded == IMAGES - kept
    assert report.reused == kept
    assert stored_rows(home) == IMAGES
    assert not list(home.rglob("*.part"))
