"""A small renderer for pictures of made-up products: shapes, paints, products and the camera.

An object is a list of parts; a part is a signed distance (negative inside, in the units of the scene) with a
paint. A ray steps along by the distance until it meets a part. Distances also give soft shadows and darkened
contacts almost for free, which is what makes the pictures look like photographs from a shop.
"""
