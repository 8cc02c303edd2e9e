"""What comes with the program: catalogue, look, sample pictures."""
