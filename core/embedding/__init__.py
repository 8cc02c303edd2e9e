"""Datasets into stores: the pipeline, its lanes, and the shards on disk."""
