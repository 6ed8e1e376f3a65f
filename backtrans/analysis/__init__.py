"""What a set of pairs is like: lengths, diversity, scores, complexity, and how two sets differ."""
