"""What we ask a model: the words and the reading of the answer together, pure, without a model."""
