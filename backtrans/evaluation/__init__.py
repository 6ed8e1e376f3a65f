"""How good a model's answers are against a reference's: the win rate that a judge gives them."""
