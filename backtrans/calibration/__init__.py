"""How far a judge's score can be believed: pairs to label, figures over the labels, a selector."""
