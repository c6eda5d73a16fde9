"""Discovery with neural networks, trained by Adam."""
