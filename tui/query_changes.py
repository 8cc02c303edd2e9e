"""Queries made of the present one: by an expression, by one more image, by a part of the picture."""

from __future__ import annotations

from dataclasses import replace

from visexplore.core.errors import UserError
from visexplore.core.messages import Box, Query, QueryPart
from visexplore.core.query_mix import format_mix, kinds_in, parse_mix, query_of, with_part
from visexplore.tui.gallery import Gallery


def expression_of(query: Query, gallery: Gallery) -> str:
    """Return what `read_expression` makes the same query of."""
    return format_mix(query.components, kinds_in(gallery.position_of))


def read_expression(expression: str, gallery: Gallery) -> Query:
    """Return the query that an expression means among these images.

    Raises:
        UserError: it cannot be understood.
    """
    return _labelled(query_of(parse_mix(expression, kinds_in(gallery.position_of))), gallery)


def with_image(query: Query, image_id: str, weight: float, gallery: Gallery) -> Query:
    """Return the query with an image of the dataset added, or with a negative weight subtracted.

    Raises:
        UserError: nothing is left to search with.
    """
    parts = with_part(query.components, QueryPart(weight, image_id=image_id))
    if not parts:
        raise UserError("Nothing would be left of the query", "Choose another image with n, or search with t.")
    return _labelled(query_of(parts), gallery)


def with_crop(query: Query, part: QueryPart, crop: Box | None) -> Query:
    """Return the query with another crop of one of its pictures."""
    if not query.parts:
        return replace(query, crop=crop)
    at = query.parts.index(part)
    return replace(query, parts=(*query.parts[:at], replace(part, crop=crop), *query.parts[at + 1 :]))


def _labelled(query: Query, gallery: Gallery) -> Query:
    if not query.image_id:
        return query
    return replace(query, label=gallery.label(gallery.position_of[query.image_id]))
