"""What `LSTMDecoder` is made of: reading pairs, numbering symbols, training on them, and generating."""
