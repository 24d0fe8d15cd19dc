"""What `LSTMEncoder` is made of besides its network: latents, lengths, the residuals that a score is read from."""
