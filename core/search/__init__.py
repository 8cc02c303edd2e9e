"""Stores into neighbours."""
