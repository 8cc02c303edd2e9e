"""The engine room: catalogue, datasets, encoders, embeddings, search. No terminal code, and no torch before it is needed."""
