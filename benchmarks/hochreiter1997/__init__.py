"""The six experiments of Hochreiter and Schmidhuber 1997, as they were run then and as one would run them now."""
