"""The judge as a product of its own: pairs that anyone has, scored outside a run."""
