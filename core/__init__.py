"""The engine room: everything that draws nothing; importable without torch until an encoder is needed."""
