"""Which model is best on these images: scores with confidence, agreement between models, the verdict."""
