"""Checkpoints of the Hugging Face hub: find them in its cache, fetch them into it. Nothing else talks to a hub.

The files are fetched with plain HTTP, not with huggingface_hub's `hf_hub_download` (2.4 was read): that one writes
each download to a file of its own name and deletes it when it fails, so nothing is left to resume after a cut
connection, a cancelled run or a kill; it looks up from the network once in 10 MB; and it takes the endpoint and
`HF_HUB_OFFLINE` from the environment as it was at import. Its other way, hf_xet, writes to the same short-lived file,
reports nothing that could be resumed and cannot be stopped from outside. The hub serves every xet file up to 50 GB
over plain HTTP too, with byte ranges, so nothing is lost but deduplication between files.

The cache that is written is the hub's own: blobs named by their digest, links to them from `snapshots/COMMIT`,
`refs/main`, the same locks, and `BLOB.incomplete` for what has come so far.
"""

from visexplore.core.hub.cache import snapshot
from visexplore.core.hub.download import Transfer, download_size, fetch

__all__ = ["Transfer", "download_size", "fetch", "snapshot"]
