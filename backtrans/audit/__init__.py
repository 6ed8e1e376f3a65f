"""How far a judge's score moves when nothing about the quality does."""
